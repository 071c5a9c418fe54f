import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { fillWithRecords, sweepQuery } from './swept-records.js';
import { insertNamespace } from './valid-records.js';

/**
 * Plans of the sweep over 80,000 records: it reads the pages it is asked for, whatever the planner knows. Of a partition of
 * some ten pages it may as well read all.
 */

let database: TestDatabase;
const partition = 'record_0007';

beforeAll(async () => {
  database = await createDatabase();
  await insertNamespace(database, 'test');
  await fillWithRecords(database, 80_000);
});
afterAll(() => database.drop());

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

function nodesOf(node: PlanNode): readonly PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** How the partition is read. */
async function scansOf(...settings: readonly string[]): Promise<readonly string[]> {
  const client = new pg.Client(database.url);
  await client.connect();
  for (const setting of settings) await client.query(`SET ${setting}`);
  await client.query(`PREPARE sweep AS ${sweepQuery(partition, []).text}`);
  const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (FORMAT JSON) EXECUTE sweep('${partition}', '{0,1,2}', NULL, NULL, NULL, false, NULL)`,
  );
  await client.end();
  return nodesOf(rows[0]!['QUERY PLAN'][0].Plan)
    .filter((node) => node['Relation Name'] === partition && node['Node Type'].includes('Scan'))
    .map((node) => node['Node Type'])
    .sort();
}

test.each([
  ['force_custom_plan', 'without statistics'],
  ['force_generic_plan', 'without statistics'],
  ['force_custom_plan', 'with statistics'],
  ['force_generic_plan', 'with statistics'],
])('%s, %s', async (planCacheMode, when) => {
  if (when === 'with statistics') await database.query('ANALYZE onceward.record');
  const scans = await scansOf(`plan_cache_mode = ${planCacheMode}`);
  // The look; and to lock and to change, what is removed and what is stripped.
  expect(scans).toEqual(['Tid Range Scan', ...Array<string>(4).fill('Tid Scan')]);
});

test('a plan that reads the whole partition is seen', async () => {
  expect(await scansOf('enable_tidscan = off')).toContain('Seq Scan');
});
