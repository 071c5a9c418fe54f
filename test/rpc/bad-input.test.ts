import { Metadata } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  BeginRequest,
  type FailRequest,
  type FailRequest_Kind,
  type HeartbeatRequest,
} from '../../src/gen/onceward/v1/coordinator.js';
import type { Fingerprint, OnLapse, Result } from '../../src/gen/onceward/v1/record.js';
import { beginRequest, execute, refOf, result } from '../support/calls.js';
import { caught, violatedFields } from '../support/caught.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { begin as beginPath, errorOf, rawClient, type RawClient } from '../support/raw-call.js';
import { retryable, statusOf } from '../support/statuses.js';
import { duration } from '../support/wire-time.js';

let setup: TestSetup;
let one: TestCoordinator;
let raw: RawClient;
let written: number;
const records = async () => (await setup.database.query('SELECT FROM onceward.record')).length;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  raw = rawClient(one.address);
  await execute(one, 'held');
  written = await records();
});
// Whatever was refused wrote nothing, and the process serves on.
afterEach(async () => {
  expect(await records()).toBe(written);
  expect(await one.health('')).toBe('SERVING');
});
afterAll(async () => {
  raw.close();
  await setup.stop();
});

const begin = (more: Partial<BeginRequest>) => one.coordinator.begin(beginRequest('k', more));
const named = (key: string) => ({ ref: refOf(key) });

describe('Begin', () => {
  test.each<[string, Partial<BeginRequest>, readonly string[]]>([
    ['no ref', { ref: undefined }, ['ref']],
    ['an empty ref', { ref: refOf('', '', '') }, ['ref.namespace', 'ref.key']],
    ['no key', named(''), ['ref.key']],
    ['a key of 256', named('k'.repeat(256)), ['ref.key']],
    ['a space', named('a b'), ['ref.key']],
    ['a NUL', named('a\0b'), ['ref.key']],
    ['no ASCII', named('ключ'), ['ref.key']],
    ['a scope of 256', { ref: refOf('k', 'test', 's'.repeat(256)) }, ['ref.scope']],
    ['a namespace of 64', { ref: refOf('k', 'n'.repeat(64)) }, ['ref.namespace']],
    ['no operation', { operation: '' }, ['operation']],
    ['an operation of 256', { operation: 'o'.repeat(256) }, ['operation']],
    ['an operation with a space', { operation: 'a b' }, ['operation']],
    ['no attempt_id', { attemptId: '' }, ['attempt_id']],
    ['an attempt_id of 65', { attemptId: 'a'.repeat(65) }, ['attempt_id']],
    [
      'a fingerprint of nothing',
      { fingerprint: { version: 0, digest: Buffer.alloc(0) } },
      ['fingerprint.digest'],
    ],
    [
      'a fingerprint of 65',
      { fingerprint: { version: 0, digest: Buffer.alloc(65) } },
      ['fingerprint.digest'],
    ],
    [
      'a negative version',
      { fingerprint: { version: -1, digest: Buffer.alloc(1) } },
      ['fingerprint.version'],
    ],
    ['a lease of 0', { lease: duration(0) }, ['lease']],
    ['a lease of 99 ms', { lease: duration(99) }, ['lease']],
    ['a negative lease', { lease: duration(-30_000) }, ['lease']],
    ['a lease over the longest', { lease: duration(3_600_001) }, ['lease']],
    ['a lease of all time', { lease: { seconds: 2n ** 63n - 1n, nanos: 999_999_999 } }, ['lease']],
    ['a lease before all time', { lease: { seconds: -(2n ** 63n), nanos: 0 } }, ['lease']],
    ['signs that differ', { lease: { seconds: 1n, nanos: -1 } }, ['lease']],
    ['nanoseconds over a second', { lease: { seconds: 1n, nanos: 1_000_000_000 } }, ['lease']],
    ['a negative wait', { wait: duration(-1) }, ['wait']],
    ['a wait over 300 s', { wait: duration(300_001) }, ['wait']],
    ['a retention of neither kind', { resultRetention: { kind: undefined } }, ['result_retention']],
    [
      'forever: false',
      { resultRetention: { kind: { $case: 'forever', value: false } } },
      ['result_retention.forever'],
    ],
    ['an unknown on_lapse', { onLapse: 3 as OnLapse }, ['on_lapse']],
    ['a negative on_lapse', { onLapse: -1 as OnLapse }, ['on_lapse']],
    ['a traceparent of 54', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-0` }, ['traceparent']],
    ['a traceparent of 56', { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-011` }, ['traceparent']],
    [
      'a traceparent in capitals',
      { traceparent: `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01` },
      ['traceparent'],
    ],
    ['a parent without key', { parent: refOf('') }, ['parent.key']],
    ['a parent with a NUL', { parent: refOf('p', 'test', '\0') }, ['parent.scope']],
    [
      '17 labels',
      { labels: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`n${i}`, ''])) },
      ['labels'],
    ],
    ['a label of 256 bytes', { labels: { n: 'v'.repeat(256) } }, ['labels.n']],
    ['a label with a NUL', { labels: { n: 'a\0' } }, ['labels.n']],
    ['a label name in capitals', { labels: { N: '' } }, ['labels']],
    [
      'everything at once',
      { ref: refOf('a b', 'T'), operation: '', attemptId: '', wait: duration(-1) },
      ['ref.namespace', 'ref.key', 'operation', 'attempt_id', 'wait'],
    ],
  ])('%s', async (_, more, fields) => {
    const error = await caught(begin(more));
    expect(error.code).toBe(3);
    expect(error.reason).toBe(fields.includes('ref.key') ? 'KEY_INVALID' : 'REQUEST_INVALID');
    expect(error.violations.map(({ field }) => field)).toEqual(fields);
  });
  test('everything at its bound is taken', async () => {
    const ref = refOf('~'.repeat(255), 'test', '!'.repeat(255));
    await execute(one, ref.key, {
      ref,
      operation: 'o'.repeat(255),
      attemptId: 'a'.repeat(64),
      fingerprint: { version: 2 ** 31 - 1, digest: Buffer.alloc(64, 255) },
      lease: duration(3_600_000),
      wait: duration(300_000),
      parent: refOf('p'.repeat(255), 'n'.repeat(63), 's'.repeat(255)),
      labels: Object.fromEntries(
        Array.from({ length: 16 }, (_, i) => [`${i}`.padEnd(63, '_'), 'ü'.repeat(127)]),
      ),
      traceparent: `ff-${'f'.repeat(32)}-${'0'.repeat(16)}-ff`,
    });
    const shortest: Fingerprint = { version: 0, digest: Buffer.alloc(1) };
    await execute(one, '!', {
      operation: '!',
      attemptId: '!',
      fingerprint: shortest,
      lease: duration(100),
      wait: duration(0),
    });
    written += 2;
  });
  test('names that JavaScript knows are keys like any other', async () => {
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      await execute(one, key, {
        operation: key,
        attemptId: key,
        ref: refOf(key, 'test', key),
        labels: { constructor: key },
      });
      const record = await one.coordinator.lookup({ ref: refOf(key, 'test', key) });
      expect(record).toMatchObject({ operation: key, labels: { constructor: key } });
      written += 1;
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
  test('a namespace nobody declared', async () => {
    expect(await caught(begin({ ref: refOf('k', 'nobodys') }))).toMatchObject({
      code: 5,
      reason: 'NAMESPACE_NOT_FOUND',
    });
  });
});

