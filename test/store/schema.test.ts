import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { termsOf, openTestStore } from '../support/store.js';
import {
  insertNamespace,
  insertRecord,
  validRecords,
  type Columns,
  type ValidState,
} from './valid-records.js';

/** The last net: rows that no bug of the program may bring into being. */

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await insertNamespace(database, 'test');
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.query('TRUNCATE onceward.record');
});

const states = Object.keys(validRecords) as ValidState[];

/** What breaks a record of a state, and the constraint that must say no. */
const illegal: readonly (readonly [what: string, state: ValidState, change: Columns, constraint: RegExp])[] =
  [
    ['in progress without a lease', 'IN_PROGRESS', { lease_expire_time: 'NULL' }, /leased_only_in_progress/],
    ['released with a lease', 'RELEASED', { lease_expire_time: 'now()' }, /leased_only_in_progress/],
    ['completed with a lease', 'COMPLETED', { lease_expire_time: 'now()' }, /leased_only_in_progress/],
    ['parked with a lease', 'INDETERMINATE', { lease_expire_time: 'now()' }, /leased_only_in_progress/],
    ['in progress without an attempt', 'IN_PROGRESS', { attempt_id: 'NULL' }, /attempt_id_until_finished/],
    ['released without an attempt', 'RELEASED', { attempt_id: 'NULL' }, /attempt_id_until_finished/],
    ['completed with an attempt', 'COMPLETED', { attempt_id: "'a1'" }, /attempt_id_until_finished/],
    ['finished without a time', 'COMPLETED', { finish_time: 'NULL' }, /finished_with_result/],
    ['finished without a digest', 'FAILED', { result_digest: 'NULL' }, /finished_with_result/],
    ['finished without a code', 'COMPLETED', { result_code: 'NULL' }, /finished_with_result/],
    [
      'finished without an end of its result',
      'COMPLETED',
      { result_expire_time: 'NULL' },
      /finished_with_result/,
    ],
    ['completed with an error code', 'COMPLETED', { result_code: '9' }, /finished_with_result/],
    ['failed with OK', 'FAILED', { result_code: '0' }, /finished_with_result/],
    ['a payload without its envelope', 'COMPLETED', { result_envelope: 'NULL' }, /finished_with_result/],
    ['a payload that was omitted', 'COMPLETED', { result_payload_omitted: 'true' }, /finished_with_result/],
    ['in progress with a finish time', 'IN_PROGRESS', { finish_time: 'now()' }, /finished_with_result/],
    ['in progress with a result', 'IN_PROGRESS', { result_payload: "'x'" }, /finished_with_result/],
    ['in progress with an envelope', 'IN_PROGRESS', { result_envelope: "'x'" }, /finished_with_result/],
    ['released with a digest', 'RELEASED', { result_digest: "'x'" }, /finished_with_result/],
    ['released with a code', 'RELEASED', { result_code: '0' }, /finished_with_result/],
    ['parked with a payload', 'INDETERMINATE', { result_payload: "'x'" }, /finished_with_result/],
    [
      'parked with an omitted payload',
      'INDETERMINATE',
      { result_payload_omitted: 'true' },
      /finished_with_result/,
    ],
    [
      'a result that outlives its record',
      'COMPLETED',
      { result_expire_time: "now() + interval '20001 s'" },
      /finished_with_result/,
    ],
    [
      'a lease that outlives its record',
      'IN_PROGRESS',
      { lease_expire_time: "now() + interval '20001 s'" },
      /lease_never_outlives_record/,
    ],
    [
      'parked and forgotten some day',
      'INDETERMINATE',
      { record_expire_time: "now() + interval '1 day'" },
      /indeterminate_is_kept/,
    ],
    ['no end at all', 'RELEASED', { record_expire_time: 'NULL' }, /record_expire_time/],
    ['a token of 0', 'IN_PROGRESS', { fencing_token: '0' }, /fencing_token/],
    ['a negative token', 'COMPLETED', { fencing_token: '-1' }, /fencing_token/],
    ['attempt 0', 'IN_PROGRESS', { attempt: '0' }, /attempt/],
    ['more attempts forgiven than made', 'RELEASED', { attempts_forgiven: '2' }, /attempts_forgiven/],
    ['half a fingerprint', 'IN_PROGRESS', { fingerprint_version: '1' }, /fingerprint_is_whole/],
    ['the other half', 'IN_PROGRESS', { fingerprint_digest: "'x'" }, /fingerprint_is_whole/],
    [
      'an empty digest',
      'IN_PROGRESS',
      { fingerprint_version: '1', fingerprint_digest: "''" },
      /fingerprint_digest/,
    ],
    ['a third of a parent', 'IN_PROGRESS', { parent_key: "'p'" }, /parent_is_whole/],
    ['an empty key', 'IN_PROGRESS', { key: "''" }, /record_key_check/],
    ['a key of 256 characters', 'IN_PROGRESS', { key: "repeat('k', 256)" }, /record_key_check/],
    ['a scope of 256 characters', 'IN_PROGRESS', { scope: "repeat('s', 256)" }, /record_scope_check/],
    ['an empty operation', 'IN_PROGRESS', { operation: "''" }, /operation/],
    ['an empty attempt id', 'IN_PROGRESS', { attempt_id: "''" }, /attempt_id/],
    [
      'a checkpoint of 64 KiB and one',
      'IN_PROGRESS',
      { checkpoint: "repeat('c', 65537)::bytea" },
      /checkpoint/,
    ],
    ['an unknown state', 'IN_PROGRESS', { state: "'DONE'" }, /record_state/],
  ];

