import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { withoutDatabase } from '../support/outage.js';
import { protoClient, ProtoError, type Message, type ProtoClient } from '../support/proto-client.js';
import { expireRecord, lapse } from '../support/time-travel.js';

let setup: TestSetup;
let one: TestCoordinator;
let client: ProtoClient;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  client = protoClient(one.address);
});
afterAll(async () => {
  client.close();
  await setup.stop();
});

// Values that must come back in no error. They pass every check on their way in.
const secretKey = 'canary-key-4711';
const secretPayload = 'canary-payload-4711';
const secretScope = 'canary-scope-4711';
const ref = (key = secretKey, namespace = 'test') => ({ namespace, scope: secretScope, key });
const beginning = (more: object = {}) => ({
  ref: ref(),
  operation: 'charge',
  attempt_id: 'canary-attempt-4711',
  ...more,
});
const result = { payload: Buffer.from(secretPayload) };

async function token(key: string, more: object = {}): Promise<string> {
  const answer = await client.call('Coordinator', 'Begin', beginning({ ref: ref(key), ...more }));
  return (answer['execute'] as Message)['fencing_token'] as string;
}

async function failure(service: string, method: string, request: object): Promise<ProtoError> {
  const answer: unknown = await client.call(service, method, request).catch((error: unknown) => error);
  if (answer instanceof ProtoError) return answer;
  throw new Error(`expected an error of ${method}, got ${JSON.stringify(answer)}`);
}

const detail = (error: ProtoError, type: string) => error.details.get(`google.rpc.${type}`);

/** One call that ends with each reason. */
const provoke: Readonly<Record<string, () => Promise<ProtoError>>> = {
  KEY_INVALID: () => failure('Coordinator', 'Begin', beginning({ ref: ref(`${secretKey} spaced`) })),
  REQUEST_INVALID: () =>
    failure(
      'Coordinator',
      'Begin',
      beginning({ operation: `${secretKey} spaced`, lease: { seconds: 0, nanos: 1 } }),
    ),
  KEY_MISMATCH: async () => {
    await token('canary-mismatch');
    return failure('Coordinator', 'Begin', beginning({ ref: ref('canary-mismatch'), operation: 'refund' }));
  },
  KEY_TOO_OLD: () =>
    failure(
      'Coordinator',
      'Begin',
      beginning({ ref: ref('canary-old'), first_attempt_time: { seconds: 1 } }),
    ),
  STATE_CONFLICT: async () => {
    await token('canary-live');
    return failure('Admin', 'Forget', { ref: ref('canary-live'), reason: 'canary-reason-4711' });
  },
  LEASE_LOST: async () => {
    const old = await token('canary-lost');
    await lapse(setup.database, 'canary-lost');
    await token('canary-lost', { attempt_id: 'next' });
    return failure('Coordinator', 'Complete', { ref: ref('canary-lost'), fencing_token: old, result });
  },
  RESULT_CONFLICT: async () => {
    const fencing_token = await token('canary-conflict');
    await client.call('Coordinator', 'Complete', { ref: ref('canary-conflict'), fencing_token, result });
    const other = { payload: Buffer.from(`${secretPayload}-other`) };
    return failure('Coordinator', 'Complete', { ref: ref('canary-conflict'), fencing_token, result: other });
  },
  RECORD_NOT_FOUND: async () => {
    const fencing_token = await token('canary-gone');
    await expireRecord(setup.database, 'canary-gone');
    return failure('Coordinator', 'Complete', { ref: ref('canary-gone'), fencing_token, result });
  },
  NAMESPACE_NOT_FOUND: () =>
    failure('Coordinator', 'Begin', beginning({ ref: ref(secretKey, 'canary-namespace-4711') })),
};
const codes: Readonly<Record<string, number>> = {
  KEY_INVALID: 3,
  REQUEST_INVALID: 3,
  KEY_MISMATCH: 9,
  KEY_TOO_OLD: 9,
  STATE_CONFLICT: 9,
  LEASE_LOST: 10,
  RESULT_CONFLICT: 10,
  RECORD_NOT_FOUND: 5,
  NAMESPACE_NOT_FOUND: 5,
};

