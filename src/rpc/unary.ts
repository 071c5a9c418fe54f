import type {
  handleUnaryCall,
  Metadata,
  MethodDefinition,
  ServerUnaryCall,
  ServiceDefinition,
} from '@grpc/grpc-js';
import type { CallContext } from '../coordinator/parts.js';
import { OncewardError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { CallObserver } from '../telemetry/call-observer.js';
import type { Log } from '../telemetry/log.js';
import { spanContextOf, type SpanContext } from '../telemetry/trace-context.js';
import type { CallFactsOf } from './call-facts.js';
import { Paced } from './paced.js';
import { Slots } from './slots.js';
import { codeNameOf, serviceErrorOf, toOncewardError } from './status.js';

/** A request that is not valid protobuf: it must reach a handler to be answered INVALID_ARGUMENT, not INTERNAL. */
export class Malformed {
  constructor(readonly cause: unknown) {}
}

/** The longest a call may take, also when its deadline is later or absent: the longest wait and a little more. */
const maxCallMs = limits.waitMaxMs + 10_000;
/** Who calls, while there is no authentication. */
export const anonymousPrincipal = 'anonymous';

/** The service with decoding that does not throw. */
export function tolerant(definition: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(definition).map(([name, method]) => [
      name,
      {
        ...method,
        requestDeserialize: (bytes: Buffer): unknown => {
          try {
            return method.requestDeserialize(bytes) as unknown;
          } catch (error) {
            return new Malformed(error);
          }
        },
      } satisfies MethodDefinition<unknown, unknown>,
    ]),
  );
}

/** What sees calls from the outside. */
export interface CallTools {
  readonly log: Log;
  readonly observer: CallObserver;
  readonly factsOf: CallFactsOf;
}

/**
 * Unary answers that are given in one turn of the event loop. A statement answers many calls, and while the next of them are answered
 * the first callers are at work again; else callers, coordinator and store would take turns.
 */
const answersPerTurn = 24;

/** The unary calls of a server. */
export class UnaryCalls {
  readonly #tools: CallTools;
  readonly #underWay = new Slots<(error: OncewardError) => void>();
  readonly #answers = new Paced(answersPerTurn);

  constructor(tools: CallTools) {
    this.#tools = tools;
  }

  /** Makes a handler of a function from request to answer; errors become statuses, ours are logged. */
  handler<Request extends object, Response extends object>(
    handle: (request: Request, call: CallContext) => Promise<Response>,
  ): handleUnaryCall<Request | Malformed, Response> {
    const { log, observer, factsOf } = this.#tools;
    return (call, answer) => {
      const { request, metadata } = call;
      const method = call.getPath().slice(1);
      const observed = observer.start({ method, carrier: 'unary', parent: () => parentOf(metadata) });
      const refuse = (error: OncewardError) => {
        if (!this.#underWay.remove(slot, refuse)) return;
        observed.end(codeNameOf(error), error.reason, () => factsOf(request, undefined));
        answer(serviceErrorOf(error));
      };
      const slot = this.#underWay.add(refuse);
      const handled =
        request instanceof Malformed
          ? Promise.reject(malformedError(request))
          : observed.run(() => handle(request, new CallScope(call)));
      handled.then(
        (response) => {
          if (!this.#underWay.remove(slot, refuse)) return;
          this.#answers.run(() => {
            observed.end('OK', undefined, () => factsOf(request, response));
            answer(null, response);
          });
        },
        (error: unknown) => {
          refuse(logged(error, log));
        },
      );
    };
  }

  /** Answers every call under way with an error, whatever becomes of it. */
  cut(error: OncewardError): void {
    for (const refuse of this.#underWay) refuse(error);
  }
}

export function malformedError(malformed: Malformed): OncewardError {
  return new OncewardError('REQUEST_INVALID', 'the request is not a valid protobuf message', {
    cause: malformed.cause,
  });
}

/** The error for the caller; what is our fault, or the store's, is logged with its cause. */
export function logged(error: unknown, log: Log): OncewardError {
  const known = toOncewardError(error);
  if (known.reason === 'INTERNAL') log.error({ err: known.cause ?? known }, known.message);
  if (known.reason === 'STORE_UNAVAILABLE') log.warn({ err: known.cause ?? known }, known.message);
  return known;
}

/** What a verb may know of its call. The signal is made when first asked for: most calls never need one. */
class CallScope implements CallContext {
  readonly deadlineTime: number;
  readonly principal = anonymousPrincipal;
  readonly #call: Pick<ServerUnaryCall<unknown, unknown>, 'cancelled' | 'once'>;
  #signal: AbortSignal | undefined;

  constructor(call: ServerUnaryCall<unknown, unknown>) {
    this.#call = call;
    this.deadlineTime = deadlineTimeOf(call.getDeadline());
  }

  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      const controller = new AbortController();
      if (this.#call.cancelled) controller.abort();
      else
        this.#call.once('cancelled', () => {
          controller.abort();
        });
      this.#signal = controller.signal;
    }
    return this.#signal;
  }
}

/** The deadline on `performance.now()`. */
function deadlineTimeOf(deadline: Date | number): number {
  const leftMs = Number(deadline) - Date.now();
  return performance.now() + Math.min(leftMs, maxCallMs);
}

/** The caller's span. */
function parentOf(metadata: Metadata): SpanContext | undefined {
  const [traceparent] = metadata.get('traceparent');
  if (traceparent === undefined) return undefined;
  return spanContextOf(String(traceparent), metadata.get('tracestate').join(','));
}
