import { afterAll, beforeAll, expect, test } from 'vitest';
import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { beginRequest, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { expireRecord, expireResult, lapse } from '../support/time-travel.js';

/** Cleanup is invisible: what is swept answers as what is not. */

let setup: TestSetup;
/** Finishes; the other one answers, with nothing remembered. */
let one: TestCoordinator;
let other: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup({ coordinators: 2, flags: { samplerSchedule: 'off' } });
  [one, other] = setup.coordinators as [TestCoordinator, TestCoordinator];
  for (const name of ['swept', 'left']) await putNamespace(one, name);
  for (const name of ['swept-park', 'left-park']) await putNamespace(one, name, { onLapse: OnLapse.PARK });
});
afterAll(() => setup.stop());

type Ref = ReturnType<typeof refOf>;

async function grant(ref: Ref): Promise<bigint> {
  return expectOutcome(await one.coordinator.begin(beginRequest('', { ref })), 'execute').fencingToken;
}

async function complete(ref: Ref): Promise<bigint> {
  const fencingToken = await grant(ref);
  await one.coordinator.complete({ ref, fencingToken, result: result('charged') });
  return fencingToken;
}

async function fail(ref: Ref, kind: FailRequest_Kind): Promise<void> {
  const status = { code: 9, message: 'no money', details: Buffer.alloc(0) };
  await one.coordinator.fail({ ref, fencingToken: await grant(ref), kind, status });
}

/** What becomes of a key before it is swept. */
const lives: Readonly<Record<string, (ref: Ref) => Promise<unknown>>> = {
  'in progress': grant,
  lapsed: async (ref) => {
    await grant(ref);
    await lapse(setup.database, ref.key);
  },
  abandoned: async (ref) => {
    await grant(ref);
    await expireRecord(setup.database, ref.key);
  },
  released: (ref) => fail(ref, FailRequest_Kind.RETRYABLE),
  completed: complete,
  failed: (ref) => fail(ref, FailRequest_Kind.FINAL),
  'down to its tombstone': async (ref) => {
    await complete(ref);
    await expireResult(setup.database, ref.key);
  },
  'past everything': async (ref) => {
    await complete(ref);
    await expireRecord(setup.database, ref.key);
  },
};
const parked: Readonly<Record<string, (ref: Ref) => Promise<unknown>>> = {
  'lapsed, to be parked': lives['lapsed']!,
  indeterminate: async (ref) => {
    await lives['lapsed']!(ref);
    expectOutcome(await one.coordinator.begin(beginRequest('', { ref })), 'indeterminate');
  },
};

async function answersTo(ref: Ref) {
  const record = await other.coordinator.lookup({ ref, withResult: true }).then(
    ({ state, attempt, result: found }) => ({ state, attempt, found }),
    (error: unknown) => (error as Error).message,
  );
  const { outcome } = await other.coordinator.begin(beginRequest('', { ref }));
  switch (outcome?.$case) {
    case 'execute': {
      const { attempt, takeover, checkpoint } = outcome.value;
      return { record, execute: { attempt, takeover, checkpoint } };
    }
    case 'replay': {
      const { result: replayed, attempts } = outcome.value;
      return { record, replay: { replayed, attempts } };
    }
    default:
      return { record, outcome: outcome?.$case };
  }
}

test.each([
  ...Object.entries(lives).map(([life, live]) => [life, live, ''] as const),
  ...Object.entries(parked).map(([life, live]) => [life, live, '-park'] as const),
])('a key that is %s', async (life, live, namespace) => {
  const left = refOf(`left ${life}`.replaceAll(/[ ,]+/g, '-'), `left${namespace}`);
  const swept = refOf(left.key.replace('left', 'swept'), `swept${namespace}`);
  await live(left);
  await live(swept);
  await one.admin.sweep({ namespace: swept.namespace });
  expect(await answersTo(swept)).toEqual(await answersTo(left));
});

test('Sweep tells what it did, and what it would do', async () => {
  await putNamespace(one, 'counted');
  for (let i = 0; i < 5; i += 1) {
    const ref = refOf(`counted-${i}`, 'counted');
    await complete(ref);
    await (i < 3 ? expireRecord : expireResult)(setup.database, ref.key);
  }
  const sweep = (dryRun: boolean) => one.admin.sweep({ namespace: 'counted', dryRun });
  expect(await sweep(true)).toMatchObject({ removed: 3n, stripped: 2n, nextPageToken: '' });
  expect(await sweep(false)).toMatchObject({ removed: 3n, stripped: 2n });
  expect(await sweep(false)).toMatchObject({ removed: 0n, stripped: 0n });
});

test('a result that was stripped is told as expired, not run again', async () => {
  await complete(refOf('stripped'));
  await expireResult(setup.database, 'stripped');
  await one.admin.sweep({ namespace: 'test' });
  const rows = await setup.database.query(
    "SELECT result_payload, result_envelope FROM onceward.record WHERE key = 'stripped'",
  );
  expect(rows).toEqual([{ result_payload: null, result_envelope: null }]);
  expectOutcome(await other.coordinator.begin(beginRequest('stripped')), 'resultExpired');
});

test('a key that was removed gets a larger token when it comes back', async () => {
  const token = await complete(refOf('back'));
  await expireRecord(setup.database, 'back');
  await one.admin.sweep({ namespace: 'test' });
  expect(await setup.database.query("SELECT FROM onceward.record WHERE key = 'back'")).toEqual([]);
  expect((await execute(other, 'back')).fencingToken).toBeGreaterThan(token);
});
