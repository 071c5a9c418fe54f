import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { counterNames } from '../../src/telemetry/counters.js';
import type { Policy } from '../../src/gen/onceward/v1/admin.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { beginRequest, counterOf, execute, refOf, result } from '../support/calls.js';
import { caught, violatedFields } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { lapse } from '../support/time-travel.js';
import { duration, retention } from '../support/wire-time.js';

const day = 86_400_000;
let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

const defaultPolicy: Policy = {
  onLapse: OnLapse.RERUN,
  defaultLease: duration(30_000),
  maxLease: duration(3_600_000),
  maxAttempts: undefined,
  resultRetention: retention(day),
  maxResultRetention: retention(30 * day),
  tombstoneRetention: retention(0),
  abandonedRetention: retention(7 * day),
  maxResultBytes: 1024 * 1024,
  refuseOldKeys: true,
};

describe('namespaces', () => {
  test('take the defaults, and tell every field', async () => {
    const put = await putNamespace(one, 'plain');
    expect(put).toEqual({
      name: 'plain',
      policy: defaultPolicy,
      createTime: expect.any(Date) as Date,
      updateTime: expect.any(Date) as Date,
    });
    expect(await two.admin.getNamespace({ name: 'plain' })).toEqual(put);
  });
  test('keep what is given; put again, absent fields take their defaults again', async () => {
    const policy: Policy = {
      onLapse: OnLapse.PARK,
      defaultLease: duration(100),
      maxLease: duration(day),
      maxAttempts: 1_000_000,
      resultRetention: retention(1000),
      maxResultRetention: retention(Infinity),
      tombstoneRetention: retention(Infinity),
      abandonedRetention: retention(60_000),
      maxResultBytes: 0,
      refuseOldKeys: false,
    };
    const first = await putNamespace(one, 'given', policy);
    expect(first.policy).toEqual(policy);
    const second = await putNamespace(one, 'given');
    expect(second.policy).toEqual(defaultPolicy);
    expect(second.createTime).toEqual(first.createTime);
    expect(Number(second.updateTime)).toBeGreaterThan(Number(first.updateTime));
  });
  test('are listed by name', async () => {
    await putNamespace(one, 'z');
    await putNamespace(one, '0');
    const { namespaces } = await two.admin.listNamespaces({});
    const names = namespaces.map(({ name }) => name);
    expect(names).toEqual([...names].sort());
    expect(names).toEqual(expect.arrayContaining(['0', 'test', 'z']));
  });
  test('that nobody declared are not found', async () => {
    const name = 'declared-later';
    const ref = refOf('k', name);
    for (const call of [
      () => one.admin.getNamespace({ name }),
      () => one.coordinator.begin(beginRequest('k', { ref })),
      () => one.coordinator.complete({ ref, fencingToken: 1n }),
      () => one.coordinator.lookup({ ref }),
    ]) {
      expect(await caught(call())).toMatchObject({ code: 5, reason: 'NAMESPACE_NOT_FOUND' });
    }
    // Who asked before remembers no longer than the declaration takes to arrive.
    await putNamespace(two, name);
    await expect
      .poll(() =>
        one.coordinator.begin(beginRequest('k', { ref })).then(
          () => 'found',
          () => 'not found',
        ),
      )
      .toBe('found');
  });
  test('a changed policy holds for the next Begin here, and soon on other coordinators', async () => {
    await putNamespace(one, 'changing', { defaultLease: duration(1000) });
    const leaseOn = async (coordinator: TestCoordinator, key: string) =>
      (await execute(coordinator, key, { ref: refOf(key, 'changing') })).lease;
    expect(await leaseOn(two, 'a')).toEqual(duration(1000));
    await putNamespace(one, 'changing', { defaultLease: duration(2000) });
    expect(await leaseOn(one, 'b')).toEqual(duration(2000));
    let i = 0;
    await expect.poll(() => leaseOn(two, `c-${(i += 1)}`)).toEqual(duration(2000));
  });
  test('name every field that is wrong', async () => {
    const fields = (policy: Partial<Policy>, name = 'wrong') =>
      violatedFields(putNamespace(one, name, policy));
    const at = (field: string) => [`namespace.policy.${field}`];
    expect(await violatedFields(one.admin.putNamespace({}))).toEqual(['namespace']);
    for (const name of ['', 'A', 'n'.repeat(64), '__proto__', 'a b', 'ü']) {
      expect(await fields({}, name)).toEqual(['namespace.name']);
    }
    expect(await fields({ onLapse: 7 as OnLapse })).toEqual(at('on_lapse'));
    expect(await fields({ defaultLease: duration(99) })).toEqual(at('default_lease'));
    expect(await fields({ maxLease: duration(-1), defaultLease: duration(100) })).toContain(
      at('max_lease')[0],
    );
    expect(await fields({ maxAttempts: 0 })).toEqual(at('max_attempts'));
    expect(await fields({ maxAttempts: -2147483648 })).toEqual(at('max_attempts'));
    expect(await fields({ resultRetention: { kind: undefined } })).toEqual(at('result_retention'));
    expect(await fields({ tombstoneRetention: { kind: { $case: 'forever', value: false } } })).toEqual(
      at('tombstone_retention.forever'),
    );
    expect(await fields({ abandonedRetention: retention(1000) })).toEqual(at('abandoned_retention'));
    expect(await fields({ maxResultBytes: 3 * 1024 * 1024 + 1 })).toEqual(at('max_result_bytes'));
    expect(await fields({ maxResultRetention: retention(1000) })).toEqual(at('max_result_retention'));
    expect(await caught(one.admin.getNamespace({ name: 'wrong' }))).toMatchObject({
      reason: 'NAMESPACE_NOT_FOUND',
    });
  });
});