describe('finishing calls', () => {
  const token = 2n ** 62n;
  const complete = (given: Partial<Result>) =>
    one.coordinator.complete({
      ref: refOf('held'),
      fencingToken: token,
      result: { ...result('x'), ...given },
    });
  const entry = (name: string, value: string | Buffer) => ({ name, value: Buffer.from(value) });

  test('a token of 0, negative, or never granted', async () => {
    for (const fencingToken of [0n, -1n, -(2n ** 63n)]) {
      const ref = refOf('held');
      expect(await violatedFields(one.coordinator.complete({ ref, fencingToken }))).toEqual([
        'fencing_token',
      ]);
      expect(await violatedFields(one.coordinator.heartbeat({ ref, fencingToken }))).toEqual([
        'fencing_token',
      ]);
      expect(await violatedFields(one.coordinator.fail(retryable(ref, fencingToken)))).toEqual([
        'fencing_token',
      ]);
    }
    for (const fencingToken of [token, 2n ** 63n - 1n]) {
      const error = await caught(one.coordinator.complete({ ref: refOf('held'), fencingToken }));
      expect(error).toMatchObject({ code: 10, reason: 'LEASE_LOST' });
    }
  });
  test.each<[string, Partial<Result>, string]>([
    ['a status that is not OK', { status: statusOf(5) }, 'result.status.code'],
    ['a code that is none', { status: statusOf(-1) }, 'result.status.code'],
    ['a message over 4 KiB', { status: statusOf(0, 'm'.repeat(4097)) }, 'result.status.message'],
    ['details over 16 KiB', { status: statusOf(0, '', Buffer.alloc(16_385)) }, 'result.status.details'],
    ['a content type of 256', { contentType: 'c'.repeat(256) }, 'result.content_type'],
    ['a content type with a space', { contentType: 'a b' }, 'result.content_type'],
    ['a payload over 3 MiB', { payload: Buffer.alloc(3 * 1024 * 1024 + 1) }, 'result.payload'],
    [
      'metadata of grpc itself',
      { trailingMetadata: [entry('grpc-status', '0')] },
      'result.trailing_metadata',
    ],
    ['metadata over 8 KiB', { initialMetadata: [entry('a', 'v'.repeat(8193))] }, 'result.initial_metadata'],
    ['a line feed in metadata', { initialMetadata: [entry('a', 'v\n')] }, 'result.initial_metadata'],
    ['65 entries', { initialMetadata: Array.from({ length: 65 }, () => entry('a', '')) }, 'result.metadata'],
    [
      'metadata over 16 KiB',
      { trailingMetadata: [entry('a', 'v'.repeat(8192)), entry('b', 'v'.repeat(8192))] },
      'result.metadata',
    ],
  ])('Complete with %s', async (_, given, field) => {
    expect(await violatedFields(complete(given))).toEqual([field]);
  });
  test.each<[string, Partial<FailRequest>, readonly string[]]>([
    ['no kind', { kind: 0 }, ['kind']],
    ['an unknown kind', { kind: 3 as FailRequest_Kind }, ['kind']],
    ['status OK', { status: statusOf(0) }, ['status.code']],
    ['an unknown code', { status: statusOf(17) }, ['status.code']],
    ['a negative retry_after', { retryAfter: duration(-1) }, ['retry_after']],
    ['a retry_after over a day', { retryAfter: duration(86_400_001) }, ['retry_after']],
    ['bad metadata', { trailingMetadata: [{ name: '', value: Buffer.alloc(0) }] }, ['trailing_metadata']],
  ])('Fail with %s', async (_, more, fields) => {
    expect(await violatedFields(one.coordinator.fail(retryable(refOf('held'), token, more)))).toEqual(fields);
  });
  test('Fail without a status', async () => {
    expect(
      await violatedFields(one.coordinator.fail({ ref: refOf('held'), fencingToken: token, kind: 2 })),
    ).toEqual(['status']);
  });
  test.each<[string, Partial<HeartbeatRequest>, string]>([
    ['a checkpoint over 64 KiB', { checkpoint: Buffer.alloc(65_537) }, 'checkpoint'],
    ['a negative sequence', { checkpointSequence: -1n }, 'checkpoint_sequence'],
    ['a lease of 0', { lease: duration(0) }, 'lease'],
    ['a lease over the longest', { lease: duration(3_600_001) }, 'lease'],
  ])('Heartbeat with %s', async (_, more, field) => {
    const call = one.coordinator.heartbeat({ ref: refOf('held'), fencingToken: token, ...more });
    expect(await violatedFields(call)).toEqual([field]);
  });
});

