import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type SpanContext,
} from '@opentelemetry/api';
import { currentSpan, withSpan } from './current-span.js';
import { attributeNames, links } from './names.js';
import type { Telemetry } from './telemetry.js';

/** How a call came: by itself, or in a frame with others. */
export type Carrier = 'unary' | 'batch' | 'session';

export interface IncomingCall {
  /** `package.Service/Method`. */
  readonly method: string;
  readonly carrier: Carrier;
  /** The caller's span, asked for only while spans are made; default: the call this one is part of. */
  readonly parent: () => SpanContext | undefined;
}

/** How a call ended. */
export interface CallEnd {
  /** Name of its gRPC code. */
  readonly code: string;
  /** Reason of its error. */
  readonly reason?: string;
  /** What its span says besides; asked for only when there is one. */
  readonly facts: () => CallFacts;
}

export interface CallFacts {
  readonly attributes: Attributes;
  /** Of a replay: the span of the execution it repeats. */
  readonly original: SpanContext | undefined;
}

/** A call under way. */
export interface ObservedCall {
  /** Does the work of the call: spans made meanwhile belong to it. */
  run<T>(work: () => T): T;
  end(end: CallEnd): void;
}

export interface CallObserver {
  start(call: IncomingCall): ObservedCall;
}

/** The codes of which a server says that it failed; others are its answer to what the caller did. */
const serverFaults = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

/** A SERVER span and a duration for each call. */
export function createCallObserver({ tracer, instruments }: Telemetry): CallObserver {
  let inFlight = 0;
  instruments.exportLevel('callsInFlight', () => inFlight);
  return {
    start: ({ method, carrier, parent }) => {
      const startTime = performance.now();
      inFlight += 1;
      const attributes = {
        [attributeNames.rpcSystemName]: 'grpc',
        [attributeNames.rpcMethod]: method,
        [attributeNames.carrier]: carrier,
      };
      const options = { kind: SpanKind.SERVER, attributes };
      const span =
        tracer && tracer.startSpan(method, options, contextOf(parent() ?? currentSpan()?.spanContext()));
      return {
        run: (work) => (span?.isRecording() === true ? withSpan(span, work) : work()),
        end: (end) => {
          inFlight -= 1;
          const outcome = {
            ...attributes,
            [attributeNames.rpcStatusCode]: end.code,
            ...(end.reason === undefined ? {} : { [attributeNames.errorType]: end.reason }),
          };
          instruments.callDuration.record((performance.now() - startTime) / 1000, outcome);
          if (span?.isRecording() === true) endSpan(span, outcome, end);
        },
      };
    },
  };
}

function contextOf(parent: SpanContext | undefined) {
  return parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
}

function endSpan(span: Span, outcome: Attributes, { code, facts }: CallEnd): void {
  const { attributes, original } = facts();
  span.setAttributes(outcome);
  span.setAttributes(attributes);
  if (original !== undefined) {
    span.addLink({ context: original, attributes: { [attributeNames.link]: links.original } });
  }
  // No message: the reason says it, and texts may come from elsewhere.
  if (serverFaults.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
