import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type SpanContext,
  type Tracer,
} from '@opentelemetry/api';
import { currentSpan, withSpan } from './current-span.js';
import { attributeNames, links } from './names.js';
import { noTelemetry, type Telemetry } from './telemetry.js';

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

/** A call that nobody looks at; the same for all, since calls are many. */
const unobserved: ObservedCall = { run: (work) => work(), end: () => undefined };

/** A SERVER span and a duration for each call. */
export function createCallObserver(telemetry: Telemetry): CallObserver {
  if (telemetry === noTelemetry) return { start: () => unobserved };
  const { tracer, instruments } = telemetry;
  let inFlight = 0;
  instruments.exportNumber('callsInFlight', () => inFlight);
  return {
    start: (call) => {
      const startTime = performance.now();
      inFlight += 1;
      const span = tracer && startSpan(tracer, call);
      return {
        run: (work) => (span === undefined ? work() : withSpan(span, work)),
        end: (end) => {
          inFlight -= 1;
          const attributes = attributesOf(call);
          attributes[attributeNames.rpcStatusCode] = end.code;
          if (end.reason !== undefined) attributes[attributeNames.errorType] = end.reason;
          instruments.callDuration.record((performance.now() - startTime) / 1000, attributes);
          if (span?.isRecording() === true) endSpan(span, attributes, end);
        },
      };
    },
  };
}

function attributesOf({ method, carrier }: IncomingCall): Attributes {
  return {
    [attributeNames.rpcSystemName]: 'grpc',
    [attributeNames.rpcMethod]: method,
    [attributeNames.carrier]: carrier,
  };
}

function startSpan(tracer: Tracer, call: IncomingCall): Span {
  const parent = call.parent() ?? currentSpan()?.spanContext();
  const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
  return tracer.startSpan(call.method, { kind: SpanKind.SERVER, attributes: attributesOf(call) }, context);
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
