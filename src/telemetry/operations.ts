import {
  context,
  createContextKey,
  metrics,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
  type TextMapGetter,
  type Tracer,
} from '@opentelemetry/api';
import { identityHash, identityOf, type KeyRef } from '../core/key.js';
import {
  attributeNames as names,
  instrumentationName,
  links,
  operationMetricNames as metricNames,
  spanNames,
} from './names.js';
import { spanContextOf } from './trace-context.js';

/**
 * What the SDK shows of the operations it guards: spans `onceward.operation` with `onceward.begin`, `.wait`, `.execute` and
 * `.finish` inside, and metrics. A key appears as its hash only. Without an OpenTelemetry SDK in the process all of it does nothing.
 */
/** In baggage: the hash of the chain's first key, so that every service of a chain can be searched by it. */
const rootEntry = names.rootHash;

export type SpanName = 'begin' | 'wait' | 'execute' | 'finish';

export function createOperationMetrics() {
  const meter = metrics.getMeter(instrumentationName);
  const seconds = { unit: 's', advice: { explicitBucketBoundaries: [...bucketsS] } };
  return {
    outcomes: meter.createCounter(metricNames.outcomes, {
      description: 'Answers of Begin, by outcome; `unguarded` is an execution that failing open let through',
    }),
    duplicates: meter.createCounter(metricNames.duplicates, {
      description: 'Operations that were finished, or being executed, already',
    }),
    mismatches: meter.createCounter(metricNames.mismatches, {
      description: 'Keys that were used for another operation or request',
    }),
    takeovers: meter.createCounter(metricNames.takeovers, {
      description: 'Executions after the lease of an earlier one lapsed',
    }),
    leasesLost: meter.createCounter(metricNames.leasesLost, {
      description: 'Executions whose finish was refused because another took over',
    }),
    waits: meter.createHistogram(metricNames.waitDuration, {
      description: 'Time spent waiting for another execution',
      ...seconds,
    }),
    overhead: meter.createHistogram(metricNames.overhead, {
      description: 'Time that Begin and the finish add to an execution',
      ...seconds,
    }),
    inFlight: meter.createUpDownCounter(metricNames.inFlight, {
      description: 'Executions under way',
    }),
  } as const;
}

const bucketsS = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export type OperationMetrics = ReturnType<typeof createOperationMetrics>;

/** The span of one guarded operation, and of its parts. */
export interface OperationTrace {
  /** Names this span to the coordinator, which gives it back in replays; empty without an OpenTelemetry SDK. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  /** From a replay to the operation that was executed. */
  linkTo(traceparent: string): void;
  /** Runs one part in a span of its own; a part that throws is an error. */
  part<T>(name: SpanName, run: () => Promise<T>): Promise<T>;
  end(error?: unknown): void;
}

/**
 * Without a context manager, which every OpenTelemetry SDK for Node registers, there is nothing to show: spans would find no parent.
 * `remote`: the parent is another process, so this is the entry into this one. */
export function traceOperation(
  ref: KeyRef,
  operation: string,
  parent: Context,
  remote: boolean,
): OperationTrace {
  return contextIsKept() ? new TracedOperation(ref, operation, parent, remote) : untraced;
}

const untraced: OperationTrace = {
  traceparent: '',
  set: () => undefined,
  linkTo: () => undefined,
  part: (_name, run) => run(),
  end: () => undefined,
};

const probe = ROOT_CONTEXT.setValue(createContextKey('onceward'), true);

/** Whether a context reaches what runs inside of it: it does wherever an OpenTelemetry SDK was started. */
function contextIsKept(): boolean {
  return context.with(probe, isProbed);
}

function isProbed(): boolean {
  return context.active() === probe;
}

class TracedOperation implements OperationTrace {
  /** With the operation's span, and the root's hash in the baggage. */
  readonly #context: Context;
  readonly #span: Span;

  constructor(ref: KeyRef, operation: string, parent: Context, remote: boolean) {
    const keyHash = identityHash(identityOf(ref));
    const baggage = propagation.getBaggage(parent) ?? propagation.createBaggage();
    const rootHash = baggage.getEntry(rootEntry)?.value ?? keyHash;
    const rooted = propagation.setBaggage(parent, baggage.setEntry(rootEntry, { value: rootHash }));
    const attributes: Attributes = {
      [names.namespace]: ref.namespace,
      [names.operation]: operation,
      [names.keyHash]: keyHash,
      [names.rootHash]: rootHash,
    };
    const kind = remote ? SpanKind.SERVER : SpanKind.INTERNAL;
    this.#span = tracer().startSpan(spanNames.operation, { kind, attributes }, rooted);
    this.#context = isValid(this.#span) ? trace.setSpan(rooted, this.#span) : rooted;
  }

  get traceparent(): string {
    if (!isValid(this.#span)) return '';
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  linkTo(traceparent: string): void {
    const original = spanContextOf(traceparent);
    if (original !== undefined) {
      this.#span.addLink({ context: original, attributes: { [names.link]: links.original } });
    }
  }

  async part<T>(name: SpanName, run: () => Promise<T>): Promise<T> {
    const kind = name === 'execute' ? SpanKind.INTERNAL : SpanKind.CLIENT;
    const span = tracer().startSpan(spanNames[name], { kind }, this.#context);
    try {
      return await context.with(trace.setSpan(this.#context, span), run);
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  end(error?: unknown): void {
    if (error !== undefined) fail(this.#span, error);
    this.#span.end();
  }
}

/** False for what a tracer without an OpenTelemetry SDK makes. */
function isValid(span: Span): boolean {
  return trace.isSpanContextValid(span.spanContext());
}

function tracer(): Tracer {
  return trace.getTracer(instrumentationName);
}

/** The caller's context out of what came with a call, unless something in this process already took it out. */
export function callerContext<Carrier>(
  carrier: Carrier,
  getter: TextMapGetter<Carrier>,
): { readonly parent: Context; readonly remote: boolean } {
  const active = context.active();
  if (trace.getSpan(active) !== undefined) return { parent: active, remote: false };
  const parent = propagation.extract(active, carrier, getter);
  return { parent, remote: trace.getSpanContext(parent)?.isRemote === true };
}

/** What goes along with a call to another service. */
export function injectContext<Carrier>(
  carrier: Carrier,
  set: (carrier: Carrier, name: string, value: string) => void,
): void {
  propagation.inject(context.active(), carrier, { set });
}

export function activeContext(): Context {
  return context.active();
}

/** The type of an error and never its message, which may tell what was in the request. */
function fail(span: Span, error: unknown): void {
  const type =
    error instanceof Error && 'reason' in error
      ? String(error.reason)
      : error instanceof Error
        ? error.name
        : '_OTHER';
  span.setAttribute(names.errorType, type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}
