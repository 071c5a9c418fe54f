import type { Attributes, Histogram, Meter } from '@opentelemetry/api';
import { counterNames, type CounterName, type Counters } from './counters.js';
import { attributeNames, counterMetrics, metricNames } from './names.js';
import { createSweepInstruments, type SweepInstruments } from './sweep-instruments.js';

/** Everything that is measured; attributes of a measurement are few and from small sets. */
export interface Instruments {
  readonly callDuration: Histogram;
  readonly statementDuration: Histogram;
  readonly laneQueueDuration: Histogram;
  readonly laneBatchSize: Histogram;
  readonly sweep: SweepInstruments;
  /** From now on exports the counters, read whenever someone collects. */
  readonly exportCounters: (counters: Counters) => void;
  /** The same for a number that goes up and down. */
  readonly exportLevel: (level: Level, read: () => number) => void;
}

/** Seconds. Most calls take a few milliseconds; a waiting Begin takes up to five minutes. */
const callBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300];
const statementBuckets = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];
/** A lane's largest batch is 256. */
const batchBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256];

const levels = {
  callsInFlight: { name: metricNames.callsInFlight, unit: '{call}', description: 'Calls under way.' },
  waiters: {
    name: metricNames.waiters,
    unit: '{call}',
    description: "Begins that wait for someone else's attempt.",
  },
};
export type Level = keyof typeof levels;

export function createInstruments(meter: Meter): Instruments {
  const histogram = (name: string, unit: string, description: string, buckets: number[]) =>
    meter.createHistogram(name, { unit, description, advice: { explicitBucketBoundaries: buckets } });
  return {
    callDuration: histogram(metricNames.callDuration, 's', 'Duration of a call.', callBuckets),
    statementDuration: histogram(
      metricNames.statementDuration,
      's',
      'Duration of a statement.',
      statementBuckets,
    ),
    laneQueueDuration: histogram(
      metricNames.laneQueueDuration,
      's',
      'How long the item of a batch that waited longest waited to leave.',
      statementBuckets,
    ),
    laneBatchSize: histogram(metricNames.laneBatchSize, '{item}', 'Items of a batch.', batchBuckets),
    sweep: createSweepInstruments(meter),
    exportCounters: (counters) => {
      for (const name of counterNames) exportCounter(meter, name, counters);
    },
    exportLevel: (level, read) => {
      const { name, ...options } = levels[level];
      meter.createObservableUpDownCounter(name, options).addCallback((result) => {
        result.observe(read());
      });
    },
  };
}

/** Instruments of one name are one instrument to the meter: counters that differ by outcome become one metric. */
function exportCounter(meter: Meter, counter: CounterName, counters: Counters): void {
  const { name, outcome, description } = counterMetrics[counter];
  const attributes: Attributes = outcome === undefined ? {} : { [attributeNames.outcome]: outcome };
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    const byNamespace = counters.readByNamespace(counter);
    if (byNamespace.size === 0) result.observe(Number(counters.read(counter)), attributes);
    for (const [namespace, count] of byNamespace) {
      result.observe(Number(count), { ...attributes, [attributeNames.namespace]: namespace });
    }
  });
}
