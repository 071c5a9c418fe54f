import type { Attributes, Counter, Meter } from '@opentelemetry/api';
import type { Estimate, Estimates, StoreEstimates } from '../core/estimate.js';
import type { PageCount } from '../core/sample.js';
import { attributeNames, sweepMetricNames } from './names.js';
import { NamespaceLabels } from './namespace-labels.js';

/** What the samples of all coordinators tell of the store. */
export interface StoreView {
  readonly estimates: StoreEstimates;
  /** On disk, with indexes and TOAST. */
  readonly totalBytes: number;
  /** Of the oldest backstop pass under way. */
  readonly passAgeMs: number;
}

/**
 * How a tick ended: below the threshold everywhere; with its rows or time spent; for the database's sake; because the process
 * stops; because another process has it; by an error.
 */
const tickOutcomes = ['done', 'budget', 'braked', 'stopped', 'elsewhere', 'failed'] as const;
export type TickOutcome = (typeof tickOutcomes)[number];

/** How a batch ended; `busy`: another process was at the partition. */
const batchOutcomes = ['done', 'busy'] as const;
export type BatchOutcome = (typeof batchOutcomes)[number];

const retentions = ['live', 'strippable', 'expired'] as const;

/** What is measured of cleanup. Counts are of this process; the gauges are of the store, the same in every process. */
export interface SweepInstruments {
  readonly addTick: (outcome: TickOutcome) => void;
  readonly addBatch: (outcome: BatchOutcome, durationMs: number) => void;
  readonly addRows: (removed: ReadonlyMap<string, number>, stripped: ReadonlyMap<string, number>) => void;
  /** Rows that random pages showed. */
  readonly addSampled: (counts: readonly PageCount[]) => void;
  readonly exportStore: (read: () => StoreView | undefined) => void;
}

const batchBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3];

export function createSweepInstruments(meter: Meter): SweepInstruments {
  const { ticks, batches, batchDuration, removed, stripped, sampled } = sweepMetricNames;
  const counter = (name: string, description: string) => meter.createCounter(name, { description });
  const tickCount = counter(ticks, 'Ticks of the sampler, by how they ended.');
  const batchCount = counter(batches, 'Batches of pages, by how they ended.');
  const batchTime = meter.createHistogram(batchDuration, {
    unit: 's',
    description: 'Duration of a batch.',
    advice: { explicitBucketBoundaries: batchBuckets },
  });
  const removedCount = counter(removed, 'Expired records removed.');
  const strippedCount = counter(stripped, 'Expired results stripped down to a tombstone.');
  const sampledCount = counter(sampled, 'Rows on the pages that the sampler drew.');
  // Series that begin with their first count hide it from a rate.
  for (const outcome of tickOutcomes) tickCount.add(0, { [attributeNames.outcome]: outcome });
  for (const outcome of batchOutcomes) batchCount.add(0, { [attributeNames.outcome]: outcome });
  for (const value of retentions) sampledCount.add(0, retention(value));
  const labels = new NamespaceLabels();
  const addByNamespace = (to: Counter, rows: ReadonlyMap<string, number>) => {
    for (const [namespace, count] of rows)
      to.add(count, { [attributeNames.namespace]: labels.of(namespace) });
  };
  return {
    addTick: (outcome) => tickCount.add(1, { [attributeNames.outcome]: outcome }),
    addBatch: (outcome, durationMs) => {
      batchCount.add(1, { [attributeNames.outcome]: outcome });
      batchTime.record(durationMs / 1000);
    },
    addRows: (ofRemoved, ofStripped) => {
      addByNamespace(removedCount, ofRemoved);
      addByNamespace(strippedCount, ofStripped);
    },
    addSampled: (counts) => {
      for (const { live, expired, strippable } of counts) {
        sampledCount.add(live - strippable, retention('live'));
        sampledCount.add(strippable, retention('strippable'));
        sampledCount.add(expired, retention('expired'));
      }
    },
    exportStore: (read) => {
      exportStore(meter, read, labels);
    },
  };
}

function retention(value: (typeof retentions)[number]): Attributes {
  return { [attributeNames.retention]: value };
}

function exportStore(meter: Meter, read: () => StoreView | undefined, labels: NamespaceLabels): void {
  const names = sweepMetricNames;
  const gauge = (
    name: string,
    unit: string,
    description: string,
    observe: (view: StoreView) => Iterable<readonly [value: number, attributes: Attributes]>,
  ) => {
    meter.createObservableGauge(name, { unit, description }).addCallback((result) => {
      const view = read();
      for (const [value, attributes] of view === undefined ? [] : observe(view)) {
        result.observe(value, attributes);
      }
    });
  };
  const single = (value: (view: StoreView) => number) => (view: StoreView) => [[value(view), {}] as const];
  gauge(names.records, '{record}', 'Estimated records, by namespace.', ({ estimates }) =>
    byNamespace(estimates, labels, ({ rows }) => rows),
  );
  gauge(names.recordSize, 'By', 'Estimated bytes in the tables, without indexes.', ({ estimates }) =>
    byNamespace(estimates, labels, ({ bytes }) => bytes),
  );
  gauge(
    names.recordsError,
    '{record}',
    'Half width of the 95 % confidence interval of all records.',
    ({ estimates: { live, expired } }) => byRetention({ live: halfWidth(live), expired: halfWidth(expired) }),
  );
  gauge(
    names.size,
    'By',
    'Bytes on disk, with indexes and TOAST.',
    single(({ totalBytes }) => totalBytes),
  );
  gauge(
    names.oldestExpired,
    's',
    'How long ago the oldest expired record that was seen expired.',
    single(({ estimates }) => estimates.oldestExpiredMs / 1000),
  );
  gauge(
    names.passAge,
    's',
    'Age of the oldest backstop pass under way.',
    single(({ passAgeMs }) => passAgeMs / 1000),
  );
}

type Value = (estimate: Estimate) => number;

function halfWidth({ low, high }: Estimate): number {
  return (high - low) / 2;
}

function byNamespace({ namespaces }: StoreEstimates, labels: NamespaceLabels, value: Value) {
  const sums = new Map<string, { live: number; expired: number }>();
  for (const [namespace, { live, expired }] of namespaces) {
    const label = labels.of(namespace);
    const sum = sums.get(label) ?? { live: 0, expired: 0 };
    sums.set(label, { live: sum.live + value(live), expired: sum.expired + value(expired) });
  }
  return [...sums].flatMap(([label, sum]) => byRetention(sum, { [attributeNames.namespace]: label }));
}

function byRetention({ live, expired }: Record<keyof Estimates, number>, attributes: Attributes = {}) {
  return [
    [live, { ...attributes, ...retention('live') }] as const,
    [expired, { ...attributes, ...retention('expired') }] as const,
  ];
}
