import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

test('the demo charges every order once with Onceward, and says so', { timeout: 90_000 }, async () => {
  const args = ['--import', 'tsx', 'test/demo/demo.ts', '--orders', '80', '--seed', '7'];
  const demo = promisify(execFile)(process.execPath, args, { cwd: root });
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
