import { Readable } from 'node:stream';
import type { Io } from '../../src/cli/io.js';
import { runProgram } from '../../src/cli/program.js';

export interface ProgramRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The program inside this process: the same code path as src/main.ts, without the price of a process. */
export async function runInProcess(
  args: readonly string[],
  { stdin = '', isTTY = false }: { stdin?: string | Uint8Array; isTTY?: boolean } = {},
): Promise<ProgramRun> {
  const written = { stdout: '', stderr: '' };
  const io: Io = {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    stdin: Readable.from([Buffer.from(stdin)]),
    isTTY,
    exitCode: 0,
  };
  const code = await runProgram(args, io);
  return { code, ...written };
}
