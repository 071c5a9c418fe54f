import { Readable } from 'node:stream';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/program.js';

export interface FoundCommand {
  /** Words after `onceward`; empty for the program itself. */
  readonly path: readonly string[];
  readonly command: Command;
}

/** Every command of the program, in depth. */
export async function allCommands(): Promise<readonly FoundCommand[]> {
  const output = { write: () => true };
  return below(
    await createProgram({
      stdout: output,
      stderr: output,
      stdin: Readable.from([]),
      isTTY: false,
      exitCode: 0,
    }),
    [],
  );
}

function below(command: Command, path: readonly string[]): readonly FoundCommand[] {
  return [{ path, command }, ...command.commands.flatMap((sub) => below(sub, [...path, sub.name()]))];
}