describe('a client of the .proto files alone reads', () => {
  test.each(Object.keys(provoke))('%s, and nothing secret', async (reason) => {
    const error = await provoke[reason]!();
    expect(error.code).toBe(codes[reason]);
    // Code and message stand twice, once where every gRPC client looks.
    expect(error.status).toMatchObject({ code: error.code, message: error.message });
    expect(detail(error, 'ErrorInfo')).toMatchObject({ reason, domain: 'onceward' });
    expect(detail(error, 'RetryInfo')).toBeUndefined();
    const everything = JSON.stringify([error.message, [...error.details]]);
    expect(everything).not.toContain('4711');
    expect(everything).not.toMatch(/canary/);
  });
  test('which fields are bad, and their bounds', async () => {
    const error = await provoke['REQUEST_INVALID']!();
    const violations = detail(error, 'BadRequest')?.['field_violations'];
    expect(violations).toEqual([
      { field: 'operation', description: 'must be visible ASCII characters (0x21 to 0x7e) only' },
      // Whether a lease fits its namespace is judged only for requests that are sound in themselves.
    ]);
    const lease = await failure('Coordinator', 'Begin', beginning({ lease: { seconds: 3601 } }));
    expect(detail(lease, 'BadRequest')).toEqual({
      field_violations: [{ field: 'lease', description: 'must be 100 ms to 3600000 ms' }],
    });
    const key = await failure('Coordinator', 'Begin', beginning({ ref: ref('k'.repeat(256)) }));
    expect(detail(key, 'BadRequest')).toEqual({
      field_violations: [{ field: 'ref.key', description: 'must have 1 to 255 characters, has 256' }],
    });
  });
  test('the state found, and the field that differs', async () => {
    const info = async (reason: string) => detail(await provoke[reason]!(), 'ErrorInfo')?.['metadata'];
    expect(await info('STATE_CONFLICT')).toEqual({ state: 'IN_PROGRESS' });
    expect(await info('KEY_MISMATCH')).toEqual({ field: 'operation' });
  });
  test('an answer of a batch as the same error', async () => {
    const call = { id: '7', begin: beginning({ ref: ref('bad key') }) };
    const { answers } = await client.call('Coordinator', 'Batch', { calls: [call] });
    const alone = await failure('Coordinator', 'Begin', call.begin);
    expect(answers).toEqual([{ id: '7', response: 'status', status: alone.status }]);
  });
  test('execute, complete and replay', async () => {
    const fencing_token = await token('plain');
    await client.call('Coordinator', 'Complete', { ref: ref('plain'), fencing_token, result });
    const replayed = await client.call('Coordinator', 'Begin', beginning({ ref: ref('plain') }));
    expect(replayed).toMatchObject({
      outcome: 'replay',
      replay: { attempts: 1, result: { payload: Buffer.from(secretPayload) } },
    });
  });
});

describe("what is not the caller's fault", () => {
  test('a bug of ours is INTERNAL, and tells nothing of the database', async () => {
    await setup.database.query('ALTER TABLE onceward.record RENAME COLUMN operation TO operation_4711');
    const error = await failure('Coordinator', 'Begin', beginning({ ref: ref('internal') }));
    await setup.database.query('ALTER TABLE onceward.record RENAME COLUMN operation_4711 TO operation');
    expect(error.code).toBe(13);
    expect(detail(error, 'ErrorInfo')).toMatchObject({ reason: 'INTERNAL', domain: 'onceward' });
    expect(JSON.stringify([error.message, [...error.details]])).not.toMatch(/4711|column|onceward\./);
  });
  test('a store that is away is STORE_UNAVAILABLE, with when to try again', async () => {
    const error = await withoutDatabase(setup.database, () =>
      failure('Coordinator', 'Begin', beginning({ ref: ref('away') })),
    );
    expect(error.code).toBe(14);
    expect(detail(error, 'ErrorInfo')).toMatchObject({ reason: 'STORE_UNAVAILABLE', domain: 'onceward' });
    expect(detail(error, 'RetryInfo')).toMatchObject({ retry_delay: { nanos: 100_000_000 } });
    expect(JSON.stringify([error.message, [...error.details]])).not.toContain(
      new URL(setup.database.url).pathname,
    );
  });
});
