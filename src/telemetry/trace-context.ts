import { createTraceState, isSpanContextValid, type SpanContext } from '@opentelemetry/api';

export type { SpanContext };

/** The caller's span as W3C `traceparent` and `tracestate` name it; undefined when they name none. */
export function spanContextOf(traceparent: string, tracestate = ''): SpanContext | undefined {
  // A version we don't know may append fields; ff is no version.
  const match = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent);
  if (match === null) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = match;
  if (version === '00' && more !== undefined) return undefined;
  const context: SpanContext = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate === '' ? {} : { traceState: createTraceState(tracestate) }),
  };
  return isSpanContextValid(context) ? context : undefined;
}
