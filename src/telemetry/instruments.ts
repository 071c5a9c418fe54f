import type {
  Attributes,
  Meter,
  MetricOptions,
  Observable,
  Histogram as SdkHistogram,
} from '@opentelemetry/api';
import { counterNames, type CounterName, type Counters } from './counters.js';
import { Histogram } from './histogram.js';
import { attributeNames, counterMetrics, metricNames } from './names.js';
import { createSweepInstruments, type SweepInstruments } from './sweep-instruments.js';

/** Everything that is measured; attributes of a measurement are few and from small sets. */
export interface Instruments {
  readonly callDuration: Histogram;
  readonly statementDuration: Histogram;
  readonly laneQueueDuration: Histogram;
  readonly laneBatchSize: Histogram;
  readonly sweep: SweepInstruments;
  readonly beginCheckDuration: Histogram;
  readonly beginWaitDuration: SdkHistogram;
  /** From now on exports the counters, read whenever someone collects. */
  readonly exportCounters: (counters: Counters) => void;
  /** The same for one number; undefined while there is none. */
  readonly exportNumber: (name: NumberName, read: () => number | undefined) => void;
}

/** Seconds. Most calls take a few milliseconds; a waiting Begin takes up to five minutes. */
const callBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300];
const statementBuckets = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
/** A lane's largest batch is 128. */
const batchBuckets = [1, 2, 4, 8, 16, 32, 64, 128];

/** `kind`: a level goes up and down and can be summed over processes, a total only grows, a gauge makes no sum. */
const numbers = {
  callsInFlight: {
    kind: 'level',
    name: metricNames.callsInFlight,
    unit: '{call}',
    description: 'Calls under way.',
  },
  waiters: {
    kind: 'level',
    name: metricNames.waiters,
    unit: '{call}',
    description: "Begins that wait for someone else's attempt.",
  },
  replayCacheEntries: {
    kind: 'level',
    name: metricNames.replayCacheEntries,
    unit: '{record}',
    description: 'Finished records in the replay cache.',
  },
  replayCacheSize: {
    kind: 'level',
    name: metricNames.replayCacheSize,
    unit: 'By',
    description: 'What the replay cache takes, by its own account.',
  },
  storeTokens: {
    kind: 'total',
    name: metricNames.storeTokens,
    unit: '{token}',
    description: 'Fencing tokens drawn from the store since the start of this process, by whatever process.',
  },
  storeReachable: {
    kind: 'gauge',
    name: metricNames.storeReachable,
    unit: '1',
    description: 'Whether Postgres answers: 1, or 0 when it has not for most of a second.',
  },
  storeClockOffset: {
    kind: 'gauge',
    name: metricNames.storeClockOffset,
    unit: 's',
    description: "The database's clock minus this process's wall clock, which decides nothing.",
  },
} as const;
export type NumberName = keyof typeof numbers;

export function createInstruments(meter: Meter): Instruments {
  return {
    callDuration: new Histogram({
      name: metricNames.callDuration,
      unit: 's',
      description: 'Duration of a call.',
      boundaries: callBuckets,
    }),
    statementDuration: new Histogram({
      name: metricNames.statementDuration,
      unit: 's',
      description: 'Duration of a statement.',
      boundaries: statementBuckets,
    }),
    laneQueueDuration: new Histogram({
      name: metricNames.laneQueueDuration,
      unit: 's',
      description: 'How long the item of a batch that waited longest waited to leave.',
      boundaries: statementBuckets,
    }),
    laneBatchSize: new Histogram({
      name: metricNames.laneBatchSize,
      unit: '{item}',
      description: 'Items of a batch.',
      boundaries: batchBuckets,
    }),
    sweep: createSweepInstruments(meter),
    beginCheckDuration: new Histogram({
      name: metricNames.beginCheckDuration,
      unit: 's',
      description:
        "What a valid Begin took, by its outcome, without the time it waited for someone else's attempt.",
      boundaries: statementBuckets,
    }),
    beginWaitDuration: meter.createHistogram(metricNames.beginWaitDuration, {
      unit: 's',
      description: "How long a Begin waited for someone else's attempt, by what it was answered then.",
      advice: { explicitBucketBoundaries: callBuckets },
    }),
    exportCounters: (counters) => {
      for (const name of counterNames) exportCounter(meter, name, counters);
    },
    exportNumber: (number, read) => {
      const { kind, name, ...options } = numbers[number];
      observableOf(meter, kind, name, options).addCallback((result) => {
        const value = read();
        if (value !== undefined) result.observe(value);
      });
    },
  };
}

function observableOf(
  meter: Meter,
  kind: 'level' | 'total' | 'gauge',
  name: string,
  options: MetricOptions,
): Observable {
  switch (kind) {
    case 'level':
      return meter.createObservableUpDownCounter(name, options);
    case 'total':
      return meter.createObservableCounter(name, options);
    case 'gauge':
      return meter.createObservableGauge(name, options);
  }
}

/** Instruments of one name are one instrument to the meter: counters that differ by outcome become one metric. */
function exportCounter(meter: Meter, counter: CounterName, counters: Counters): void {
  const { name, outcome, description } = counterMetrics[counter];
  const attributes: Attributes = outcome === undefined ? {} : { [attributeNames.outcome]: outcome };
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    const byNamespace = counters.readByNamespace(counter);
    // Before there is a namespace the metric is there all the same.
    if (byNamespace.size === 0) result.observe(0, attributes);
    for (const [namespace, count] of byNamespace) {
      result.observe(count, { ...attributes, [attributeNames.namespace]: namespace });
    }
  });
}
