import { emptyResource } from '@opentelemetry/resources';
import { MeterProvider, MetricReader, type HistogramMetricData } from '@opentelemetry/sdk-metrics';
import { expect, test } from 'vitest';
import { histogramProducer } from '../../src/telemetry/histogram-producer.js';
import { Histogram } from '../../src/telemetry/histogram.js';

class Reader extends MetricReader {
  protected override onForceFlush = () => Promise.resolve();
  protected override onShutdown = () => Promise.resolve();
}

test("our histogram says what the SDK's says of the same values", async () => {
  const about = { unit: 's', description: 'How long.' };
  const boundaries = [0.001, 0.01, 0.1, 1];
  const ours = new Histogram({ name: 'ours', boundaries, ...about });
  const unused = new Histogram({ name: 'unused', boundaries, ...about });
  const resource = emptyResource();
  const scope = { name: 'test', version: '1' };
  const reader = new Reader({
    metricProducers: [histogramProducer({ histograms: () => [ours, unused], scope, resource })],
  });
  const meter = new MeterProvider({ resource, readers: [reader] }).getMeter('test', '1');
  const theirs = meter.createHistogram('theirs', {
    ...about,
    advice: { explicitBucketBoundaries: boundaries },
  });
  const record = (value: number, outcome: string) => {
    theirs.record(value, { outcome });
    ours.record(value, outcome, () => ({ outcome }));
  };
  const startTime = Date.now();
  for (const value of [0, 0.0005, 0.001, 0.0011, 0.01, 0.5, 1, 1.0001, 300]) record(value, 'replay');
  record(0.02, 'execute');

  const collect = async () => {
    const { resourceMetrics, errors } = await reader.collect();
    expect(errors).toEqual([]);
    const metrics = resourceMetrics.scopeMetrics.flatMap((each) => each.metrics) as HistogramMetricData[];
    expect(metrics.map(({ descriptor }) => descriptor.name)).toEqual(['theirs', 'ours']);
    return metrics.map(({ dataPoints, ...more }) => ({
      ...more,
      points: dataPoints.map(({ attributes, value }) => ({ attributes, value })),
      times: dataPoints.flatMap((point) => [point.startTime, point.endTime]),
    })) as [Collected, Collected];
  };
  type Collected = Omit<HistogramMetricData, 'dataPoints'> & { points: unknown; times: [number, number][] };
  for (let i = 0; i < 2; i += 1) {
    const [sdk, own] = await collect();
    expect(own.points).toEqual(sdk.points);
    expect([own.aggregationTemporality, own.dataPointType]).toEqual([
      sdk.aggregationTemporality,
      sdk.dataPointType,
    ]);
    expect(own.descriptor).toMatchObject({ ...about, valueType: sdk.descriptor.valueType });
    for (const [seconds, nanos] of own.times) {
      const ms = seconds * 1000 + nanos / 1e6;
      expect(ms).toBeGreaterThanOrEqual(startTime);
      expect(ms).toBeLessThanOrEqual(Date.now());
    }
    // A collection takes nothing away: the second has both.
    record(0.3, 'replay');
  }
});
