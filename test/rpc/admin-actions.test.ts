import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ResolveRequest } from '../../src/gen/onceward/v1/admin.js';
import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse, State } from '../../src/gen/onceward/v1/record.js';
import { beginRequest, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { caught, violatedFields } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { final, statusOf } from '../support/statuses.js';
import { lapse } from '../support/time-travel.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

type Decision = NonNullable<ResolveRequest['decision']>;
const completed = (payload = 'yes'): Decision => ({ $case: 'complete', value: result(payload) });
const failed: Decision = { $case: 'fail', value: statusOf(9, 'it did not happen') };
const release: Decision = { $case: 'release', value: {} };

const begin = (key: string, more = {}) => one.coordinator.begin(beginRequest(key, more));
const resolve = (key: string, decision: Decision, reason = 'looked it up') =>
  one.admin.resolve({ ref: refOf(key), decision, reason });
const forget = (key: string, more = {}) => one.admin.forget({ ref: refOf(key), reason: 'asked to', ...more });
const auditOf = async (key: string) =>
  (await one.admin.listAudit({})).entries.filter(({ ref }) => ref?.key === key);

/** A record whose owner vanished; `parked` by a Begin that found it, or only by time. */
async function park(key: string, parked: boolean, ref = refOf(key)): Promise<bigint> {
  const { fencingToken } = await execute(one, key, { ref, onLapse: OnLapse.PARK });
  await lapse(setup.database, key);
  if (parked) expectOutcome(await begin(key, { ref }), 'indeterminate');
  return fencingToken;
}

describe.each([true, false])('Resolve, of a record that a Begin has parked: %s', (parked) => {
  const name = parked ? 'parked' : 'lapsed';
  test('complete: it is replayed as that', async () => {
    const key = `${name}-complete`;
    const token = await park(key, parked);
    expect(await resolve(key, completed())).toEqual({ already: false, state: State.COMPLETED });
    expect(expectOutcome(await begin(key), 'replay').result).toEqual(result('yes'));
    expect(await resolve(key, completed())).toEqual({ already: true, state: State.COMPLETED });
    for (const other of [completed('no'), failed, release]) {
      expect(await caught(resolve(key, other))).toMatchObject({
        code: 9,
        reason: 'STATE_CONFLICT',
        metadata: { state: 'COMPLETED' },
      });
    }
    const late = one.coordinator.complete({ ref: refOf(key), fencingToken: token, result: result('yes') });
    expect(await caught(late)).toMatchObject({ reason: 'LEASE_LOST' });
    expect(await auditOf(key)).toMatchObject([
      { principal: 'anonymous', action: 'resolve', ref: refOf(key), reason: 'looked it up' },
    ]);
    expect(JSON.parse((await auditOf(key))[0]?.detail ?? '')).toEqual({ state: 'COMPLETED' });
  });
  test('fail: it is replayed as that', async () => {
    const key = `${name}-fail`;
    await park(key, parked);
    expect(await resolve(key, failed)).toEqual({ already: false, state: State.FAILED });
    const { result: replayed } = expectOutcome(await begin(key), 'replay');
    expect(replayed).toMatchObject({ status: statusOf(9, 'it did not happen'), payload: undefined });
    expect(await resolve(key, failed)).toEqual({ already: true, state: State.FAILED });
  });
  test('release: the next Begin executes, no takeover, and the old owner stays out', async () => {
    const key = `${name}-release`;
    const token = await park(key, parked);
    expect(await resolve(key, release)).toEqual({ already: false, state: State.RELEASED });
    expect(await resolve(key, release)).toEqual({ already: true, state: State.RELEASED });
    expect(await auditOf(key)).toHaveLength(1);
    const next = await execute(one, key);
    expect(next).toMatchObject({ attempt: 2, takeover: false });
    expect(next.fencingToken).toBeGreaterThan(token);
    const late = one.coordinator.complete({ ref: refOf(key), fencingToken: token });
    expect(await caught(late)).toMatchObject({ reason: 'LEASE_LOST' });
  });
});

describe('Resolve', () => {
  test('release forgives the attempts that were spent', async () => {
    await putNamespace(one, 'once', { maxAttempts: 1 });
    const ref = refOf('spent', 'once');
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      expect((await execute(one, 'spent', { ref })).attempt).toBe(attempt);
      await lapse(setup.database, 'spent');
      expect(expectOutcome(await begin('spent', { ref }), 'indeterminate')).toEqual({ attempt });
      await one.admin.resolve({ ref, decision: release, reason: 'again' });
    }
  });
  test('release of what its owner gave back is refused: no attempt would be forgiven', async () => {
    const { fencingToken } = await execute(one, 'given-back');
    const kind = FailRequest_Kind.RETRYABLE;
    await one.coordinator.fail({
      ref: refOf('given-back'),
      fencingToken,
      kind,
      status: statusOf(14, 'down'),
    });
    expect(await caught(resolve('given-back', release))).toMatchObject({
      reason: 'STATE_CONFLICT',
      metadata: { state: 'RELEASED' },
    });
    expect(await auditOf('given-back')).toEqual([]);
  });
  test('decides only what is indeterminate', async () => {
    await execute(one, 'live');
    await execute(one, 'rerun');
    await lapse(setup.database, 'rerun');
    await execute(one, 'live-park', { onLapse: OnLapse.PARK });
    for (const key of ['live', 'rerun', 'live-park']) {
      expect(await caught(resolve(key, completed()))).toMatchObject({
        reason: 'STATE_CONFLICT',
        metadata: { state: 'IN_PROGRESS' },
      });
      expect(await auditOf(key)).toEqual([]);
    }
    expect(await caught(resolve('nobody', release))).toMatchObject({ reason: 'RECORD_NOT_FOUND' });
  });
  test('a payload over the limit of its namespace is not kept', async () => {
    await putNamespace(one, 'tiny', { maxResultBytes: 1 });
    const ref = refOf('tiny-result', 'tiny');
    await park('tiny-result', true, ref);
    await one.admin.resolve({ ref, decision: completed('long'), reason: 'x' });
    const { result: replayed } = expectOutcome(await begin('tiny-result', { ref }), 'replay');
    expect(replayed).toMatchObject({ payload: undefined, payloadOmitted: true });
  });
  test('names what is wrong with the request', async () => {
    const wrong = (more: Partial<ResolveRequest>) =>
      violatedFields(one.admin.resolve({ ref: refOf('k'), decision: release, reason: 'r', ...more }));
    expect(await wrong({ decision: undefined })).toEqual(['decision']);
    expect(await wrong({ reason: '' })).toEqual(['reason']);
    expect(await wrong({ reason: 'ü'.repeat(513) })).toEqual(['reason']);
    expect(await wrong({ reason: 'a\0b' })).toEqual(['reason']);
    expect(await wrong({ decision: { $case: 'fail', value: statusOf(0) } })).toEqual(['fail.code']);
    expect(await wrong({ decision: { $case: 'fail', value: statusOf(17) } })).toEqual(['fail.code']);
    const notOk = { ...result('x'), status: statusOf(5) };
    expect(await wrong({ decision: { $case: 'complete', value: notOk } })).toEqual(['complete.status.code']);
  });
});

