import { setTimeout as pause } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import {
  CoordinatorService,
  FailRequest,
  HeartbeatRequest,
  LookupRequest,
  type Answer,
  type BeginRequest,
  type BeginResponse,
  type Call,
  type CompleteRequest,
  type CompleteResponse,
  type FailResponse,
  type HeartbeatResponse,
} from '../gen/onceward/v1/coordinator.js';
import { OnLapse, State, type Record } from '../gen/onceward/v1/record.js';
import { CallError, localError } from './call-error.js';
import { fromDuration, toDuration } from './duration.js';
import { encodeCall } from './encode-call.js';
import { callFramed, tryMs, type FramedCallOptions } from './framed-call.js';
import { Links, type LinksOptions } from './links.js';
import { Resender } from './resender.js';
import { callBytes } from './session.js';
import { unaryCall } from './unary-call.js';

export interface CallOptions {
  /** How long the call may take with all its resends, ms. Default 10 000; for a Begin its `wait` is added. */
  readonly deadlineMs?: number;
  /** Leaves the call; whether it had an effect is then unknown, and sending it again is safe. */
  readonly signal?: AbortSignal | undefined;
}

export interface BeginOptions extends CallOptions {
  /** An answer that came after the caller left: a lease granted to nobody can be given back. */
  readonly onLate?: (response: BeginResponse) => void;
}

/**
 * The calls of a coordinator, sent again under the same attempt id or token until there is a definite answer or the
 * deadline has passed. Absent request fields take the protocol's defaults. Failures are CallErrors. When more calls are made than a
 * coordinator answers, those that waited too long to be answered in time are not sent: RESOURCE_EXHAUSTED.
 */
export interface Calls {
  begin(request: Partial<BeginRequest>, options?: BeginOptions): Promise<BeginResponse>;
  complete(request: Partial<CompleteRequest>, options?: CallOptions): Promise<CompleteResponse>;
  fail(request: Partial<FailRequest>, options?: CallOptions): Promise<FailResponse>;
  heartbeat(request: Partial<HeartbeatRequest>, options?: CallOptions): Promise<HeartbeatResponse>;
  lookup(request: Partial<LookupRequest>, options?: CallOptions): Promise<Record>;
  /** Since when no coordinator answers, on `performance.now()`; undefined while one does. */
  readonly unreachableSince: number | undefined;
  close(): void;
}

const defaultDeadlineMs = 10_000;
/** In which a claim that was under way when its caller left is made. */
const claimMs = 1000;
type Case = NonNullable<Call['request']>['$case'];
type Response = NonNullable<Answer['response']>;

export function createCalls(options: LinksOptions): Calls {
  return new ResentCalls(new Links(options));
}

class ResentCalls implements Calls {
  readonly #links: Links;
  readonly #resender: Resender;

  constructor(links: Links) {
    this.#links = links;
    this.#resender = new Resender(links.count);
  }

  get unreachableSince(): number | undefined {
    return this.#resender.unreachableSince;
  }

  begin(request: Partial<BeginRequest>, options: BeginOptions = {}): Promise<BeginResponse> {
    const value = beginRequestOf(request);
    const waitMs = fromDuration(value.wait);
    const deadlineTime = performance.now() + (options.deadlineMs ?? defaultDeadlineMs + waitMs);
    if (waitMs > 0) return this.#waitingBegin(value, waitMs, deadlineTime, options);
    const call = { $case: 'begin' as const, value };
    return this.#framed('begin', call, deadlineTime, false, options.signal, options.onLate);
  }

  complete(request: Partial<CompleteRequest>, options?: CallOptions): Promise<CompleteResponse> {
    const { ref, fencingToken = 0n, result, resultRetention } = request;
    const call = { $case: 'complete' as const, value: { ref, fencingToken, result, resultRetention } };
    return this.#framed('complete', call, deadlineOf(options), true, options?.signal);
  }

  fail(request: Partial<FailRequest>, options?: CallOptions): Promise<FailResponse> {
    const call = { $case: 'fail' as const, value: { ...empty.fail, ...request } };
    return this.#framed('fail', call, deadlineOf(options), true, options?.signal);
  }

  heartbeat(request: Partial<HeartbeatRequest>, options?: CallOptions): Promise<HeartbeatResponse> {
    const call = { $case: 'heartbeat' as const, value: { ...empty.heartbeat, ...request } };
    return this.#framed('heartbeat', call, deadlineOf(options), true, options?.signal);
  }

