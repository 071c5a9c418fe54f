import { context, metrics, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type Histogram,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-node';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { identityHash, identityOf } from '../../src/core/key.js';
import { counterOf, refOf } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { gate, proxied, service } from '../support/sdk.js';
import { expireResult, lapse, travelling } from '../support/time-travel.js';
import { until } from '../support/until.js';

const exporter = new InMemorySpanExporter();
const tracing = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const reader = new PeriodicExportingMetricReader({
  exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
  exportIntervalMillis: 3_600_000,
});
const metering = new MeterProvider({ readers: [reader] });

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  tracing.register();
  metrics.setGlobalMeterProvider(metering);
  setup = await startSetup({ flags: travelling });
  [one] = setup.coordinators as [TestCoordinator];
});
beforeEach(() => exporter.reset());
afterAll(async () => {
  await setup.stop();
  await metering.shutdown();
  await tracing.shutdown();
});

const fails = () => {
  throw new Error('socket hang up');
};
const hashOf = (key: string) => identityHash(identityOf(refOf(key)));

test('metrics equal what happened', async () => {
  const { charge, runs } = service([one.address]);
  const before = await measured();

  await charge('m-done', () => 1);
  await charge('m-done', () => 2);
  await charge('m-done', () => 3);

  await charge('m-old', () => 1);
  await expireResult(setup.database, 'm-old');
  await expect(charge('m-old', () => 2)).rejects.toMatchObject({ reason: 'RESULT_EXPIRED' });

  await expect(charge('m-free', fails)).rejects.toThrow('socket hang up');
  await charge('m-free', () => 1);
  await expect(charge('m-free', () => 2, { operation: 'refund' })).rejects.toMatchObject({
    reason: 'KEY_MISMATCH',
  });

  const done = gate<number>();
  const started = runs.length;
  const held = charge('m-held', () => done.passed);
  await until('it runs', () => runs.length > started);
  expect((await measured()).inFlight - before.inFlight).toBe(1);
  await expect(charge('m-held', () => 2)).rejects.toMatchObject({ reason: 'IN_PROGRESS' });
  const waited = await counterOf(one, 'begin.waited');
  const waiting = charge('m-held', () => 2, { waitMs: 20_000 });
  await until('it waits', async () => (await counterOf(one, 'begin.waited')) > waited);
  done.open(1);
  await Promise.all([held, waiting]);

  const late = gate<number>();
  const loser = charge('m-lost', () => late.passed);
  await until('it runs', () => runs.length > started + 1);
  await lapse(setup.database, 'm-lost');
  await charge('m-lost', () => 2);
  late.open(1);
  expect(await loser).toBe(2);

  const forever = gate<number>();
  const parking = charge('m-park', () => forever.passed, { onLapse: 'PARK' });
  await until('it runs', () => runs.length > started + 3);
  await lapse(setup.database, 'm-park');
  await expect(charge('m-park', () => 2)).rejects.toMatchObject({ reason: 'INDETERMINATE' });
  forever.open(1);
  await expect(parking).rejects.toMatchObject({ reason: 'INDETERMINATE' });

  const proxy = await proxied(one.address);
  proxy.refuse();
  const open = { failOpenMs: 60_000, beginTimeoutMs: 100 };
  await service([proxy.address]).charge('m-open', () => 1, open);

  const after = await measured();
  expect(difference(after.outcomes, before.outcomes)).toEqual({
    // m-done, m-old, m-free twice, m-held, m-lost twice, m-park.
    execute: 8,
    // m-done twice, and who waited for m-held.
    replay: 3,
    in_progress: 1,
    result_expired: 1,
    indeterminate: 1,
    unguarded: 1,
  });
  expect(after.inFlight).toBe(0);
  expect(difference(after.sums, before.sums)).toEqual({
    'onceward.operation.duplicates': 4,
    'onceward.operation.mismatches': 1,
    'onceward.operation.takeovers': 1,
    // The loser of m-lost, and the one that was parked.
    'onceward.operation.leases_lost': 2,
    'onceward.operation.wait.duration': 1,
    // Executions that ended with an answer: all but the parked one.
    'onceward.operation.overhead': 7,
  });
});

