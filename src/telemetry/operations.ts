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

export interface TracedOperation {
  readonly ref: KeyRef;
  readonly operation: string;
}

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
export class OperationTrace {
  readonly #ref: KeyRef;
  readonly #parent: Context;
  readonly #span: Span;
  /** False without an OpenTelemetry SDK in the process. */
  readonly #traced: boolean;
  #keyHash: string | undefined;
  #context: Context | undefined;

  /** `remote`: the parent is another process, so this is the entry into this one. */
  constructor({ ref, operation }: TracedOperation, parent: Context, remote: boolean) {
    this.#ref = ref;
    this.#parent = parent;
    const hashes = {
      key: () => this.#hash(),
      root: () => this.#rootHash(),
    };
    // By getters: nobody reads them without an OpenTelemetry SDK, and a hash is dear.
    const attributes: Attributes = {
      [names.namespace]: ref.namespace,
      [names.operation]: operation,
      get [names.keyHash]() {
        return hashes.key();
      },
      get [names.rootHash]() {
        return hashes.root();
      },
    };
    const kind = remote ? SpanKind.SERVER : SpanKind.INTERNAL;
    this.#span = tracer().startSpan(spanNames.operation, { kind, attributes }, parent);
    this.#traced = trace.isSpanContextValid(this.#span.spanContext());
  }

  /** Names this span to the coordinator, which gives it back in replays; empty without an OpenTelemetry SDK. */
  get traceparent(): string {
    if (!this.#traced) return '';
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  set(attributes: Attributes): void {
    this.#span.setAttributes(attributes);
  }

  /** From a replay to the operation that was executed. */
  linkTo(traceparent: string): void {
    const original = spanContextOf(traceparent);
    if (original !== undefined) {
      this.#span.addLink({ context: original, attributes: { [names.link]: links.original } });
    }
  }

  /** Runs one part in a span of its own; a part that throws is an error. */
  part<T>(name: SpanName, run: () => Promise<T>): Promise<T> {
    if (this.#traced) return this.#tracedPart(name, run);
    return contextIsKept() ? context.with(this.#inside(), run) : run();
  }

  async #tracedPart<T>(name: SpanName, run: () => Promise<T>): Promise<T> {
    const kind = name === 'execute' ? SpanKind.INTERNAL : SpanKind.CLIENT;
    const inside = this.#inside();
    const span = tracer().startSpan(spanNames[name], { kind }, inside);
    try {
      return await context.with(trace.setSpan(inside, span), run);
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

  /** The context with the operation's span, and the root's hash in its baggage. */
  #inside(): Context {
    if (this.#context === undefined) {
      const baggage = propagation.getBaggage(this.#parent) ?? propagation.createBaggage();
      const entry = { value: this.#rootHash() };
      const rooted = propagation.setBaggage(this.#parent, baggage.setEntry(rootEntry, entry));
      this.#context = this.#traced ? trace.setSpan(rooted, this.#span) : rooted;
    }
    return this.#context;
  }

  /** Stands for namespace, scope and key. */
  #hash(): string {
    return (this.#keyHash ??= identityHash(identityOf(this.#ref)));
  }

  #rootHash(): string {
    return propagation.getBaggage(this.#parent)?.getEntry(rootEntry)?.value ?? this.#hash();
  }
}

function tracer(): Tracer {
  return trace.getTracer(instrumentationName);
}

const probe = ROOT_CONTEXT.setValue(createContextKey('onceward'), true);

/** Whether a context reaches what runs inside of it. Without an OpenTelemetry SDK in the process none does. */
function contextIsKept(): boolean {
  return context.with(probe, isProbed);
}

function isProbed(): boolean {
  return context.active() === probe;
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
