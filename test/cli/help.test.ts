import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import type { Io } from '../../src/cli/io.js';
import { runInProcess } from '../support/run-program.js';

const output = { write: () => true };
const io: Io = { stdout: output, stderr: output, stdin: noInput(), isTTY: false, exitCode: 0 };

async function* noInput(): AsyncGenerator<Uint8Array> {
  yield* [];
}

function pathsBelow(command: Command, path: readonly string[] = []): (readonly string[])[] {
  return [path, ...command.commands.flatMap((sub) => pathsBelow(sub, [...path, sub.name()]))];
}

const paths = pathsBelow(createProgram(io));

describe('the help', () => {
  it.each(paths.map((path) => [path.join(' ') || 'onceward', path] as const))(
    'of %s ends with an example',
    async (_name, path) => {
      const { code, stdout, stderr } = await runInProcess([...path, '--help']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const last = stdout.trimEnd().split('\n').at(-1);
      expect(last).toMatch(new RegExp(`^  (\\$ )?(\\S+=\\S+ |source <\\()?onceward ${path.join(' ')}`));
    },
  );

  it('names every command in a group', async () => {
    const { stdout } = await runInProcess(['--help']);
    expect(stdout).not.toMatch(/^Commands:/m);
  });

  it('is not the place to look for the version', async () => {
    const { code, stdout } = await runInProcess(['--version']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });
});
