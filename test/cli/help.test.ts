import { describe, expect, it } from 'vitest';
import { allCommands } from '../support/command-paths.js';
import { runInProcess } from '../support/run-program.js';

const paths = (await allCommands()).map(({ path }) => path);

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

  it('has a version beside it', async () => {
    const { code, stdout } = await runInProcess(['--version']);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    });
  });
});