describe('too much', () => {
  test('a message over the limit of the transport', async () => {
    const bytes = Buffer.concat([
      BeginRequest.encode(BeginRequest.create()).finish(),
      Buffer.alloc(4 * 1024 * 1024 + 1),
    ]);
    expect(errorOf(await raw.call(beginPath, bytes)).code).toBe(8);
  });
  test('request metadata over the limit of the transport ends its own call, and the process serves on', async () => {
    const bytes = BeginRequest.encode(BeginRequest.fromPartial(beginRequest('k'))).finish();
    // Many entries, one huge one, and so much that HTTP/2 itself gives the connection up.
    for (const [entries, size] of [
      [300, 1000],
      [1, 200_000],
      [40, 8000],
    ] as const) {
      const sender = rawClient(one.address);
      const metadata = new Metadata();
      for (let i = 0; i < entries; i += 1) metadata.set(`h${i}`, 'v'.repeat(size));
      const error = errorOf(await sender.call(beginPath, bytes, metadata));
      expect(error.fromCoordinator).toBe(false);
      sender.close();
    }
  });
  test('a thousand violations are told in few words', async () => {
    const labels = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`n${i}`, '\0']));
    const error = await caught(begin({ labels }));
    expect(error).toMatchObject({ code: 3, reason: 'REQUEST_INVALID' });
    expect(error.violations).toHaveLength(16);
  });
});
