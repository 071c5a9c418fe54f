import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { Resource } from '@opentelemetry/resources';
import {
  PeriodicExportingMetricReader,
  type MetricProducer,
  type MetricReader,
} from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { Log } from './log.js';

export interface Otlp {
  readonly traces: BasicTracerProvider;
  readonly metricReader: MetricReader;
}

/** How often a collector that can't be reached is told of, ms. */
const quietMs = 5 * 60_000;

/**
 * Sends spans and metrics to a collector. Both wait in bounded memory and are dropped when it is full, so a collector that
 * is slow or gone takes nothing from the calls. Sampler and batches follow the SDK's own `OTEL_…` variables.
 */
export function openOtlp(
  endpoint: string,
  resource: Resource,
  metricProducers: MetricProducer[],
  log: Log,
): Otlp {
  const onFailure = failureLog(endpoint, log);
  const url = (signal: string) => `${endpoint.replace(/\/+$/, '')}/v1/${signal}`;
  const spanExporter = reporting(new OTLPTraceExporter({ url: url('traces') }), onFailure);
  const metricExporter = reporting(new OTLPMetricExporter({ url: url('metrics') }), onFailure);
  return {
    traces: new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(spanExporter)] }),
    metricReader: new PeriodicExportingMetricReader({ exporter: metricExporter, metricProducers }),
  };
}

type Done = (result: { readonly code: number; readonly error?: Error }) => void;

/** The SDK tells failures only to its own global log, which is silent; here they come to ours. */
function reporting<Items, Exporter extends { export(items: Items, done: Done): void }>(
  exporter: Exporter & { export(items: Items, done: Done): void },
  onFailure: (error: Error | undefined) => void,
): Exporter {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, done) => {
    send(items, (result) => {
      if (result.code !== 0) onFailure(result.error);
      done(result);
    });
  };
  return exporter;
}

/** Warns at the first failure, and of all since then when one comes later than `quietMs`. */
function failureLog(endpoint: string, log: Log): (error: Error | undefined) => void {
  let failures = 0;
  let quietUntilTime = -Infinity;
  return (error) => {
    failures += 1;
    if (performance.now() < quietUntilTime) return;
    quietUntilTime = performance.now() + quietMs;
    const { host } = new URL(endpoint);
    log.warn(
      { collector: host, why: whyFailed(error), failures },
      'telemetry could not be sent; calls go on',
    );
    failures = 0;
  };
}

/** The code where there is one: a collector's text may be of any length. */
function whyFailed(error: Error | undefined): string {
  const { code } = (error ?? {}) as { readonly code?: string | number };
  return code === undefined ? (error?.message ?? 'unknown') : String(code);
}