describe('the schema', () => {
  test.each(states)('takes a valid %s', async (state) => {
    await insertRecord(database, validRecords[state]);
    expect(await database.query('SELECT state FROM onceward.record')).toEqual([{ state }]);
  });

  test.each(illegal)('refuses to insert: %s', async (_, state, change, constraint) => {
    await expect(insertRecord(database, { ...validRecords[state], ...change })).rejects.toThrow(constraint);
  });

  test.each(illegal)('refuses to update to: %s', async (_, state, change, constraint) => {
    await insertRecord(database, validRecords[state]);
    const set = Object.entries(change).map(([column, value]) => `${column} = ${value}`);
    await expect(database.query(`UPDATE onceward.record SET ${set.join(', ')}`)).rejects.toThrow(constraint);
  });

  test('refuses a second row for one identity, in any state', async () => {
    await insertRecord(database, validRecords.COMPLETED);
    for (const state of states) {
      await expect(insertRecord(database, validRecords[state])).rejects.toThrow(/_pkey/);
    }
    // Scope and namespace are part of it.
    await insertRecord(database, { ...validRecords.COMPLETED, scope: "'other'" });
  });

  test.each([
    "DELETE FROM onceward.namespace WHERE name = 'test'",
    "UPDATE onceward.namespace SET name = 'other' WHERE name = 'test'",
    'TRUNCATE onceward.namespace',
  ])('keeps namespaces: %s', async (statement) => {
    await expect(database.query(statement)).rejects.toThrow('a namespace is never removed or renamed');
  });

  test('lets claims at once share nothing of their namespace', async () => {
    const [locked] = await database.query(
      "SELECT count(*)::int AS count FROM pg_constraint WHERE conrelid = 'onceward.record'::regclass AND contype = 'f'",
    );
    expect(locked).toEqual({ count: 0 });
  });

  test('has one store instance', async () => {
    await expect(
      database.query('INSERT INTO onceward.store_instance (partition_count) VALUES (1)'),
    ).rejects.toThrow(/_pkey/);
    await expect(
      database.query('INSERT INTO onceward.store_instance (singleton, partition_count) VALUES (false, 1)'),
    ).rejects.toThrow(/singleton/);
  });
});

test('keys spread over all partitions', async () => {
  const opened = await openTestStore(database.url);
  const keys = Array.from({ length: 4000 }, (_, i) => `order-${i}`);
  await Promise.all(keys.map((key) => opened.store.claimNew(termsOf(key))));
  const counts = await database.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM onceward.record GROUP BY tableoid',
  );
  expect(counts).toHaveLength(16);
  // 250 each, give or take four standard deviations.
  for (const { count } of counts) expect(Math.abs(count - 250)).toBeLessThan(62);
  expect((await opened.sweepTarget.readPartitions()).map(({ name }) => name)).toEqual(
    Array.from({ length: 16 }, (_, i) => `record_${String(i).padStart(4, '0')}`),
  );
  await opened.close();
});
