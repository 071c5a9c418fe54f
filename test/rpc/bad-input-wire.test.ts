import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AdminService } from '../../src/gen/onceward/v1/admin.js';
import { BeginRequest, CoordinatorService } from '../../src/gen/onceward/v1/coordinator.js';
import type { CallError } from '../../src/client/call-error.js';
import { execute, refOf, result } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { message, negative, text, type Field } from '../support/protobuf.js';
import { begin, errorOf, rawClient, type RawClient } from '../support/raw-call.js';
import { statusOf } from '../support/statuses.js';
import { duration } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
let raw: RawClient;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  raw = rawClient(one.address);
});
afterAll(async () => {
  raw.close();
  await setup.stop();
});

const records = async () => (await setup.database.query('SELECT FROM onceward.record')).length;

const ref = (key: Uint8Array, scope = text('')): Field => [
  1,
  [
    [1, text('test')],
    [2, scope],
    [3, key],
  ],
];
const good: readonly Field[] = [
  [2, text('charge')],
  [4, text('attempt')],
];

describe('bytes no encoder would write', () => {
  const invalid = Buffer.from([0x66, 0xff, 0xfe]);
  const timestamp = (seconds: bigint, nanos = 0n): Field => [
    9,
    [
      [1, seconds],
      [2, nanos],
    ],
  ];
  test.each<[string, readonly Field[], readonly string[]]>([
    ['a key of invalid UTF-8', [ref(invalid), ...good], ['ref.key']],
    ['a key of an overlong NUL', [ref(Buffer.from([0xc0, 0x80])), ...good], ['ref.key']],
    ['a scope of invalid UTF-8', [ref(text('k'), invalid), ...good], ['ref.scope']],
    ['an operation of invalid UTF-8', [ref(text('k')), [2, invalid], [4, text('a')]], ['operation']],
    ['an attempt_id of invalid UTF-8', [ref(text('k')), [2, text('o')], [4, invalid]], ['attempt_id']],
    [
      'a label of invalid UTF-8',
      [
        ref(text('k')),
        ...good,
        [
          8,
          [
            [1, text('n')],
            [2, invalid],
          ],
        ],
      ],
      ['labels.n'],
    ],
    [
      'a label name of invalid UTF-8',
      [
        ref(text('k')),
        ...good,
        [
          8,
          [
            [1, invalid],
            [2, text('v')],
          ],
        ],
      ],
      ['labels'],
    ],
    ['a traceparent of invalid UTF-8', [ref(text('k')), ...good, [12, invalid]], ['traceparent']],
    ['an enum value of tomorrow', [ref(text('k')), ...good, [11, 77n]], ['on_lapse']],
    ['an enum value below all', [ref(text('k')), ...good, [11, negative(-1n)]], ['on_lapse']],
    [
      'a time beyond what dates tell',
      [ref(text('k')), ...good, timestamp(2n ** 62n)],
      ['first_attempt_time'],
    ],
    [
      'a time before what dates tell',
      [ref(text('k')), ...good, timestamp(negative(-(2n ** 62n)))],
      ['first_attempt_time'],
    ],
    [
      'nanoseconds below a second',
      [
        ref(text('k')),
        ...good,
        [
          5,
          [
            [1, 1n],
            [2, negative(-1n)],
          ],
        ],
      ],
      ['lease'],
    ],
    ['an empty retention', [ref(text('k')), ...good, [10, []]], ['result_retention']],
  ])('%s', async (_, fields, expected) => {
    const before = await records();
    const error = errorOf(await raw.call(begin, message(...fields)));
    expect(error.code).toBe(3);
    expect(error.violations.map(({ field }) => field)).toEqual(expected);
    expect(await records()).toBe(before);
  });
  test('a label named __proto__ is no prototype', async () => {
    const label: Field = [
      8,
      [
        [1, text('__proto__')],
        [2, text('polluted')],
      ],
    ];
    const other: Field = [
      8,
      [
        [1, text('kept')],
        [2, text('v')],
      ],
    ];
    const answer = await raw.call(begin, message(ref(text('proto-label')), ...good, label, other));
    expect('bytes' in answer).toBe(true);
    expect((await one.coordinator.lookup({ ref: refOf('proto-label') })).labels).toMatchObject({ kept: 'v' });
    expect(Object.prototype).not.toHaveProperty('polluted');
  });
  test('fields of tomorrow are passed over', async () => {
    const answer = await raw.call(
      begin,
      message([5000, text('new')], ref(text('tomorrow')), ...good, [5001, 1n]),
    );
    expect('bytes' in answer).toBe(true);
  });
  test.each<[string, Uint8Array]>([
    ['cut off', message(ref(text('cut')), ...good).subarray(0, -4)],
    ['a length beyond the message', Buffer.from([0x0a, 0x7f, 0x0a, 0x01, 0x61])],
    ['a length beyond 32 bits', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['a varint without an end', Buffer.alloc(20, 0xff)],
    ['field number 0', Buffer.from([0x02, 0x00])],
    ['groups, a million deep', Buffer.alloc(1_000_000, 0x0b)],
    ['no protobuf at all', text('GET / HTTP/1.1\r\n\r\n')],
  ])('%s', async (_, bytes) => {
    for (const { path } of [CoordinatorService.begin, CoordinatorService.batch, AdminService.putNamespace]) {
      expect(errorOf(await raw.call(path, bytes))).toMatchObject({ code: 3, reason: 'REQUEST_INVALID' });
    }
  });
  test('a method or service that is not there', async () => {
    for (const path of ['/onceward.v1.Coordinator/Steal', '/onceward.v2.Coordinator/Begin']) {
      expect(errorOf(await raw.call(path, Buffer.alloc(0))).code).toBe(12);
    }
  });
});

/** Codes that say whose fault it was: never INTERNAL, UNKNOWN, DATA_LOSS, UNAVAILABLE for a caller's. */
const callersFault = new Set([3, 5, 8, 9, 10]);

interface Seed {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Valid requests of every method, with most fields set. */
async function seeds(): Promise<readonly Seed[]> {
  const { fencingToken } = await execute(one, 'mutated');
  const held = refOf('mutated', 'test', '');
  const seed = <T>(method: { path: string; requestSerialize: (value: T) => Buffer }, request: T): Seed => ({
    path: method.path,
    bytes: method.requestSerialize(request),
  });
  const entry = { name: 'a-bin', value: Buffer.from([1, 2]) };
  const everything = {
    ...result('paid'),
    status: statusOf(0, 'fine', Buffer.from([8])),
    trailingMetadata: [entry],
  };
  const beginning: BeginRequest = BeginRequest.fromPartial({
    ref: refOf('mutated', 'test', 's'),
    operation: '/shop.Pay/Charge',
    fingerprint: { version: 1, digest: Buffer.alloc(32, 3) },
    attemptId: '3b1f',
    lease: duration(5000),
    parent: refOf('parent'),
    labels: { tenant: 'acme' },
    firstAttemptTime: new Date(),
    resultRetention: { kind: { $case: 'duration', value: duration(86_400_000) } },
    onLapse: 1,
    traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  });
  const status = statusOf(9, 'no', Buffer.from([1]));
  const { begin: beginMethod, complete, fail, heartbeat, lookup, mintKey, batch } = CoordinatorService;
  const lookingUp = { ref: held, withResult: true, withLineage: true };
  return [
    seed(beginMethod, beginning),
    seed(complete, { ref: held, fencingToken, result: everything, resultRetention: undefined }),
    seed(fail, {
      ref: held,
      fencingToken,
      kind: 1,
      status,
      initialMetadata: [],
      trailingMetadata: [entry],
      retryAfter: duration(5),
    }),
    seed(heartbeat, {
      ref: held,
      fencingToken,
      lease: duration(900),
      checkpoint: Buffer.from('c'),
      checkpointSequence: 3n,
    }),
    seed(lookup, lookingUp),
    seed(mintKey, { namespace: 'test', scope: 's', clientRequestId: 'id' }),
    seed(batch, {
      calls: [
        { id: 1n, request: { $case: 'begin', value: beginning } },
        { id: 2n, request: { $case: 'lookup', value: lookingUp } },
      ],
    }),
    seed(AdminService.listRecords, {
      namespace: 'test',
      state: 1,
      keyPrefix: 'm',
      minAge: duration(0),
      maxAge: duration(90_000),
      pageSize: 5,
      pageToken: Buffer.from('["a","b","c"]').toString('base64url'),
    }),
    seed(AdminService.listAudit, {
      namespace: 'test',
      pageSize: 5,
      pageToken: Buffer.from('["9"]').toString('base64url'),
    }),
    seed(AdminService.resolve, {
      ref: held,
      decision: { $case: 'complete', value: everything },
      reason: 'why',
    }),
    seed(AdminService.forget, { ref: refOf('mutated', 'test', 'x'), reason: 'why', evenIfLeased: false }),
  ];
}

describe('mutated requests', () => {
  test("are answered, or refused as the caller's fault, and the process serves on", async () => {
    const all = await seeds();
    const mutation = fc.record({
      seed: fc.nat(all.length - 1),
      flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 6 }),
      cut: fc.option(fc.nat(), { freq: 8, nil: undefined }),
      spliced: fc.option(fc.tuple(fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 })), {
        nil: undefined,
      }),
    });
    const seen = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(mutation, async ({ seed, flips, cut, spliced }) => {
        const { path, bytes } = all[seed]!;
        let mutated = Buffer.from(bytes);
        for (const [at, mask] of flips)
          mutated.writeUInt8(mutated.readUInt8(at % mutated.length) ^ mask, at % mutated.length);
        if (spliced !== undefined) {
          const at = spliced[0] % mutated.length;
          mutated = Buffer.concat([mutated.subarray(0, at), spliced[1], mutated.subarray(at)]);
        }
        if (cut !== undefined) mutated = mutated.subarray(0, cut % (mutated.length + 1));
        const answer = await raw.call(path, mutated);
        const error: CallError | undefined = 'error' in answer ? answer.error : undefined;
        seen.set(error?.code ?? 0, (seen.get(error?.code ?? 0) ?? 0) + 1);
        if (error !== undefined) {
          expect({ code: error.code, fault: callersFault.has(error.code) }).toEqual({
            code: error.code,
            fault: true,
          });
          expect(error.fromCoordinator).toBe(true);
        }
      }),
      { numRuns: 2000 },
    );
    // The mutations reach the verbs and the checks alike.
    expect(seen.get(0) ?? 0).toBeGreaterThan(50);
    expect(seen.get(3) ?? 0).toBeGreaterThan(50);
    expect(await one.health('')).toBe('SERVING');
    await execute(one, 'after-the-mutations');
  });
});