describe('spans', () => {
  test('an operation has its begin, execution and finish inside, and is inside of its caller', async () => {
    const { charge } = service([one.address]);
    const tracer = trace.getTracer('test');
    await tracer.startActiveSpan('caller', async (caller) => {
      await charge('s-tree', () => {
        tracer.startSpan('work').end();
        return 1;
      });
      caller.end();
    });
    const [caller] = named('caller');
    const [operation] = named('onceward.operation');
    expect(operation).toMatchObject({
      kind: SpanKind.INTERNAL,
      attributes: {
        'onceward.namespace': 'test',
        'onceward.operation': 'charge',
        'onceward.key.hash': hashOf('s-tree'),
        'onceward.root.hash': hashOf('s-tree'),
        'onceward.outcome': 'execute',
        'onceward.attempt': 1,
        'onceward.takeover': false,
      },
    });
    expect(operation?.parentSpanContext?.spanId).toBe(caller?.spanContext().spanId);
    expect(childrenOf(operation!)).toEqual(['onceward.begin', 'onceward.execute', 'onceward.finish']);
    expect(childrenOf(named('onceward.execute')[0]!)).toEqual(['work']);
  });

  test('waiting is one more, and a replay links to the operation that was executed', async () => {
    const { charge, runs } = service([one.address]);
    const done = gate<number>();
    const first = charge('s-replay', () => done.passed);
    await until('it runs', () => runs.length === 1);
    const second = charge('s-replay', () => 2, { waitMs: 20_000 });
    await until('it waits', () => named('onceward.begin').length === 2);
    done.open(1);
    await Promise.all([first, second]);

    const operations = named('onceward.operation');
    const [original, replay] = ['execute', 'replay'].map((outcome) =>
      operations.find(({ attributes }) => attributes['onceward.outcome'] === outcome),
    );
    expect(childrenOf(replay!)).toEqual(['onceward.begin', 'onceward.wait']);
    const { traceId, spanId } = original!.spanContext();
    expect(replay!.links).toMatchObject([
      { context: { traceId, spanId }, attributes: { 'onceward.link': 'original' } },
    ]);
    expect(replay!.spanContext().traceId).not.toBe(traceId);
    expect(original!.links).toEqual([]);
  });

  test('a loser links to the winner', async () => {
    const { charge, runs } = service([one.address]);
    const late = gate<number>();
    const first = charge('s-lost', () => late.passed);
    await until('it runs', () => runs.length === 1);
    await lapse(setup.database, 's-lost');
    await charge('s-lost', () => 2);
    late.open(1);
    await first;
    const [winner, loser] = named('onceward.operation');
    expect(winner?.attributes).toMatchObject({ 'onceward.takeover': true });
    expect(loser?.attributes).toMatchObject({ 'onceward.lease_lost': true });
    expect(loser?.links).toMatchObject([{ context: { spanId: winner?.spanContext().spanId } }]);
    expect(childrenOf(loser!)).toEqual([
      'onceward.begin',
      'onceward.execute',
      'onceward.finish',
      'onceward.wait',
    ]);
  });

  test('an error tells its type, and no message', async () => {
    const { charge } = service([one.address]);
    await expect(charge('bad key', () => 1)).rejects.toMatchObject({ reason: 'KEY_INVALID' });
    const spans = [...named('onceward.begin'), ...named('onceward.operation')];
    expect(spans).toHaveLength(2);
    for (const { status, attributes, events } of spans) {
      expect(status).toEqual({ code: SpanStatusCode.ERROR });
      expect(attributes['error.type']).toBe('KEY_INVALID');
      expect(events).toEqual([]);
    }
  });
});

test('baggage has the hash of the first key of a chain, and a raw key is nowhere', async () => {
  const { charge } = service([one.address]);
  const secret = 'raw-key-4711';
  const inner = 'raw-key-4712';
  const carriers: Record<string, string>[] = [];
  const inject = () => {
    const carrier: Record<string, string> = {};
    propagation.inject(context.active(), carrier);
    carriers.push(carrier);
  };
  await charge(secret, async () => {
    inject();
    await charge(inner, inject);
    return 1;
  });
  expect(carriers.map(({ baggage }) => baggage)).toEqual([
    `onceward.root.hash=${hashOf(secret)}`,
    `onceward.root.hash=${hashOf(secret)}`,
  ]);
  const roots = named('onceward.operation').map(({ attributes }) => attributes['onceward.root.hash']);
  expect(roots).toEqual([hashOf(secret), hashOf(secret)]);
  const told = exporter
    .getFinishedSpans()
    .map(({ name, attributes, links, events, status }) =>
      JSON.stringify([name, attributes, links, events, status]),
    );
  const { resourceMetrics } = await reader.collect();
  const everything = [...told, JSON.stringify(resourceMetrics), JSON.stringify(carriers)].join('\n');
  expect(everything).toContain(hashOf(secret));
  expect(everything).not.toContain('raw-key');
});

function named(name: string): readonly ReadableSpan[] {
  return exporter.getFinishedSpans().filter((span) => span.name === name);
}

/** In the order they began. */
function childrenOf(parent: ReadableSpan): readonly string[] {
  return exporter
    .getFinishedSpans()
    .filter(({ parentSpanContext }) => parentSpanContext?.spanId === parent.spanContext().spanId)
    .sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1])
    .map(({ name }) => name);
}

interface Measured {
  readonly outcomes: Readonly<Record<string, number>>;
  readonly inFlight: number;
  readonly sums: Readonly<Record<string, number>>;
}

/** Everything the SDK counted so far; of a histogram how many times. */
async function measured(): Promise<Measured> {
  const { resourceMetrics } = await reader.collect();
  const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
  const outcomes: Record<string, number> = {};
  const sums: Record<string, number> = {};
  let inFlight = 0;
  for (const metric of all) {
    const { name } = metric.descriptor;
    if (!name.startsWith('onceward.operation.')) continue;
    if (name === 'onceward.operation.in_flight') inFlight = countOf(metric);
    else if (name !== 'onceward.operation.outcomes') sums[name] = countOf(metric);
    else {
      for (const { attributes, value } of metric.dataPoints) {
        expect(attributes['onceward.namespace']).toBe('test');
        outcomes[String(attributes['onceward.outcome'])] = Number(value);
      }
    }
  }
  return { outcomes, inFlight, sums };
}

function countOf(metric: MetricData): number {
  const counts = metric.dataPoints.map(({ value }) =>
    metric.dataPointType === DataPointType.HISTOGRAM ? (value as Histogram).count : Number(value),
  );
  return counts.reduce((a, b) => a + b, 0);
}

function difference(after: Readonly<Record<string, number>>, before: Readonly<Record<string, number>>) {
  return Object.fromEntries(
    Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]),
  );
}
