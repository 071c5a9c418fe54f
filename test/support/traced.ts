import { Metadata } from '@grpc/grpc-js';
import { onTestFinished, vi } from 'vitest';
import { identityHash, identityOf } from '../../src/core/key.js';
import { attributeNames } from '../../src/telemetry/names.js';
import { startCollector, type Collector } from './collector.js';
import { refOf } from './calls.js';
import type { ExportedSpan } from './otlp.js';
import { until } from './until.js';

/** The SDK sends spans every so many ms, read when a coordinator starts. */
export function sendSpansEvery(ms: number): void {
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', String(ms));
}

/** A collector for one test. */
export async function collectorOfTest(
  options: Parameters<typeof startCollector>[0] = {},
): Promise<Collector> {
  const collector = await startCollector(options);
  onTestFinished(() => collector.close());
  return collector;
}

/** The spans of the calls that name this key, once there are so many, in the order of their arrival. */
export async function spansOfKey(
  collector: Collector,
  key: string,
  count = 1,
): Promise<readonly [ExportedSpan, ...ExportedSpan[]]> {
  const hash = identityHash(identityOf(refOf(key)));
  const spans = await until(`${count} spans of ${key}`, () => {
    const found = collector.spans().filter(({ attributes }) => attributes[attributeNames.keyHash] === hash);
    return found.length >= count ? found : undefined;
  });
  return spans as [ExportedSpan, ...ExportedSpan[]];
}

/** The statements that are children of this span, once there is one. */
export function statementsBelow(
  collector: Collector,
  { spanId }: ExportedSpan,
): Promise<readonly [ExportedSpan, ...ExportedSpan[]]> {
  return until('the statements', () => {
    const found = collector.spans().filter((span) => span.kind === 3 && span.parentSpanId === spanId);
    return found.length > 0 ? (found as [ExportedSpan, ...ExportedSpan[]]) : undefined;
  });
}

/** A caller's span, as its gRPC metadata would tell of it. */
export function callerMetadata(traceparent: string, tracestate?: string): Metadata {
  const metadata = new Metadata();
  metadata.set('traceparent', traceparent);
  if (tracestate !== undefined) metadata.set('tracestate', tracestate);
  return metadata;
}
