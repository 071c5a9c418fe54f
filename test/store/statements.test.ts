import { readdirSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadStatement, type PreparedQuery, type Row } from '../../src/store/statement.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { testSeed } from '../support/seed.js';
import { insertNamespace, insertRecord, validRecords, type ValidState } from './valid-records.js';

/** Every statement in its two forms: one row in plain parameters, many rows in arrays. */

let one: TestDatabase;
let many: TestDatabase;
const seed = testSeed();

beforeAll(async () => {
  console.log(`statements: ONCEWARD_TEST_SEED=${seed}`);
  one = await createDatabase();
  many = await createDatabase();
  for (const database of [one, many]) await insertNamespace(database, 'test');
});
afterAll(async () => {
  await one.drop();
  await many.drop();
});

const names = readdirSync(new URL('../../src/store/queries/', import.meta.url)).map((file) =>
  file.replace(/\.sql$/, ''),
);

/** The statement that goes by pages has only one form: a batch of it is its array of pages. */
const sweepPages = 'sweep-pages';
const nulls = new Proxy<Row>({}, { get: () => null });

test.each(names.filter((name) => name !== sweepPages))(
  '%s is understood by Postgres in both forms',
  async (name) => {
    const statement = loadStatement(name);
    for (const { text } of [statement.one(nulls), statement.many([nulls])]) {
      await one.query(`PREPARE understood AS ${text}; DEALLOCATE understood`);
    }
  },
);

test(`${sweepPages} is understood by Postgres`, async () => {
  const { text } = loadStatement(sweepPages, 'record_0000').one(nulls);
  await one.query(`PREPARE understood AS ${text}; DEALLOCATE understood`);
});

const keys = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5'] as const;

/** A record before the statement: its state, whether its lease lapsed, and whether it expired. */
interface Before {
  readonly state: ValidState | 'absent' | 'lapsed' | 'lapsed PARK' | 'expired' | 'expired result';
  readonly token: number;
}

const before: fc.Arbitrary<Before> = fc.record({
  state: fc.constantFrom<Before['state']>(
    'absent',
    'IN_PROGRESS',
    'lapsed',
    'lapsed PARK',
    'RELEASED',
    'INDETERMINATE',
    'COMPLETED',
    'FAILED',
    'expired',
    'expired result',
  ),
  token: fc.integer({ min: 5, max: 7 }),
});

const past = "now() - interval '10000 s'";

async function prepare(database: TestDatabase, key: string, { state, token }: Before): Promise<void> {
  const identity = { key: `'${key}'`, fencing_token: String(token) };
  switch (state) {
    case 'absent':
      return;
    case 'lapsed':
      return insertRecord(database, { ...validRecords.IN_PROGRESS, ...identity, lease_expire_time: past });
    case 'lapsed PARK':
      return insertRecord(database, {
        ...validRecords.IN_PROGRESS,
        ...identity,
        on_lapse: "'PARK'",
        record_expire_time: "'infinity'",
        lease_expire_time: past,
      });
    case 'expired':
      return insertRecord(database, { ...validRecords.RELEASED, ...identity, record_expire_time: past });
    case 'expired result':
      return insertRecord(database, { ...validRecords.COMPLETED, ...identity, result_expire_time: past });
    default:
      return insertRecord(database, { ...validRecords[state], ...identity });
  }
}

const seconds = (...values: number[]) => fc.constantFrom(...values.map((value) => value * 1000));
const retention = fc.constantFrom(10_000_000, 30_000_000, Infinity);
const bytes = fc.constantFrom(Buffer.from('x'), Buffer.from('yy'));
const token = fc.integer({ min: 5, max: 7 });
const onLapse = fc.constantFrom('RERUN', 'PARK');

const terms = {
  operation: fc.constantFrom('charge', 'refund'),
  fingerprint: fc.boolean(),
  attempt_id: fc.constantFrom('a2', 'a3'),
  lease_ms: seconds(20_000, 50_000),
  on_lapse: onLapse,
  abandoned_retention_ms: fc.constantFrom(70_000_000, Infinity),
  result_retention_ms: fc.option(retention),
  parent: fc.boolean(),
  labels: fc.option(fc.constantFrom('{"a": "1"}', '{}')),
  traceparent: fc.option(fc.constant('00-trace')),
};

/** Fingerprint and parent are there as a whole or not at all. */
function termsRow({ fingerprint, parent, ...row }: Record<string, unknown>): Row {
  return {
    ...row,
    fingerprint_version: fingerprint === true ? 1 : null,
    fingerprint_digest: fingerprint === true ? Buffer.from('digest') : null,
    parent_namespace: parent === true ? 'test' : null,
    parent_scope: parent === true ? '' : null,
    parent_key: parent === true ? 'p' : null,
  };
}

function finishRow({ state, payload, omitted, ...row }: Record<string, unknown>): Row {
  return {
    ...row,
    state,
    result_code: state === 'COMPLETED' ? 0 : 9,
    result_payload: omitted === true ? null : payload,
    result_payload_omitted: omitted,
  } as Row;
}

const plain = (row: Record<string, unknown>) => row as Row;

