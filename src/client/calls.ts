import { status } from '@grpc/grpc-js';
import {
  BeginRequest,
  Call,
  CompleteRequest,
  CoordinatorService,
  FailRequest,
  HeartbeatRequest,
  LookupRequest,
  type Answer,
  type BeginResponse,
  type CompleteResponse,
  type FailResponse,
  type HeartbeatResponse,
} from '../gen/onceward/v1/coordinator.js';
import type { Record } from '../gen/onceward/v1/record.js';
import { CallError, callErrorOf, callErrorOfStatus, localError } from './call-error.js';
import { fromDuration, toDuration } from './duration.js';
import { Links, type LinksOptions } from './links.js';
import { Resender } from './resender.js';
import { callBytes, type Sending } from './session.js';
import { unaryCall } from './unary-call.js';

export interface CallOptions {
  /** How long the call may take with all its resends, ms. Default 10 000; for a Begin its `wait` is added. */
  readonly deadlineMs?: number;
  /** Leaves the call; whether it had an effect is then unknown, and sending it again is safe. */
  readonly signal?: AbortSignal;
}

export interface BeginOptions extends CallOptions {
  /** An answer that came after the caller left: a lease granted to nobody can be given back. */
  readonly onLate?: (response: BeginResponse) => void;
}

/**
 * The calls of a coordinator, sent again under the same attempt id or token until there is a definite answer or the
 * deadline has passed. Absent request fields take the protocol's defaults. Failures are CallErrors.
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
/** Without an answer for so long a call goes to the next coordinator too, ms: all calls may be sent twice. */
const tryMs = 3000;
/** The same for the call that looks whether a coordinator is back, ms: most likely it is not. */
const lookMs = 250;
/** A try shorter than this would be given up by a busy machine, ms. */
const tryLeastMs = 30;

type Case = NonNullable<Call['request']>['$case'];
type Response = NonNullable<Answer['response']>;

export function createCalls(options: LinksOptions): Calls {
  return new ResentCalls(new Links(options));
}

class ResentCalls implements Calls {
  readonly #links: Links;
  readonly #resender: Resender;
  #nextId = 1n;

  constructor(links: Links) {
    this.#links = links;
    this.#resender = new Resender(links.count);
  }

  get unreachableSince(): number | undefined {
    return this.#resender.unreachableSince;
  }

  begin(request: Partial<BeginRequest>, options: BeginOptions = {}): Promise<BeginResponse> {
    const value = withDefaults(BeginRequest, request);
    const waitMs = fromDuration(value.wait);
    const deadlineTime = performance.now() + (options.deadlineMs ?? defaultDeadlineMs + waitMs);
    if (waitMs > 0) return this.#waitingBegin(value, waitMs, deadlineTime, options);
    const call = { $case: 'begin' as const, value };
    return this.#framed('begin', call, deadlineTime, false, options.signal, options.onLate);
  }

  complete(request: Partial<CompleteRequest>, options?: CallOptions): Promise<CompleteResponse> {
    const call = { $case: 'complete' as const, value: withDefaults(CompleteRequest, request) };
    return this.#framed('complete', call, deadlineOf(options), true, options?.signal);
  }

  fail(request: Partial<FailRequest>, options?: CallOptions): Promise<FailResponse> {
    const call = { $case: 'fail' as const, value: withDefaults(FailRequest, request) };
    return this.#framed('fail', call, deadlineOf(options), true, options?.signal);
  }

  heartbeat(request: Partial<HeartbeatRequest>, options?: CallOptions): Promise<HeartbeatResponse> {
    const call = { $case: 'heartbeat' as const, value: withDefaults(HeartbeatRequest, request) };
    return this.#framed('heartbeat', call, deadlineOf(options), true, options?.signal);
  }

