import { randomBytes } from 'node:crypto';
import type { Metadata } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BatchRequest, BeginRequest, type Call } from '../../src/gen/onceward/v1/coordinator.js';
import { databaseOf } from '../../src/store/database-of.js';
import { beginRequest, execute, refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startCollector, type Collector } from '../support/collector.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { withHolder } from '../support/holder.js';
import { begin, rawClient } from '../support/raw-call.js';
import { openSession } from '../support/session.js';
import { callerMetadata, sendSpansEvery, spansOfKey, statementsBelow } from '../support/traced.js';
import { until } from '../support/until.js';

let collector: Collector;
let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  sendSpansEvery(10);
  collector = await startCollector();
  const flags = { otlpEndpoint: collector.url, statementTimeoutMs: 2000 };
  setup = await startSetup({ flags });
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await setup.stop();
  await collector.close();
});

const server = 2;
const client = 3;
const error = 2;

function callerSpan() {
  const traceId = randomBytes(16).toString('hex');
  const spanId = randomBytes(8).toString('hex');
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
}

/** Begins a key with the metadata that an instrumented client would send. */
async function beginFrom(key: string, traceparent: string, tracestate?: string): Promise<void> {
  const bytes = BeginRequest.encode(BeginRequest.fromPartial(beginRequest(key))).finish();
  await sendFrom(begin, bytes, callerMetadata(traceparent, tracestate));
}

async function sendFrom(path: string, bytes: Uint8Array, metadata: Metadata): Promise<void> {
  const raw = rawClient(one.address);
  await raw.call(path, bytes, metadata);
  raw.close();
}

function beginCall(id: number, key: string, more: Partial<BeginRequest> = {}): Call {
  const value = BeginRequest.fromPartial(beginRequest(key, more));
  return { id: BigInt(id), request: { $case: 'begin', value } };
}

describe('the span of a unary call', () => {
  test("belongs to the caller's span and says what was asked and answered", async () => {
    const caller = callerSpan();
    await beginFrom('unary', caller.traceparent, 'vendor=value');
    const [span] = await spansOfKey(collector, 'unary');
    expect(span).toMatchObject({
      name: 'onceward.v1.Coordinator/Begin',
      kind: server,
      traceId: caller.traceId,
      parentSpanId: caller.spanId,
      traceState: 'vendor=value',
      links: [],
      statusCode: 0,
    });
    expect(span.attributes).toEqual({
      'rpc.system.name': 'grpc',
      'rpc.method': 'onceward.v1.Coordinator/Begin',
      'rpc.status_code': 'OK',
      'onceward.carrier': 'unary',
      'onceward.namespace': 'test',
      'onceward.key.hash': expect.stringMatching(/^[\w-]{16}$/) as string,
      'onceward.outcome': 'execute',
      'onceward.attempt': 1,
    });
    const { instanceId, version } = await one.coordinator.getServerInfo({});
    expect(span.resource).toMatchObject({
      'service.name': 'onceward',
      'service.version': version,
      'service.instance.id': instanceId,
    });
  });

  test('begins a trace when the caller names none, or nonsense', async () => {
    await execute(one, 'no-caller');
    await beginFrom('nonsense', '00-00000000000000000000000000000000-0000000000000000-01');
    for (const key of ['no-caller', 'nonsense']) {
      expect((await spansOfKey(collector, key))[0].parentSpanId).toBe('');
    }
  });

  test('is left out, with all that is made below it, when the caller is not sampled', async () => {
    const caller = callerSpan();
    const traceparent = caller.traceparent.replace(/01$/, '00');
    await beginFrom('unsampled', traceparent);
    await sendFrom(
      '/onceward.v1.Coordinator/Batch',
      BatchRequest.encode({ calls: [beginCall(1, 'unsampled-in-batch')] }).finish(),
      callerMetadata(traceparent),
    );
    await execute(one, 'sampled-after');
    await spansOfKey(collector, 'sampled-after');
    expect(collector.spans().filter(({ traceId }) => traceId === caller.traceId)).toEqual([]);
    expect(await spansOfKey(collector, 'unsampled-in-batch', 0)).toEqual([]);
  });

  test('says how often the finish came, and by which attempt', async () => {
    const { fencingToken } = await execute(one, 'finished');
    const request = { ref: refOf('finished'), fencingToken, result: result('done') };
    await one.coordinator.complete(request);
    await one.coordinator.complete(request);
    const spans = await spansOfKey(collector, 'finished', 3);
    expect(spans.map(({ attributes }) => attributes['onceward.outcome'])).toEqual([
      'execute',
      'done',
      'already',
    ]);
  });

  test('is made of administration too', async () => {
    await one.admin.getNamespace({ name: 'test' });
    const [span] = await until('the span', () => {
      const found = collector.spans().filter(({ name }) => name === 'onceward.v1.Admin/GetNamespace');
      return found.length > 0 ? found : undefined;
    });
    expect(span).toMatchObject({ kind: server, attributes: { 'onceward.namespace': 'test' } });
  });
});

test('the span of a replay links to the execution', async () => {
  const original = callerSpan();
  const { traceparent } = original;
  const { fencingToken } = await execute(one, 'replayed', { traceparent });
  await one.coordinator.complete({ ref: refOf('replayed'), fencingToken, result: result('done') });
  // From the store, and then from the cache.
  for (let i = 0; i < 2; i += 1) await one.coordinator.begin(beginRequest('replayed'));
  const replays = (await spansOfKey(collector, 'replayed', 4)).slice(2);
  for (const { attributes, links } of replays) {
    expect(attributes).toMatchObject({ 'onceward.outcome': 'replay', 'onceward.attempt': 1 });
    const { traceId, spanId } = original;
    expect(links).toEqual([{ traceId, spanId, attributes: { 'onceward.link': 'original' } }]);
  }
});

