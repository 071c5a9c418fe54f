import { ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type HistogramMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Histogram } from './histogram.js';

export interface HistogramProducerOptions {
  readonly histograms: () => readonly Histogram[];
  readonly scope: { readonly name: string; readonly version: string };
  readonly resource: Resource;
}

/** Gives our own histograms to the SDK's readers, beside those of its meters. */
export function histogramProducer({ histograms, scope, resource }: HistogramProducerOptions): MetricProducer {
  return {
    collect: () => {
      const endTime = Date.now();
      const used = histograms().filter(({ series }) => series.length > 0);
      const metrics = used.map((histogram) => metricOf(histogram, endTime));
      return Promise.resolve({
        resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] },
        errors: [],
      });
    },
  };
}

function metricOf({ options, series }: Histogram, endTime: number): HistogramMetricData {
  const { name, unit, description } = options;
  const boundaries = [...options.boundaries];
  return {
    descriptor: { name, unit, description, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.HISTOGRAM,
    dataPoints: series.map(({ attributes, startTime, counts, count, sum, min, max }) => ({
      attributes,
      startTime: hrTimeOf(startTime),
      endTime: hrTimeOf(endTime),
      value: { buckets: { boundaries, counts: [...counts] }, count, sum, min, max },
    })),
  };
}

/** Seconds and nanoseconds. */
function hrTimeOf(ms: number): [number, number] {
  const seconds = Math.trunc(ms / 1000);
  return [seconds, (ms - seconds * 1000) * 1e6];
}
