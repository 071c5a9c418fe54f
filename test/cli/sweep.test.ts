import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { execute, refOf, result } from '../support/calls.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { runInProcess } from '../support/run-program.js';
import { expireRecord, expireResult, travelling } from '../support/time-travel.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ flags: travelling });
  [one] = setup.coordinators as [TestCoordinator];
  await putNamespace(one, 'other');
});
afterAll(() => setup.stop());

const onceward = (args: readonly string[], io = {}) => runInProcess([...args, '--address', one.address], io);

async function finish(key: string, namespace = 'test'): Promise<void> {
  const ref = refOf(key, namespace);
  const { fencingToken } = await execute(one, key, { ref });
  await one.coordinator.complete({ ref, fencingToken, result: result('done') });
}

describe('onceward sweep', () => {
  beforeEach(async () => {
    await setup.database.query('DELETE FROM onceward.record');
    for (const key of ['gone-1', 'gone-2', 'tombstone', 'live']) await finish(key);
    await finish('theirs', 'other');
    for (const key of ['gone-1', 'gone-2', 'theirs']) await expireRecord(setup.database, key);
    await expireResult(setup.database, 'tombstone');
  });

  test('says what it did', async () => {
    const text = 'records removed: 3, results stripped: 1\n';
    expect(await onceward(['sweep'])).toEqual({ code: 0, stdout: text, stderr: '' });
    const again = 'records removed: 0, results stripped: 0\n';
    expect(await onceward(['sweep'])).toEqual({ code: 0, stdout: again, stderr: '' });
    const left = await setup.database.query('SELECT key FROM onceward.record ORDER BY key');
    expect(left).toEqual([{ key: 'live' }, { key: 'tombstone' }]);
  });

  test('says with --dry-run what it would do, and does nothing', async () => {
    const text = 'records to remove: 3, results to strip: 1\n';
    expect(await onceward(['sweep', '--dry-run'])).toEqual({ code: 0, stdout: text, stderr: '' });
    expect(await onceward(['sweep', '--dry-run'])).toMatchObject({ stdout: text });
  });

  test('sweeps one namespace', async () => {
    const sweep = ['sweep', '--namespace', 'other'];
    const text = 'records removed: 1, results stripped: 0\n';
    expect(await onceward(sweep)).toMatchObject({ code: 0, stdout: text });
    expect(await onceward(['sweep', '--namespace', 'nobody'])).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('NAMESPACE_NOT_FOUND') as string,
    });
    const bad = await onceward(['sweep', '--namespace', 'Not a name']);
    expect(bad).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('namespace') as string,
    });
  });

  test('answers scripts in one line, numbers as strings', async () => {
    const dry = await onceward(['sweep', '--dry-run', '--json']);
    expect(JSON.parse(dry.stdout)).toEqual({ removed: '3', stripped: '1', dryRun: true });
    const { stdout } = await onceward(['sweep', '--json']);
    expect(JSON.parse(stdout)).toEqual({ removed: '3', stripped: '1', dryRun: false });
    expect(stdout.trimEnd()).not.toContain('\n');
  });

  test('shows how far it is on a terminal only, beside the answer, and wipes it away', async () => {
    const { code, stdout, stderr } = await onceward(['sweep'], { isTTY: true });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'records removed: 3, results stripped: 1\n' });
    expect(stderr).toBe(`\r${'█'.repeat(30)} 100 %  3 expired\r\x1b[K`);
  });
});

describe('onceward stats', () => {
  test('says so as long as there is no sample', async () => {
    const { code, stdout } = await onceward(['stats']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^no estimates: the sampler has not run yet\n/);
    expect(stdout).toMatch(/^record_0000 +- +- +- +- +\d+$/m);
  });

  test('estimates what is there, exactly where all pages were seen', async () => {
    await setup.database.query('DELETE FROM onceward.record');
    for (const key of ['s-1', 's-2', 's-3']) await finish(key);
    await finish('t-1', 'other');
    const sampling = await startCoordinator(setup.database.url, { samplerSchedule: '* * * * * *' });
    await until('it has sampled', async () => (await one.admin.getStats({})).live?.rows === 4n);
    await sampling.stop();
    const { code, stdout, stderr } = await onceward(['stats']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^NAMESPACE +LIVE +95 % +EXPIRED +95 % +LIVE BYTES +EXPIRED BYTES\n/);
    expect(stdout).toMatch(/^other +1 +1–1 +0 +0–0 +\d+ +0$/m);
    expect(stdout).toMatch(/^test +3 +3–3 +0 +0–0 +\d+ +0$/m);
    expect(stdout).toMatch(/^all +4 +4–4 +0 +0–0 +\d+ +0$/m);
    expect(stdout).toMatch(/^as of \d{4}-\d\d-\d\dT/m);
    expect(stdout).toMatch(/^begin\.execute +\d+$/m);

    const { stdout: line } = await onceward(['stats', '--json']);
    const stats = JSON.parse(line) as { namespaces: unknown; partitions: { name: string }[] };
    expect(stats).toMatchObject({
      live: { rows: '4', low: '4', high: '4' },
      namespaces: [
        { name: 'other', live: { rows: '1' } },
        { name: 'test', live: { rows: '3' } },
      ],
    });
    expect(stats.partitions).toHaveLength(16);
  });
});
