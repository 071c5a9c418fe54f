import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListRecordsRequest } from '../../src/gen/onceward/v1/admin.js';
import { OnLapse, State } from '../../src/gen/onceward/v1/record.js';
import { execute, refOf, result } from '../support/calls.js';
import { violatedFields } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { final, retryable } from '../support/statuses.js';
import { expireRecord, lapse } from '../support/time-travel.js';
import { duration } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;

/** One record of each state, and some of another namespace and scope. */
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  await putNamespace(one, 'another');
  const token = async (key: string, more = {}) => (await execute(one, key, more)).fencingToken;
  await execute(one, 'a-running');
  await execute(one, 'a-lapsed');
  await lapse(setup.database, 'a-lapsed');
  await execute(one, 'a-parked', { onLapse: OnLapse.PARK });
  await lapse(setup.database, 'a-parked');
  await one.coordinator.complete({
    ref: refOf('b-done'),
    fencingToken: await token('b-done'),
    result: result('x'),
  });
  await one.coordinator.fail(final(refOf('b-failed'), await token('b-failed')));
  await one.coordinator.fail(retryable(refOf('b-released'), await token('b-released')));
  await execute(one, 'b-expired');
  await expireRecord(setup.database, 'b-expired');
  await execute(one, 'a%', { ref: refOf('a%', 'another', 'scope') });
  await execute(one, 'a_', { ref: refOf('a_', 'another') });
  await setup.database.query(
    `UPDATE onceward.record SET create_time = now() - interval '1 h' WHERE key IN ('a-running', 'b-done')`,
  );
});
afterAll(() => setup.stop());

async function list(filter: Partial<ListRecordsRequest>): Promise<readonly string[]> {
  const { records } = await one.admin.listRecords(filter);
  return records.map(({ ref }) => `${ref?.namespace}/${ref?.scope}/${ref?.key}`);
}
const inTest = (...keys: string[]) => keys.map((key) => `test//${key}`);

describe('ListRecords', () => {
  test('lists what still counts, by key, scope and namespace', async () => {
    expect(await list({})).toEqual([
      'another/scope/a%',
      ...inTest('a-lapsed', 'a-parked', 'a-running'),
      'another//a_',
      ...inTest('b-done', 'b-failed', 'b-released'),
    ]);
  });
  test.each<[string, Partial<ListRecordsRequest>, readonly string[]]>([
    ['a namespace', { namespace: 'another' }, ['another/scope/a%', 'another//a_']],
    ['a namespace nobody declared', { namespace: 'nobodys' }, []],
    [
      'in progress, lapsed ones with them',
      { namespace: 'test', state: State.IN_PROGRESS },
      inTest('a-lapsed', 'a-running'),
    ],
    ['indeterminate, not yet parked ones with them', { state: State.INDETERMINATE }, inTest('a-parked')],
    ['completed', { state: State.COMPLETED }, inTest('b-done')],
    ['failed', { state: State.FAILED }, inTest('b-failed')],
    ['released', { state: State.RELEASED }, inTest('b-released')],
    ['a prefix', { keyPrefix: 'b-' }, inTest('b-done', 'b-failed', 'b-released')],
    ['a prefix that is no pattern', { keyPrefix: 'a%' }, ['another/scope/a%']],
    ['a prefix that is no pattern either', { keyPrefix: 'a_' }, ['another//a_']],
    ['older than', { minAge: duration(1_800_000) }, inTest('a-running', 'b-done')],
    [
      'younger than',
      { maxAge: duration(1_800_000), namespace: 'test', keyPrefix: 'b' },
      inTest('b-failed', 'b-released'),
    ],
    [
      'all filters at once',
      {
        namespace: 'test',
        state: State.COMPLETED,
        keyPrefix: 'b',
        minAge: duration(0),
        maxAge: duration(7_200_000),
      },
      inTest('b-done'),
    ],
  ])('%s', async (_, filter, expected) => {
    expect(await list(filter)).toEqual(expected);
  });
  test.each([1, 2, 3, 7, 8, 9])('pages of %i are the whole list', async (pageSize) => {
    const whole = await list({});
    const found: string[] = [];
    let pages = 0;
    let pageToken = '';
    do {
      const page = await one.admin.listRecords({ pageSize, pageToken });
      expect(page.records.length).toBeLessThanOrEqual(pageSize);
      found.push(...page.records.map(({ ref }) => `${ref?.namespace}/${ref?.scope}/${ref?.key}`));
      pageToken = page.nextPageToken;
      pages += 1;
    } while (pageToken !== '');
    expect(found).toEqual(whole);
    expect(pages).toBe(Math.ceil(whole.length / pageSize));
  });
  test('a page is of 100 unless asked, and no token makes it larger', async () => {
    await setup.database.query(
      `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time,
         lease_expire_time, record_expire_time, operation, attempt_id)
       SELECT 'another', 'many', 'k' || i, 'IN_PROGRESS', 'RERUN', 1, 1, now(), now() + interval '1 h', 'infinity', 'o', 'a'
       FROM generate_series(1, 150) i`,
    );
    const first = await one.admin.listRecords({ namespace: 'another' });
    expect(first.records).toHaveLength(100);
    const rest = await one.admin.listRecords({ namespace: 'another', pageToken: first.nextPageToken });
    expect(rest.records).toHaveLength(52);
    expect(rest.nextPageToken).toBe('');
  });
  test('refuses what is out of bounds, and tokens it did not give', async () => {
    const fields = (filter: Partial<ListRecordsRequest>) => violatedFields(one.admin.listRecords(filter));
    expect(await fields({ pageSize: 1001, namespace: 'Test', keyPrefix: 'a b' })).toEqual([
      'namespace',
      'key_prefix',
      'page_size',
    ]);
    expect(await fields({ pageSize: -1 })).toEqual(['page_size']);
    expect(await fields({ minAge: duration(-1), maxAge: duration(3651 * 86_400_000) })).toEqual([
      'min_age',
      'max_age',
    ]);
    expect(await fields({ state: 99 as State })).toEqual(['state']);
    const token = (position: unknown) => Buffer.from(JSON.stringify(position)).toString('base64url');
    for (const pageToken of [
      'x',
      '!',
      token([]),
      token(['a', 'b']),
      token(['a', 'b', 3]),
      token(['a', 'b', 'c\0']),
      token({ length: 3 }),
    ]) {
      expect(await fields({ pageToken })).toEqual(['page_token']);
    }
  });
});
