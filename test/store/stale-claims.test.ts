import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Claim } from '../../src/core/decide.js';
import type { KeyRecord } from '../../src/core/record.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { heartbeatOf, openTestStore, releaseOf, termsOf } from '../support/store.js';
import { expireRecord, lapse } from '../support/time-travel.js';

/**
 * A claim holds for the record it was decided on. One that changed and looks the same again is another: its checkpoint and
 * its count of attempts were not in the decision.
 */

let database: TestDatabase;
let opened: OpenStore;

beforeAll(async () => {
  database = await createDatabase();
  opened = await openTestStore(database.url);
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

async function seen(key: string): Promise<KeyRecord> {
  const found = await opened.store.read({ namespace: 'test', scope: '', key }, false);
  return found!.record;
}

async function claim(key: string, kind: Claim, record: KeyRecord) {
  return opened.store.claimKnown({ ...termsOf(key), claim: kind, seen: record });
}

const ends: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
  released: async (key) => opened.store.finish(releaseOf(key, (await seen(key)).fencingToken)),
  lapsed: (key) => lapse(database, key),
  expired: (key) => expireRecord(database, key),
};

test.each([
  ['take-over', 'released'],
  ['take-over', 'lapsed'],
  ['park', 'released'],
  ['park', 'lapsed'],
  ['renew', 'expired'],
] as const)('%s of a %s record that had another attempt since is refused', async (kind, end) => {
  const key = `${kind}-${end}`;
  await opened.store.claimNew(termsOf(key));
  await ends[end]?.(key);
  const stale = await seen(key);
  const between = await claim(key, end === 'expired' ? 'renew' : 'take-over', stale);
  expect(between?.fencingToken).toBeGreaterThan(stale.fencingToken);
  await ends[end]?.(key);
  expect(await claim(key, kind, stale)).toBeUndefined();
  // What was seen last is what counts.
  expect(await claim(key, kind, await seen(key))).toBeDefined();
});

test.each(['take-over', 'park'] as const)(
  '%s of a lapsed lease that its holder extended since is refused',
  async (kind) => {
    const key = `${kind}-extended`;
    await opened.store.claimNew(termsOf(key));
    await lapse(database, key);
    const lapsed = await seen(key);
    const { kind: extended } = await opened.store.heartbeat(heartbeatOf(key, lapsed.fencingToken));
    expect(extended).toBe('done');
    expect(await claim(key, kind, lapsed)).toBeUndefined();
    expect((await seen(key)).fencingToken).toBe(lapsed.fencingToken);
  },
);