  lookup(request: Partial<LookupRequest>, options?: CallOptions): Promise<Record> {
    const call = { $case: 'lookup' as const, value: { ...empty.lookup, ...request } };
    return this.#framed('lookup', call, deadlineOf(options), false, options?.signal);
  }

  close(): void {
    this.#resender.close();
    this.#links.close();
  }

  async #waitingBegin(
    value: BeginRequest,
    waitMs: number,
    deadlineTime: number,
    { signal, onLate }: BeginOptions,
  ): Promise<BeginResponse> {
    const untilTime = performance.now() + waitMs;
    try {
      return await this.#resender.untilAnswered(deadlineTime, signal, async (leftMs) => {
        const stillMs = Math.max(1, untilTime - performance.now());
        const { waiting } = this.#links.pick();
        const call = { ...value, wait: toDuration(stillMs) };
        const left = new AbortController();
        const leaver = { handleEvent: () => left.abort() };
        this.#resender.enter(leaver, signal);
        try {
          const tryEndMs = Math.min(leftMs, stillMs + tryMs);
          return await unaryCall(waiting, CoordinatorService.begin, call, tryEndMs, left.signal);
        } finally {
          this.#resender.exit(leaver, signal);
        }
      });
    } catch (error) {
      const unknown = error instanceof CallError && !error.fromCoordinator;
      if (unknown && onLate !== undefined && !this.#resender.closed)
        this.#grantMeanwhile(value, onLate).catch(() => undefined);
      throw error;
    }
  }

  /**
   * A grant may have been on its way; the same attempt gets it again. Only of a key that somebody holds: any other a Begin would take, from an
   * owner that may still finish when its lease has lapsed.
   */
  async #grantMeanwhile(value: BeginRequest, onLate: (response: BeginResponse) => void): Promise<void> {
    const isHeld = async () => {
      const { state, leaseLeft } = await this.lookup({ ref: value.ref });
      return state === State.IN_PROGRESS && fromDuration(leaseLeft) > 0;
    };
    let held = await isHeld();
    if (!held) {
      await pause(claimMs, undefined, { ref: false });
      held = await isHeld();
    }
    if (held) onLate(await this.begin({ ...value, wait: undefined }));
  }

  #framed<Kind extends Case>(
    kind: Kind,
    request: NonNullable<Call['request']>,
    deadlineTime: number,
    finishing: boolean,
    signal: AbortSignal | undefined,
    onLate?: (response: ValueOf<Kind>) => void,
  ): Promise<ValueOf<Kind>> {
    const bytes = encodeCall(request);
    if (bytes.length > callBytes) {
      const text = `the ${kind} has ${bytes.length} bytes, and a message may have ${callBytes}`;
      return Promise.reject(localError(status.INVALID_ARGUMENT, text));
    }
    const late = onLate as FramedCallOptions['onLate'];
    const options = { kind, bytes, finishing, deadlineTime, signal, onLate: late };
    // The answer to a call is of its own kind, or else it is an error.
    return callFramed(this.#links, this.#resender, options) as Promise<ValueOf<Kind>>;
  }
}

type ValueOf<Kind extends Case> = Extract<Response, { $case: Kind }>['value'];

function deadlineOf(options: CallOptions | undefined): number {
  return performance.now() + (options?.deadlineMs ?? defaultDeadlineMs);
}

/** Written out, as is a Complete: to spread the two busiest requests over their defaults costs more than to encode them. */
function beginRequestOf(request: Partial<BeginRequest>): BeginRequest {
  return {
    ref: request.ref,
    operation: request.operation ?? '',
    fingerprint: request.fingerprint,
    attemptId: request.attemptId ?? '',
    lease: request.lease,
    wait: request.wait,
    parent: request.parent,
    labels: request.labels ?? {},
    firstAttemptTime: request.firstAttemptTime,
    resultRetention: request.resultRetention,
    onLapse: request.onLapse ?? OnLapse.UNSPECIFIED,
    traceparent: request.traceparent ?? '',
  };
}

const noBytes = new Uint8Array();
/** With the protocol's defaults in every field. */
const empty = {
  fail: FailRequest.decode(noBytes),
  heartbeat: HeartbeatRequest.decode(noBytes),
  lookup: LookupRequest.decode(noBytes),
};