describe('errors', () => {
  test("of the caller's making have a reason and leave the span without error", async () => {
    const { fencingToken } = await execute(one, 'lost');
    const request = { ref: refOf('lost'), fencingToken: fencingToken + 1n, result: result('done') };
    await caught(one.coordinator.complete(request));
    const [, span] = await spansOfKey(collector, 'lost', 2);
    expect(span).toMatchObject({
      statusCode: 0,
      attributes: { 'rpc.status_code': 'ABORTED', 'error.type': 'LEASE_LOST' },
    });
  });

  test("of the store's making are errors of the call and of its statement", async () => {
    const { fencingToken } = await execute(one, 'stuck');
    await withHolder(setup.database.url, async (holder) => {
      await holder.query(`SELECT FROM onceward.record WHERE key = 'stuck' FOR UPDATE`);
      await caught(one.coordinator.complete({ ref: refOf('stuck'), fencingToken, result: result('done') }));
    });
    const [, span] = await spansOfKey(collector, 'stuck', 2);
    expect(span).toMatchObject({
      statusCode: error,
      attributes: { 'rpc.status_code': 'UNAVAILABLE', 'error.type': 'STORE_UNAVAILABLE' },
    });
    const [statement] = await statementsBelow(collector, span!);
    expect(statement).toMatchObject({ statusCode: error, attributes: { 'db.operation.name': 'finish' } });
    expect(statement.attributes).toHaveProperty(['error.type']);
  });

  test('a namespace that does not exist, or could not, is not repeated', async () => {
    for (const namespace of ['no-such-namespace', 'NOT A NAMESPACE']) {
      await caught(
        one.coordinator.begin(beginRequest('lost-space', { ref: refOf('lost-space', namespace) })),
      );
    }
    const spans = await until('the spans', () => {
      const found = collector.spans().filter(({ attributes }) => 'error.type' in attributes);
      const types = found.map(({ attributes }) => attributes['error.type']);
      return types.includes('NAMESPACE_NOT_FOUND') && types.includes('REQUEST_INVALID') ? found : undefined;
    });
    expect(JSON.stringify(spans)).not.toMatch(/no-such-namespace|NOT A NAMESPACE/);
  });
});

describe('statements', () => {
  test('are children of the one call that is in them', async () => {
    await execute(one, 'alone');
    const [span] = await spansOfKey(collector, 'alone');
    const [statement, ...others] = await statementsBelow(collector, span);
    expect(others).toEqual([]);
    const { name: database, address, port } = databaseOf(setup.database.url);
    expect(statement).toMatchObject({
      name: `claim-new ${database}`,
      kind: client,
      traceId: span.traceId,
      links: [],
    });
    expect(statement.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.namespace': database,
      'db.operation.name': 'claim-new',
      ...(address === undefined ? {} : { 'server.address': address, 'server.port': port }),
    });
  });

  test('of many calls are children of the first and link to the others, but not to hundreds', async () => {
    const keys = Array.from({ length: 40 }, (_, i) => `many-${i}`);
    await one.coordinator.batch({ calls: keys.map((key, i) => beginCall(i, key)) });
    const [first] = await spansOfKey(collector, keys[0]!);
    const riders: string[] = [];
    for (const key of keys.slice(1)) riders.push((await spansOfKey(collector, key))[0].spanId);
    const [statement] = await statementsBelow(collector, first);
    expect(statement.attributes).toMatchObject({
      'db.operation.name': 'claim-new',
      'db.operation.batch.size': 40,
    });
    expect(statement.links.map(({ spanId }) => spanId)).toEqual(riders.slice(0, 32));
    expect(statement.links[0]?.attributes).toEqual({ 'onceward.link': 'rider' });
  });
});

describe('calls in frames', () => {
  test('of a Batch belong to it, unless they name a span of their own', async () => {
    const caller = callerSpan();
    const { traceparent } = caller;
    await one.coordinator.batch({
      calls: [beginCall(1, 'in-batch'), beginCall(2, 'in-batch-named', { traceparent })],
    });
    const [plain] = await spansOfKey(collector, 'in-batch');
    const [named] = await spansOfKey(collector, 'in-batch-named');
    const whole = await until('the span of the Batch', () =>
      collector.spans().find(({ spanId }) => spanId === plain.parentSpanId),
    );
    expect(whole.name).toBe('onceward.v1.Coordinator/Batch');
    expect(plain).toMatchObject({
      name: 'onceward.v1.Coordinator/Begin',
      kind: server,
      traceId: whole.traceId,
      attributes: { 'onceward.carrier': 'batch' },
    });
    expect(named).toMatchObject({ traceId: caller.traceId, parentSpanId: caller.spanId });
  });

  test('of a Session belong to the span they name, else to none', async () => {
    const caller = callerSpan();
    const { traceparent } = caller;
    const session = openSession(one.address);
    const ref = refOf('in-session');
    session.send(beginCall(1, 'in-session', { traceparent }));
    await session.answersTo([1n]);
    session.send({
      id: 2n,
      request: { $case: 'lookup', value: { ref, withResult: false, withLineage: false } },
    });
    await session.answersTo([2n]);
    session.close();
    const [beginSpan, lookup] = await spansOfKey(collector, 'in-session', 2);
    expect(beginSpan).toMatchObject({
      traceId: caller.traceId,
      parentSpanId: caller.spanId,
      attributes: { 'onceward.carrier': 'session', 'onceward.outcome': 'execute' },
    });
    expect(lookup).toMatchObject({ name: 'onceward.v1.Coordinator/Lookup', kind: server, parentSpanId: '' });
  });
});
