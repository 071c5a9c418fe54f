import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ErrorInfo } from '../../src/gen/google/rpc/error_details.js';
import { BeginRequest, type Answer, type Call } from '../../src/gen/onceward/v1/coordinator.js';
import { beginRequest, execute, refOf, result } from '../support/calls.js';
import { violatedFields } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

function beginCall(id: number, key: string, more: Parameters<typeof beginRequest>[1] = {}): Call {
  const value = BeginRequest.fromPartial(beginRequest(key, more));
  return { id: BigInt(id), request: { $case: 'begin', value } };
}

async function batch(...calls: Call[]): Promise<readonly Answer[]> {
  return (await one.coordinator.batch({ calls })).answers;
}

/** An answer in a word: the outcome of a Begin, the reason of an error, or what else it is. */
function inAWord({ response }: Answer): string {
  if (response?.$case === 'begin') return response.value.outcome?.$case ?? 'no outcome';
  if (response?.$case !== 'status') return response?.$case ?? 'nothing';
  return ErrorInfo.decode(response.value.details[0]?.value ?? Buffer.alloc(0)).reason;
}

describe('Batch', () => {
  test('answers every kind of call, in the order of the calls, whatever their ids', async () => {
    const { fencingToken } = await execute(one, 'all-kinds');
    const ref = refOf('all-kinds');
    const other = await execute(one, 'all-kinds-fail');
    const answers = await batch(
      { id: 9n, request: { $case: 'lookup', value: { ref, withResult: false, withLineage: false } } },
      beginCall(3, 'all-kinds-new'),
      {
        id: 0n,
        request: {
          $case: 'heartbeat',
          value: { ref, fencingToken, lease: undefined, checkpointSequence: 0n },
        },
      },
      {
        id: 18446744073709551615n,
        request: {
          $case: 'fail',
          value: {
            ref: refOf('all-kinds-fail'),
            fencingToken: other.fencingToken,
            kind: 2,
            status: { code: 14, message: '', details: Buffer.alloc(0) },
            initialMetadata: [],
            trailingMetadata: [],
            retryAfter: undefined,
          },
        },
      },
      {
        id: 3n,
        request: { $case: 'lookup', value: { ref: refOf('nobody'), withResult: false, withLineage: false } },
      },
      { id: 1n, request: undefined },
    );
    expect(answers.map(({ id }) => id)).toEqual([9n, 3n, 0n, 18446744073709551615n, 3n, 1n]);
    expect(answers.map(inAWord)).toEqual([
      'lookup',
      'execute',
      'heartbeat',
      'fail',
      'RECORD_NOT_FOUND',
      'REQUEST_INVALID',
    ]);
    const [completed] = await batch({
      id: 1n,
      request: {
        $case: 'complete',
        value: { ref, fencingToken, result: result('x'), resultRetention: undefined },
      },
    });
    expect(completed?.response).toMatchObject({ $case: 'complete', value: { already: false } });
  });
  test('a bad call does not stop its companions', async () => {
    const answers = await batch(
      beginCall(1, 'good-1'),
      beginCall(2, 'bad key'),
      beginCall(3, 'good-2'),
      beginCall(4, 'good-3', { ref: refOf('good-3', 'nobodys') }),
      beginCall(5, 'good-1', { operation: 'other' }),
    );
    expect(answers.map(inAWord)).toEqual([
      'execute',
      'KEY_INVALID',
      'execute',
      'NAMESPACE_NOT_FOUND',
      'KEY_MISMATCH',
    ]);
  });
  test('a duplicate inside is a duplicate: one grant', async () => {
    const words = (await batch(...Array.from({ length: 50 }, (_, i) => beginCall(i, 'duplicate')))).map(
      inAWord,
    );
    expect(words.filter((word) => word === 'execute')).toHaveLength(1);
    expect(words.filter((word) => word === 'inProgress')).toHaveLength(49);
    const attemptId = randomUUID();
    const same = await batch(...Array.from({ length: 20 }, (_, i) => beginCall(i, 'resent', { attemptId })));
    expect(new Set(same.map(inAWord))).toEqual(new Set(['execute']));
  });
  test('takes 1 to 1000 calls', async () => {
    expect(await violatedFields(one.coordinator.batch({ calls: [] }))).toEqual(['calls']);
    const calls = Array.from({ length: 1001 }, (_, i) => beginCall(i, `many-${i}`));
    expect(await violatedFields(one.coordinator.batch({ calls }))).toEqual(['calls']);
    expect(await setup.database.query(`SELECT FROM onceward.record WHERE key LIKE 'many-%'`)).toEqual([]);
    const answers = await batch(...calls.slice(0, 1000));
    expect(new Set(answers.map(inAWord))).toEqual(new Set(['execute']));
    expect(answers.map(({ id }) => id)).toEqual(calls.slice(0, 1000).map(({ id }) => id));
  });
  test('answers that do not fit into one message are to be asked for again, alone', async () => {
    await putNamespace(one, 'large', { maxResultBytes: 3 * 1024 * 1024 });
    const keys = ['large-1', 'large-2', 'large-3'];
    for (const key of keys) {
      const ref = refOf(key, 'large');
      const { fencingToken } = await execute(one, key, { ref });
      await one.coordinator.complete({ ref, fencingToken, result: result(Buffer.alloc(1_500_000)) });
    }
    const again = (key: string, i: number) => beginCall(i, key, { ref: refOf(key, 'large') });
    const answers = await batch(...keys.map(again), beginCall(9, 'small'));
    // What is small still fits behind what did not.
    expect(answers.map(inAWord)).toEqual(['replay', 'replay', 'OVERLOADED', 'execute']);
    expect((await batch(again('large-3', 1))).map(inAWord)).toEqual(['replay']);
  });
});
