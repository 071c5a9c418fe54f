import { afterAll, beforeAll, expect, test } from 'vitest';
import { startChildCoordinator } from '../support/child-coordinator.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { type Event, violationsOf } from '../support/history.js';
import { replayAll, startLoad } from '../support/load.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let survivor: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup();
  [survivor] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

test('coordinator killed mid-batch: either committed or not; callers resend; no half-written record', async () => {
  const victim = await startChildCoordinator(setup.database.url);
  const load = startLoad({
    name: 'killed',
    callers: 64,
    route: (attempt) => (attempt === 0 && !victim.hasEnded() ? victim : survivor),
  });
  await until('the load is under way', () => load.acknowledged.size >= 200);
  victim.signal('SIGKILL');
  expect(await victim.ended).toBe('SIGKILL');
  const before = load.acknowledged.size;
  await until('callers go on elsewhere', () => load.acknowledged.size >= before + 200);
  await load.stop();

  // Without calls whose outcome was unknown nothing was tried.
  const unknown = load.calls.filter(({ error }) => error?.fromCoordinator === false);
  expect(unknown.length).toBeGreaterThan(10);
  const replays = await replayAll(load.acknowledged.keys(), survivor);
  expect(violationsOf([...load.history, ...replays])).toEqual([]);
  expect(load.acknowledged.size).toBe(replays.length);

  const rows = await setup.database.query<{ key: string; attempt: number; whole: boolean; payload: Buffer }>(
    `SELECT key, attempt, result_payload AS payload, state = 'COMPLETED' AND result_envelope IS NOT NULL
       AND result_digest IS NOT NULL AND finish_time IS NOT NULL AND lease_expire_time IS NULL AS whole
     FROM onceward.record`,
  );
  expect(rows.length).toBe(load.acknowledged.size);
  expect(rows.filter(({ attempt, whole }) => attempt !== 1 || !whole)).toEqual([]);
  for (const { key, payload } of rows) expect(String(payload)).toBe(load.acknowledged.get(key));
});

test('a history with a broken promise is found out', () => {
  const granted = (token: bigint, attempt: number): Event => ({ kind: 'granted', key: 'k', token, attempt });
  const completed = (token: bigint, payload: string): Event => ({
    kind: 'completed',
    key: 'k',
    token,
    payload,
  });
  const replayed: Event = { kind: 'replayed', key: 'k', payload: 'a' };
  expect(violationsOf([granted(1n, 1), granted(1n, 1), completed(1n, 'a'), replayed])).toEqual([]);
  expect(violationsOf([granted(1n, 1), granted(2n, 2), completed(2n, 'a'), replayed])).toEqual([]);

  expect(violationsOf([granted(1n, 1), granted(2n, 1)])).toHaveLength(1);
  expect(violationsOf([granted(2n, 1), granted(1n, 2)])).toHaveLength(1);
  expect(violationsOf([granted(1n, 1), completed(1n, 'b'), replayed])).toHaveLength(1);
  expect(violationsOf([granted(1n, 1), completed(1n, 'a'), completed(2n, 'a')])).toHaveLength(1);
  expect(violationsOf([completed(1n, 'a'), granted(2n, 2)])).toHaveLength(1);
});
