import { afterAll, beforeAll, expect, test } from 'vitest';
import { execute, refOf, result } from '../support/calls.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { scrape, sumOf } from '../support/prometheus.js';
import { expireRecord } from '../support/time-travel.js';
import { until } from '../support/until.js';

const everySecond = { samplerSchedule: '* * * * * *' };
let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2, flags: everySecond });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

async function finish(keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    const { fencingToken } = await execute(one, key);
    await one.coordinator.complete({ ref: refOf(key), fencingToken, result: result('done') });
  }
}

test('two coordinators remove what expires, each record once, and both tell what is left', async () => {
  const expired = Array.from({ length: 40 }, (_, i) => `expired-${i}`);
  await finish([...expired, 'live-1', 'live-2']);
  for (const key of expired) await expireRecord(setup.database, key);
  const removedBy = async (coordinator: TestCoordinator) =>
    sumOf(await scrape(coordinator), 'onceward_sweep_removed_total');
  await until('all are removed', async () => {
    const rows = await setup.database.query('SELECT FROM onceward.record');
    return rows.length === 2;
  });
  await until('all are counted', async () => (await removedBy(one)) + (await removedBy(two)) === 40);
  await until('the estimates are those of the last tick', async () => {
    const { live, expired: left, namespaces, estimateTime } = await two.admin.getStats({});
    return (
      estimateTime !== undefined &&
      live?.rows === 2n &&
      left?.rows === 0n &&
      namespaces.map(({ name }) => name).join() === 'test'
    );
  });
  const samples = await scrape(two);
  expect(sumOf(samples, 'onceward_store_size')).toBeGreaterThan(0);
  expect(sumOf(samples, 'onceward_sweep_ticks_total')).toBeGreaterThan(0);
});

test('each tick is one coordinator’s, and the other takes over when it is gone', async () => {
  const third = await startCoordinator(setup.database.url, everySecond);
  const ticks = async (outcome: string) =>
    sumOf(await scrape(third), 'onceward_sweep_ticks_total', { onceward_outcome: outcome });
  await until('it came late', async () => (await ticks('elsewhere')) > 0);
  await one.server.stop();
  await two.server.stop();
  await until('it has ticks of its own', async () => (await ticks('done')) >= 2);
  await third.stop();
});

test('a schedule that is none is refused at the start, by its name', async () => {
  const start = startCoordinator(setup.database.url, { samplerSchedule: 'every day' });
  await expect(start).rejects.toThrow('--sampler-schedule: must be off, or a cron expression');
});
