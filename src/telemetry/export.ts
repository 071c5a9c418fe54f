import { setTimeout as sleep } from 'node:timers/promises';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { defaultResource, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { histogramProducer } from './histogram-producer.js';
import { createInstruments, type Instruments } from './instruments.js';
import type { Log } from './log.js';
import { attributeNames, instrumentationName } from './names.js';
import { openOtlp } from './otlp.js';
import type { Telemetry } from './telemetry.js';

export interface ExportOptions {
  /** Base URL of a collector, OTLP over HTTP; undefined: spans are not made and metrics not sent. */
  readonly otlpEndpoint: string | undefined;
  /** Whether `metricsText` is there. */
  readonly prometheus: boolean;
  readonly version: string;
  readonly instanceId: string;
  readonly log: Log;
}

export interface TelemetryExport {
  readonly telemetry: Telemetry;
  /** All metrics in Prometheus' text format. */
  readonly metricsText: (() => Promise<string>) | undefined;
  /** Sends what is left, for at most so long. */
  stop(boundMs: number): Promise<void>;
}

/** Starts what exports the telemetry of one coordinator. */
export function startExport(options: ExportOptions): TelemetryExport {
  const { otlpEndpoint, log, prometheus } = options;
  const resource = resourceOf(options);
  const scope = { name: instrumentationName, version: options.version };
  const histograms = () => [
    instruments.callDuration,
    instruments.beginCheckDuration,
    instruments.statementDuration,
    instruments.laneQueueDuration,
    instruments.laneBatchSize,
  ];
  const metricProducers = [histogramProducer({ histograms, scope, resource })];
  const otlp =
    otlpEndpoint === undefined ? undefined : openOtlp(otlpEndpoint, resource, metricProducers, log);
  // `preventServerStart`: it is read through the HTTP server that is there anyway.
  const scraped = prometheus
    ? new PrometheusExporter({ preventServerStart: true, metricProducers })
    : undefined;
  const readers = [otlp?.metricReader, scraped].filter((reader) => reader !== undefined);
  const meters = new MeterProvider({ resource, readers });
  const instruments: Instruments = createInstruments(meters.getMeter(scope.name, scope.version));
  return {
    telemetry: {
      tracer: otlp?.traces.getTracer(scope.name, scope.version),
      instruments,
    },
    metricsText: scraped && (() => collectText(scraped)),
    stop: async (boundMs) => {
      // What can't be sent was logged already.
      const flushed = Promise.allSettled([otlp?.traces.shutdown(), meters.shutdown()]);
      await Promise.race([flushed, sleep(boundMs, undefined, { ref: false })]);
    },
  };
}

function resourceOf({ version, instanceId }: ExportOptions): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      [attributeNames.serviceName]: instrumentationName,
      [attributeNames.serviceVersion]: version,
      [attributeNames.serviceInstanceId]: instanceId,
    }),
  );
}

async function collectText(exporter: PrometheusExporter): Promise<string> {
  const { resourceMetrics } = await exporter.collect();
  // There is one scope, so its labels would only repeat themselves on every line.
  const withoutScopeInfo = true;
  return new PrometheusSerializer('', false, undefined, false, withoutScopeInfo).serialize(resourceMetrics);
}