interface Subject {
  readonly name: string;
  /** A state that the statement finds. Every second record is in it, so that a run without a match is out of reach. */
  readonly finds: Before['state'];
  readonly inputs: Readonly<Record<string, fc.Arbitrary<unknown>>>;
  readonly rowOf: (row: Record<string, unknown>) => Row;
}

const subjects: readonly Subject[] = [
  {
    name: 'claim-new',
    finds: 'absent',
    inputs: { ...terms, too_old_time: fc.constantFrom('infinity', '2001-01-01T00:00:00Z') },
    rowOf: termsRow,
  },
  {
    name: 'claim-known',
    finds: 'lapsed',
    inputs: { ...terms, seen_token: token, new_token: fc.integer({ min: 4, max: 90 }), renew: fc.boolean() },
    rowOf: termsRow,
  },
  {
    name: 'park',
    finds: 'lapsed PARK',
    inputs: { seen_token: token, new_token: fc.integer({ min: 4, max: 90 }) },
    rowOf: plain,
  },
  {
    name: 'finish',
    finds: 'IN_PROGRESS',
    inputs: {
      fencing_token: token,
      state: fc.constantFrom('COMPLETED', 'FAILED'),
      payload: fc.option(bytes),
      omitted: fc.boolean(),
      result_digest: bytes,
      result_envelope: bytes,
      asked_result_retention_ms: fc.option(retention),
      policy_result_retention_ms: retention,
      tombstone_retention_ms: fc.constantFrom(0, 40_000_000, Infinity),
    },
    rowOf: finishRow,
  },
  {
    name: 'release',
    finds: 'IN_PROGRESS',
    inputs: {
      fencing_token: token,
      last_error_status: bytes,
      last_error_retry_after_ms: fc.option(fc.constant(250)),
      abandoned_retention_ms: retention,
    },
    rowOf: plain,
  },
  {
    name: 'heartbeat',
    finds: 'IN_PROGRESS',
    inputs: {
      fencing_token: token,
      lease_ms: seconds(5000, 40_000),
      checkpoint: fc.option(bytes),
      checkpoint_sequence: fc.nat(2),
      abandoned_retention_ms: retention,
    },
    rowOf: plain,
  },
  { name: 'watch', finds: 'IN_PROGRESS', inputs: { fencing_token: token }, rowOf: plain },
  { name: 'read', finds: 'COMPLETED', inputs: {}, rowOf: plain },
  { name: 'read-result', finds: 'COMPLETED', inputs: {}, rowOf: plain },
];

describe('one row or many, the answers and the table are the same', () => {
  test.each(subjects)('$name', async ({ name, finds, inputs, rowOf }) => {
    const statement = loadStatement(name);
    const found = before.map((record) => ({ ...record, state: finds }));
    const input = fc.record({ before: fc.oneof(before, found), row: fc.record(inputs).map(rowOf) });
    const answered = { rows: 0 };
    const property = fc.asyncProperty(fc.tuple(...keys.map(() => input)), async (given) => {
      for (const database of [one, many]) {
        await database.query("TRUNCATE onceward.record; SELECT setval('onceward.fencing_token', 100)");
        for (const [i, each] of given.entries()) await prepare(database, keys[i]!, each.before);
      }
      const rows = given.map(({ row }, i): Row => ({ ...row, namespace: 'test', scope: '', key: keys[i]! }));
      const singly = [];
      for (const row of rows) singly.push(...(await run(one, statement.one(row))));
      const together = await run(many, statement.many(rows));
      expect(sorted(together)).toEqual(sorted(singly));
      expect(await contentsOf(many)).toEqual(await contentsOf(one));
      answered.rows += singly.length;
    });
    await fc.assert(property, { seed, numRuns: 25, endOnFailure: true });
    // A statement that never matched would agree with itself too.
    expect(answered.rows).toBeGreaterThan(3);
  });
});

async function run(database: TestDatabase, { text, values }: PreparedQuery) {
  const rows = await database.query<Record<string, unknown>>(text, values);
  // The databases run a moment apart: times are compared by the table's contents, to 100 s.
  return rows.map((row) =>
    Object.fromEntries(Object.entries(row).filter(([column]) => !column.endsWith('_time'))),
  );
}

function sorted(rows: readonly Record<string, unknown>[]) {
  return [...rows].sort((a, b) => (String(a['key']) < String(b['key']) ? -1 : 1));
}

/** The table with its times as hundreds of seconds from now. */
async function contentsOf(database: TestDatabase) {
  const times = [
    'create_time',
    'lease_expire_time',
    'finish_time',
    'result_expire_time',
    'record_expire_time',
    'last_error_time',
  ];
  const relative = times.map(
    (time) => `'${time}', CASE WHEN ${time} = 'infinity' THEN 'never'
      ELSE round(extract(epoch FROM ${time} - now()) / 100)::text END`,
  );
  const rows = await database.query<{ content: unknown }>(
    `SELECT to_jsonb(r) || jsonb_build_object(${relative.join(', ')}) AS content FROM onceward.record r ORDER BY key`,
  );
  return rows.map(({ content }) => content);
}
