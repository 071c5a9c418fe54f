import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { runInProcess } from '../support/run-program.js';

const run = promisify(execFile);

async function script(shell: string): Promise<string> {
  const { code, stdout } = await runInProcess(['completion', shell]);
  expect(code).toBe(0);
  return stdout;
}

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ['-c', 'true']).status === 0;
}

/** What bash offers after these words; the last one is being typed. */
async function offered(...words: string[]): Promise<string[]> {
  const typed = `COMP_WORDS=(onceward ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}`;
  const { stdout } = await run('bash', [
    '-uc',
    `${await script('bash')}\n${typed}\n_onceward; printf '%s\\n' "\${COMPREPLY[@]:-}"`,
  ]);
  return stdout.split('\n').filter((word) => word !== '');
}

describe('bash', () => {
  it('accepts the script', async () => {
    await run('bash', ['-nc', await script('bash')]);
  });

  it('offers commands, also the nested ones', async () => {
    expect(await offered('')).toEqual(
      expect.arrayContaining(['begin', 'complete', 'namespace', 'doctor', 'help']),
    );
    expect(await offered('mint')).toEqual(['mint-key']);
    expect(await offered('namespace', '')).toEqual(expect.arrayContaining(['put', 'get', 'list']));
    expect(await offered('completion', '')).toEqual(expect.arrayContaining(['bash', 'zsh', 'fish']));
  });

  it('offers the options of the command that was typed', async () => {
    expect(await offered('begin', 'order-42', '--on')).toEqual(['--on-lapse']);
    expect(await offered('namespace', '--json', 'put', 'orders', '--max-a')).toEqual(['--max-attempts']);
  });

  it('offers the values of an option, or nothing where only the user knows', async () => {
    expect(await offered('begin', 'order-42', '--on-lapse', '')).toEqual(['rerun', 'park']);
    expect(await offered('list', '--state', 'in')).toEqual(['in-progress', 'indeterminate']);
    expect(await offered('begin', 'order-42', '--operation', '')).toEqual([]);
    expect(await offered('complete', 'order-42', '--payload-file', 'package.js')).toEqual(['package.json']);
  });
});

describe.each([
  ['zsh', /^#compdef onceward\n/],
  ['fish', /^complete -c onceward /m],
])('%s', (shell, form) => {
  it('gets every command and option with its description', async () => {
    const text = await script(shell);
    expect(text).toMatch(form);
    for (const word of ['mint-key', 'namespace', 'checkpoint-sequence', 'rerun park', 'indeterminate']) {
      expect(text).toContain(word);
    }
    expect(text).toContain('Read a record without side effect.');
  });

  // A shell that is not installed can't judge its script.
  if (isInstalled(shell)) {
    it('accepts the script', async () => {
      await run(shell, [shell === 'fish' ? '--no-execute' : '-n', '-c', await script(shell)]);
    });
  }
});