describe('ListAudit', () => {
  test('tells every declaration with its policy, newest first, by page', async () => {
    for (const maxAttempts of [1, 2, 3, 4, 5]) await putNamespace(one, 'audited', { maxAttempts });
    await one.admin.forget({ ref: refOf('unknown', 'audited'), reason: 'nothing there, so nothing done' });
    const { entries } = await two.admin.listAudit({ namespace: 'audited' });
    const details = entries.map(({ detail }) => JSON.parse(detail) as { maxAttempts: number });
    expect(details.map(({ maxAttempts }) => maxAttempts)).toEqual([5, 4, 3, 2, 1]);
    expect(entries[0]).toMatchObject({ action: 'put-namespace', ref: refOf('', 'audited'), reason: '' });
    const paged: typeof entries = [];
    let pageToken = '';
    do {
      const page = await two.admin.listAudit({ namespace: 'audited', pageSize: 2, pageToken });
      paged.push(...page.entries);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(paged).toEqual(entries);
    const all = (await one.admin.listAudit({ pageSize: 1000 })).entries.map(({ revision }) => revision);
    expect(all).toEqual([...all].sort((a, b) => Number(b - a)));
    expect(new Set(all).size).toBe(all.length);
  });
  test('refuses what is out of bounds, and tokens it did not give', async () => {
    const token = (position: unknown) => Buffer.from(JSON.stringify(position)).toString('base64url');
    for (const pageToken of [
      '?',
      token([]),
      token(['a']),
      token(['-1']),
      token([1]),
      token(['9'.repeat(19)]),
    ]) {
      expect(await violatedFields(one.admin.listAudit({ pageToken }))).toEqual(['page_token']);
    }
    expect(await violatedFields(one.admin.listAudit({ pageSize: 1001 }))).toEqual(['page_size']);
  });
});

describe('GetStats', () => {
  test('counts what this process did, and sizes every partition', async () => {
    const counters = async () => (await one.admin.getStats({})).counters;
    const before = await counters();
    expect(Object.keys(before).sort()).toEqual([...counterNames].sort());
    const { fencingToken } = await execute(one, 'counted');
    await one.coordinator.begin(beginRequest('counted'));
    await one.coordinator.complete({ ref: refOf('counted'), fencingToken, result: result('x') });
    await one.coordinator.complete({ ref: refOf('counted'), fencingToken, result: result('x') });
    await one.coordinator.begin(beginRequest('counted'));
    await caught(one.coordinator.complete({ ref: refOf('counted'), fencingToken, result: result('y') }));
    await caught(one.coordinator.begin(beginRequest('counted', { operation: 'other' })));
    await execute(one, 'counted-2');
    await lapse(setup.database, 'counted-2');
    await execute(one, 'counted-2');
    const after = await counters();
    const grown = Object.entries(after)
      .map(([name, count]) => [name, Number(count - (before[name] ?? 0n))] as const)
      .filter(([, count]) => count > 0);
    expect(Object.fromEntries(grown)).toMatchObject({
      'begin.execute': 3,
      'begin.execute.takeover': 1,
      'begin.in_progress': 1,
      'begin.replay': 1,
      'begin.mismatch': 1,
      'complete.done': 1,
      'complete.already': 1,
      result_conflict: 1,
    });
    const { partitions } = await one.admin.getStats({});
    expect(partitions).toHaveLength(16);
    expect(partitions[0]?.name).toBe('record_0000');
    expect(partitions.every(({ totalBytes }) => totalBytes > 0n)).toBe(true);
  });
  test('counts a Begin once whose fingerprint is of another version, wherever it is answered from', async () => {
    const of = (version: number) => ({ fingerprint: { version, digest: Buffer.from('digest') } });
    const counted = () => counterOf(one, 'begin.fingerprint_incomparable');
    const before = await counted();
    const { fencingToken } = await execute(one, 'versions', of(1));
    await Promise.all(
      Array.from({ length: 20 }, () => one.coordinator.begin(beginRequest('versions', of(2)))),
    );
    expect(await counted()).toBe(before + 20n);
    await one.coordinator.complete({ ref: refOf('versions'), fencingToken, result: result('x') });
    // Read, or kept.
    for (let i = 0; i < 5; i += 1) await one.coordinator.begin(beginRequest('versions', of(2)));
    expect(await counted()).toBe(before + 25n);
    await execute(one, 'versions-lapsed', of(1));
    await lapse(setup.database, 'versions-lapsed');
    await execute(one, 'versions-lapsed', of(2));
    expect(await counted()).toBe(before + 26n);
    await one.coordinator.begin(beginRequest('versions-lapsed', { ...of(1), wait: duration(1500) }));
    expect(await counted()).toBe(before + 26n);
    await one.coordinator.begin(beginRequest('versions-lapsed', { ...of(2), wait: duration(1500) }));
    expect(await counted()).toBe(before + 27n);
  });
});
