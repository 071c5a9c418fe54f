import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The arguments a shell would hand to `onceward` for a line that people paste. */
export async function wordsOf(line: string): Promise<readonly string[]> {
  const { stdout } = await run('bash', ['-c', `onceward() { printf '%s\\0' "$@"; }; ${line}`]);
  return stdout.split('\0').slice(0, -1);
}
