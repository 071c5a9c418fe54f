import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The arguments a shell would hand to `onceward` for lines that people paste. */
export async function wordsOf(lines: readonly string[]): Promise<readonly (readonly string[])[]> {
  const stub = `onceward() { printf '%s\\0' "$@"; printf '\\1'; }`;
  const { stdout } = await run('bash', ['-c', [stub, ...lines].join('\n')]);
  return stdout
    .split('\x01')
    .slice(0, -1)
    .map((line) => line.split('\0').slice(0, -1));
}
