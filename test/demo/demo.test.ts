import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

function runDemo(...args: readonly string[]) {
  const program = ['--import', 'tsx', 'test/demo/demo.ts'];
  return promisify(execFile)(process.execPath, [...program, ...args], { cwd: root });
}

test('the demo charges every order once with Onceward, and says so', { timeout: 90_000 }, async () => {
  const demo = runDemo('--orders', '80', '--seed', '7');
  // It fails with what it said so far.
  const { stdout } = (await demo.catch((error: unknown) => error)) as Awaited<typeof demo>;
  expect(stdout).toContain('Every order was charged once with Onceward.');
  const row = (name: string) => new RegExp(`^${name} +(\\S+) +(\\S+)$`, 'm').exec(stdout)?.slice(1);
  expect(row('charges made')?.[1]).toBe('80');
  expect(row('double charges')?.[1]).toBe('0');
  expect(row('lost orders')).toEqual(['0', '0']);
  // Without it the same network and the same deaths do harm: the run can tell the two apart.
  expect(Number(row('double charges')?.[0])).toBeGreaterThan(0);
});

test('an option that it does not know is wrong usage, and it says where the options are told', async () => {
  await expect(runDemo('--nope')).rejects.toMatchObject({
    code: 2,
    stderr: "error: Unknown option '--nope'\nThe options: npm run demo -- --help\n",
  });
});