describe('Forget', () => {
  test('removes a record; the key is new, and its tokens still grow', async () => {
    const { fencingToken } = await execute(one, 'forgotten');
    await one.coordinator.fail(final(refOf('forgotten'), fencingToken));
    expectOutcome(await begin('forgotten'), 'replay');
    expect(await forget('forgotten')).toEqual({ already: false });
    expect(await forget('forgotten')).toEqual({ already: true });
    const again = await execute(one, 'forgotten');
    expect(again.attempt).toBe(1);
    expect(again.fencingToken).toBeGreaterThan(fencingToken);
    const [entry, ...others] = await auditOf('forgotten');
    expect(others).toEqual([]);
    expect(JSON.parse(entry?.detail ?? '')).toEqual({ state: 'FAILED', operation: 'charge', attempt: 1 });
  });
  test('leaves a live lease alone, unless told', async () => {
    const { fencingToken } = await execute(one, 'leased');
    expect(await caught(forget('leased'))).toMatchObject({
      reason: 'STATE_CONFLICT',
      metadata: { state: 'IN_PROGRESS' },
    });
    expect(await auditOf('leased')).toEqual([]);
    expect(await forget('leased', { evenIfLeased: true })).toEqual({ already: false });
    const late = one.coordinator.complete({ ref: refOf('leased'), fencingToken });
    expect(await caught(late)).toMatchObject({ reason: 'RECORD_NOT_FOUND' });
    await execute(one, 'lapsed');
    await lapse(setup.database, 'lapsed');
    expect(await forget('lapsed')).toEqual({ already: false });
  });
  test('of a key nobody began, or in a namespace nobody declared', async () => {
    expect(await forget('nobody')).toEqual({ already: true });
    expect(await caught(one.admin.forget({ ref: refOf('k', 'nobodys'), reason: 'r' }))).toMatchObject({
      reason: 'NAMESPACE_NOT_FOUND',
    });
    expect(await violatedFields(forget('nobody', { reason: '' }))).toEqual(['reason']);
  });
});