  lookup(request: Partial<LookupRequest>, options?: CallOptions): Promise<Record> {
    const call = { $case: 'lookup' as const, value: withDefaults(LookupRequest, request) };
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
        const endLeave = this.#resender.onLeave(signal, () => left.abort());
        try {
          const tryEndMs = Math.min(leftMs, stillMs + tryMs);
          return await unaryCall(waiting, CoordinatorService.begin, call, tryEndMs, left.signal);
        } finally {
          endLeave();
        }
      });
    } catch (error) {
      // A grant may have been on its way; the same attempt gets it again.
      const unknown = error instanceof CallError && !error.fromCoordinator;
      if (unknown && onLate !== undefined && !this.#resender.closed)
        this.begin({ ...value, wait: undefined }).then(onLate, () => undefined);
      throw error;
    }
  }

  async #framed<Kind extends Case>(
    kind: Kind,
    request: NonNullable<Call['request']>,
    deadlineTime: number,
    finishing: boolean,
    signal: AbortSignal | undefined,
    onLate?: (response: ValueOf<Kind>) => void,
  ): Promise<ValueOf<Kind>> {
    const id = this.#nextId;
    this.#nextId += 1n;
    const bytes = Call.encode({ id, request }).finish();
    if (bytes.length > callBytes) {
      const text = `the ${kind} has ${bytes.length} bytes, and a message may have ${callBytes}`;
      throw localError(status.INVALID_ARGUMENT, text);
    }
    // An answer to a try that was given up counts only once the whole call was: a later try may have got it too.
    let left = false;
    let late: Response | undefined;
    const leave = (response: Response | undefined) => {
      if (left && response?.$case === kind) onLate?.(response.value as ValueOf<Kind>);
      else late = response;
    };
    try {
      return await this.#resender.untilAnswered(deadlineTime, signal, async (leftMs) => {
        const response = await this.#sendOnce({ id, bytes, finishing }, leftMs, signal, leave);
        if (response.$case === 'status') throw callErrorOfStatus(response.value);
        if (response.$case !== kind)
          throw localError(status.INTERNAL, `the coordinator answered a ${kind} otherwise`);
        return response.value as ValueOf<Kind>;
      });
    } catch (error) {
      left = true;
      leave(late);
      throw error;
    }
  }

  /** One try on one link: its answer, or the error that says there is none. */
  #sendOnce(
    call: Omit<Sending, 'settle'>,
    leftMs: number,
    signal: AbortSignal | undefined,
    onLate: (response: Response) => void,
  ): Promise<Response> {
    const { session } = this.#links.pick();
    const tryEndMs = this.#tryEndMs(leftMs, session.failing);
    return new Promise((resolve, reject) => {
      let left = false;
      const leave = (error: CallError) => {
        left = true;
        end();
        reject(error);
      };
      const timer = setTimeout(() => {
        session.overdue(sending);
        leave(localError(status.UNAVAILABLE, `no answer within ${Math.round(tryEndMs)} ms`));
      }, tryEndMs);
      const endLeave = this.#resender.onLeave(signal, () => {
        session.forget(sending);
        leave(this.#resender.leftError());
      });
      const end = () => {
        clearTimeout(timer);
        endLeave();
      };
      const settle: Sending['settle'] = (answer) => {
        if (answer === undefined) return;
        if (left) {
          if (!(answer instanceof Error)) onLate(answer);
          return;
        }
        end();
        if (answer instanceof Error) reject(callErrorOf(answer));
        else resolve(answer);
      };
      const sending: Sending = { ...call, settle };
      session.send(sending);
    });
  }

  /** How long one try may take: with several coordinators also a call in a hurry gets to another one. */
  #tryEndMs(leftMs: number, failing: boolean): number {
    const { count } = this.#links;
    if (count === 1) return Math.min(leftMs, tryMs);
    const share = Math.max(tryLeastMs, leftMs / Math.min(count, 3));
    return Math.min(leftMs, share, failing ? lookMs : tryMs);
  }
}

type ValueOf<Kind extends Case> = Extract<Response, { $case: Kind }>['value'];

function deadlineOf(options: CallOptions | undefined): number {
  return performance.now() + (options?.deadlineMs ?? defaultDeadlineMs);
}

function withDefaults<T>(codec: { decode(bytes: Uint8Array): T }, request: Partial<T>): T {
  return { ...codec.decode(noBytes), ...request };
}

const noBytes = new Uint8Array();
