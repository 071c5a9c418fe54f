import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectionConfig } from '../../src/store/pool.js';
import { planningByKey } from '../../src/store/session-settings.js';
import { migrate } from '../../src/store/migrate.js';
import { loadStatement, type PreparedQuery, type Row, type Statement } from '../../src/store/statement.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { insertNamespace } from './valid-records.js';

/**
 * Plans over 20,000 records, in a session as the store opens it: a key costs one look into one partition's primary key,
 * alone and in a batch, also by a plan made while the store was empty.
 */

let database: TestDatabase;
let client: pg.Client;
const recordCount = 20_000;

beforeAll(async () => {
  database = await createDatabase({ migrated: false });
  await migrate(database.url);
  await insertNamespace(database, 'test');
  client = new pg.Client(connectionConfig(database.url, planningByKey));
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function fill(): Promise<void> {
  await database.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       lease_expire_time, record_expire_time, operation, attempt_id)
     SELECT 'test', '', 'key-' || n, 'IN_PROGRESS', 'RERUN', 1, n, now(), now() + interval '1 h', 'infinity',
       'charge', 'a1' FROM generate_series(1, $1::int) n`,
    [recordCount],
  );
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Loops': number;
  readonly Plans?: readonly PlanNode[];
}

/** All nodes that were really executed. */
function executed(node: PlanNode): readonly PlanNode[] {
  const below = (node.Plans ?? []).flatMap(executed);
  return node['Actual Loops'] === 0 ? [] : [node, ...below];
}

/** Prepares a statement and has it planned for good. */
async function prepare(as: string, { text, values }: PreparedQuery): Promise<void> {
  await client.query(`PREPARE ${as} AS ${text}`);
  await client.query(`EXPLAIN EXECUTE ${as}${listOf(values.map(() => null))}`);
}

/** Runs a prepared statement, undoes it, and gives the nodes that read or changed the record table. */
async function nodesOf(prepared: string, values: readonly unknown[]): Promise<readonly PlanNode[]> {
  await client.query('BEGIN');
  try {
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) EXECUTE ${prepared}${listOf(values)}`,
    );
    return executed(rows[0]!['QUERY PLAN'][0].Plan).filter((node) =>
      node['Relation Name']?.startsWith('record_'),
    );
  } finally {
    await client.query('ROLLBACK');
  }
}

/** The values of a batch, a column an array: as the statement sends them, SQL can't name them. */
function columnsOf(statement: Statement, rows: readonly Row[]): readonly unknown[] {
  const lines = rows.map((row) => statement.one(row).values);
  return (lines[0] ?? []).map((_, column) => lines.map((line) => line[column]));
}

function listOf(values: readonly unknown[]): string {
  if (values.length === 0) return '';
  return `(${values.map((value) => (value === null ? 'NULL' : client.escapeLiteral(textOf(value)))).join(', ')})`;
}

