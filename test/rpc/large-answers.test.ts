import { afterAll, beforeAll, expect, test } from 'vitest';
import { Status } from '../../src/gen/onceward/v1/record.js';
import { execute, refOf, result } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { openSession } from '../support/session.js';
import { statusOf } from '../support/statuses.js';

const count = 400;
let setup: TestSetup;
let one: TestCoordinator;

/** A parent with the largest result, and children that all failed with the longest error: 8 MiB of records. */
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  await putNamespace(one, 'large', { maxResultBytes: 3 * 1024 * 1024 });
  const ref = refOf('parent', 'large');
  const { fencingToken } = await execute(one, 'parent', { ref });
  await one.coordinator.complete({ ref, fencingToken, result: result(Buffer.alloc(3 * 1024 * 1024)) });
  const lastError = Status.encode(statusOf(14, 'm'.repeat(4096), Buffer.alloc(16 * 1024))).finish();
  await setup.database.query(
    `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
       record_expire_time, operation, attempt_id, last_error_status, last_error_time,
       parent_namespace, parent_scope, parent_key)
     SELECT 'large', 's', lpad(i::text, 4, '0'), 'RELEASED', 'RERUN', 1, 1, now() + i * interval '1 s', 'infinity', 'o', 'a',
       $1, now(), 'large', '', 'parent'
     FROM generate_series(1, ${count}) i`,
    [lastError],
  );
});
afterAll(() => setup.stop());

test('a page of large records ends early, and the pages are still the whole list', async () => {
  const keys: (string | undefined)[] = [];
  let pages = 0;
  let pageToken = '';
  do {
    const page = await one.admin.listRecords({ namespace: 'large', pageSize: 1000, pageToken });
    keys.push(...page.records.map(({ ref }) => ref?.key));
    pageToken = page.nextPageToken;
    pages += 1;
  } while (pageToken !== '');
  expect(keys).toHaveLength(count + 1);
  expect(new Set(keys).size).toBe(count + 1);
  expect(pages).toBeGreaterThan(2);
});

test('lineage is as much as fits beside the result, oldest first, also on a session', async () => {
  const lookup = { ref: refOf('parent', 'large'), withResult: true, withLineage: true };
  const record = await one.coordinator.lookup(lookup);
  expect(record.result?.payload).toHaveLength(3 * 1024 * 1024);
  const keys = record.children.map(({ ref }) => ref?.key);
  expect(keys.length).toBeGreaterThan(0);
  expect(keys).toEqual(keys.map((_, i) => String(i + 1).padStart(4, '0')));
  const alone = await one.coordinator.lookup({ ...lookup, withResult: false });
  expect(alone.children.length).toBeGreaterThan(keys.length);
  expect([record.childrenOmitted, alone.childrenOmitted]).toEqual([true, true]);

  const session = openSession(one.address);
  session.send({ id: 1n, request: { $case: 'lookup', value: lookup } });
  const [answer] = await session.answersTo([1n]);
  expect(answer?.response?.$case).toBe('lookup');
  session.close();
});
