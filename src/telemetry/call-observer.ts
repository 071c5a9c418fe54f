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
import type { Instruments } from './instruments.js';
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

export interface CallFacts {
  readonly attributes: Attributes;
  /** Of a replay: the span of the execution it repeats. */
  readonly original: SpanContext | undefined;
}

/** A call under way. */
export interface ObservedCall {
  /** Does the work of the call: spans made meanwhile belong to it. */
  run<T>(work: () => T): T;
  /**
   * Name of its gRPC code, reason of its error, and what its span says besides, which is asked for only when there is one.
   */
  end(code: string, reason: string | undefined, facts: () => CallFacts): void;
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
  const level = { inFlight: 0 };
  instruments.exportNumber('callsInFlight', () => level.inFlight);
  return { start: (call) => new CallUnderWay(call, tracer, instruments, level) };
}

class CallUnderWay implements ObservedCall {
  readonly #call: IncomingCall;
  readonly #instruments: Instruments;
  readonly #level: { inFlight: number };
  readonly #span: Span | undefined;
  readonly #startTime = performance.now();

  constructor(
    call: IncomingCall,
    tracer: Tracer | undefined,
    instruments: Instruments,
    level: { inFlight: number },
  ) {
    this.#call = call;
    this.#instruments = instruments;
    this.#level = level;
    this.#span = tracer && startSpan(tracer, call);
    level.inFlight += 1;
  }

  run<T>(work: () => T): T {
    return this.#span === undefined ? work() : withSpan(this.#span, work);
  }

  end(code: string, reason: string | undefined, facts: () => CallFacts): void {
    this.#level.inFlight -= 1;
    const { method, carrier } = this.#call;
    const attributes = () => endedAttributesOf(this.#call, code, reason);
    const durationMs = performance.now() - this.#startTime;
    const series = `${method} ${carrier} ${code} ${reason ?? ''}`;
    this.#instruments.callDuration.record(durationMs / 1000, series, attributes);
    if (this.#span?.isRecording() === true) endSpan(this.#span, attributes(), code, facts());
  }
}

function attributesOf({ method, carrier }: IncomingCall): Attributes {
  return {
    [attributeNames.rpcSystemName]: 'grpc',
    [attributeNames.rpcMethod]: method,
    [attributeNames.carrier]: carrier,
  };
}

function endedAttributesOf(call: IncomingCall, code: string, reason: string | undefined): Attributes {
  const attributes = attributesOf(call);
  attributes[attributeNames.rpcStatusCode] = code;
  if (reason !== undefined) attributes[attributeNames.errorType] = reason;
  return attributes;
}

function startSpan(tracer: Tracer, call: IncomingCall): Span {
  const parent = call.parent() ?? currentSpan()?.spanContext();
  const context = parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
  return tracer.startSpan(call.method, { kind: SpanKind.SERVER, attributes: attributesOf(call) }, context);
}

function endSpan(span: Span, outcome: Attributes, code: string, { attributes, original }: CallFacts): void {
  span.setAttributes(outcome);
  span.setAttributes(attributes);
  if (original !== undefined) {
    span.addLink({ context: original, attributes: { [attributeNames.link]: links.original } });
  }
  // No message: the reason says it, and texts may come from elsewhere.
  if (serverFaults.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}