/** A parameter, or an array of them, as Postgres writes it. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (!Array.isArray(value)) return String(value);
  const elements = value.map((each) =>
    each === null ? 'NULL' : `"${textOf(each).replaceAll(/["\\]/g, '\\$&')}"`,
  );
  return `{${elements.join(',')}}`;
}

const terms = {
  operation: 'charge',
  fingerprint_version: null,
  fingerprint_digest: null,
  attempt_id: 'a2',
  lease_ms: 1000,
  on_lapse: 'RERUN',
  abandoned_retention_ms: 1000,
  result_retention_ms: null,
  parent_namespace: null,
  parent_scope: null,
  parent_key: null,
  labels: null,
  traceparent: null,
};

const updates: Readonly<Record<string, Row>> = {
  'claim-known': { ...terms, new_token: 99_999, renew: false, seen_token: 1 },
  park: { seen_token: 1, new_token: 99_999 },
  finish: {
    state: 'COMPLETED',
    result_code: 0,
    result_digest: Buffer.from('d'),
    result_envelope: Buffer.from('e'),
    result_payload: null,
    result_payload_omitted: false,
    asked_result_retention_ms: null,
    policy_result_retention_ms: 1000,
    tombstone_retention_ms: 0,
  },
  release: {
    last_error_status: Buffer.from('s'),
    last_error_retry_after_ms: null,
    abandoned_retention_ms: 1000,
  },
  heartbeat: { lease_ms: 1000, checkpoint: null, checkpoint_sequence: 0, abandoned_retention_ms: 1000 },
  watch: {},
  read: {},
  'read-result': {},
};

function rowFor(name: string, n: number): Row {
  return { fencing_token: n, ...updates[name], seen_token: n, namespace: 'test', scope: '', key: `key-${n}` };
}

function expectIndexed(nodes: readonly PlanNode[]): void {
  const scans = nodes.filter((node) => node['Node Type'].includes('Scan'));
  expect(scans.length).toBeGreaterThan(0);
  for (const scan of scans) {
    expect(scan).toMatchObject({
      'Node Type': expect.stringMatching(/^Index (Only )?Scan$/) as string,
      'Index Name': `${scan['Relation Name']}_pkey`,
    });
  }
}

function scansOf(nodes: readonly PlanNode[]): readonly PlanNode[] {
  return nodes.filter((node) => node['Node Type'].includes('Scan'));
}

const forgetRow = { namespace: 'test', scope: '', key: 'key-4711', even_if_leased: true };
const names = Object.keys(updates);
const batchSizes = [2, 20, 256];

describe.each(['while the store was empty', 'with statistics'])('planned %s', (when) => {
  const early = when === 'while the store was empty';
  const nameOf = (name: string, form: string) =>
    `${name}_${form}_${early ? 'early' : 'late'}`.replaceAll('-', '_');

  beforeAll(async () => {
    if (!early) await database.query('ANALYZE onceward.record');
    for (const name of names) {
      await prepare(nameOf(name, 'one'), loadStatement(name).one(rowFor(name, 1)));
      await prepare(nameOf(name, 'many'), loadStatement(name).many([rowFor(name, 1)]));
    }
    await prepare(nameOf('forget', 'one'), loadStatement('forget').one(forgetRow));
    if (early) await fill();
  });

  describe.each(names)('%s', (name) => {
    test('for one key looks into one partition', async () => {
      const nodes = await nodesOf(nameOf(name, 'one'), loadStatement(name).one(rowFor(name, 4711)).values);
      expectIndexed(nodes);
      expect(scansOf(nodes)).toHaveLength(1);
    });

    test.each(batchSizes)('for %i keys looks as often', async (count) => {
      const rows = Array.from({ length: count }, (_, i) => rowFor(name, 1 + i * 70));
      const nodes = await nodesOf(nameOf(name, 'many'), columnsOf(loadStatement(name), rows));
      expectIndexed(nodes);
      const looks = scansOf(nodes).reduce((sum, node) => sum + node['Actual Loops'], 0);
      expect(looks).toBe(count);
    });
  });

  test('forget looks into one partition', async () => {
    const nodes = await nodesOf(nameOf('forget', 'one'), loadStatement('forget').one(forgetRow).values);
    expectIndexed(nodes);
    expect(scansOf(nodes)).toHaveLength(1);
  });
});

test('children are found by the index for lineage', async () => {
  const query = loadStatement('read-children').one({
    namespace: 'test',
    scope: '',
    key: 'key-1',
    row_limit: 10,
  });
  await client.query(`PREPARE children AS ${query.text}`);
  const nodes = await nodesOf('children', query.values);
  expect(scansOf(nodes).map((node) => node['Node Type'])).not.toContain('Seq Scan');
});

test('a plan that reads whole partitions is seen', async () => {
  await client.query('SET enable_seqscan = on');
  for (const name of ['enable_indexscan', 'enable_bitmapscan']) await client.query(`SET ${name} = off`);
  const statement = loadStatement('watch');
  const rows = [rowFor('watch', 1), rowFor('watch', 2)];
  await prepare('unguarded', statement.many(rows));
  const nodes = await nodesOf('unguarded', columnsOf(statement, rows));
  expect(() => expectIndexed(nodes)).toThrow('Seq Scan');
});
