import { setTimeout as pause } from 'node:timers/promises';
import { Client, status, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
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
import { Session, type Sending } from './session.js';
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

export interface CallsOptions {
  /** `host:port` each, or gRPC targets. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly transport: 'session' | 'unary';
}

/** The way to one coordinator. */
interface Link {
  readonly session: Session;
  /**
   * Begins that wait have calls, and a connection, of their own: a unary call tells the coordinator when its caller leaves,
   * and however many wait, finishing calls are not behind them.
   */
  readonly waiting: Client;
}

const defaultDeadlineMs = 10_000;
/** Without an answer for so long a call goes to the next coordinator too, ms: all calls may be sent twice. */
const tryMs = 3000;
const backoff = { firstMs: 20, mostMs: 1000 };

const channelOptions: ChannelOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.enable_retries': 0,
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
};

type Case = NonNullable<Call['request']>['$case'];
type Response = NonNullable<Answer['response']>;

export function createCalls({ addresses, credentials, transport }: CallsOptions): Calls {
  const clients: Client[] = [];
  const links = addresses.map((address): Link => {
    const client = new Client(address, credentials, channelOptions);
    const waiting = new Client(address, credentials, {
      ...channelOptions,
      'grpc.use_local_subchannel_pool': 1,
    });
    clients.push(client, waiting);
    return { session: new Session(client, transport), waiting };
  });
  return new ResentCalls(links, () => {
    for (const { session } of links) session.close();
    for (const client of clients) client.close();
  });
}

class ResentCalls implements Calls {
  readonly #links: readonly Link[];
  readonly #onClose: () => void;
  #nextId = 1n;
  #nextLink = 0;
  unreachableSince: number | undefined;

  constructor(links: readonly Link[], onClose: () => void) {
    this.#links = links;
    this.#onClose = onClose;
  }

  begin(request: Partial<BeginRequest>, options: BeginOptions = {}): Promise<BeginResponse> {
    const value = withDefaults(BeginRequest, request);
    const waitMs = fromDuration(value.wait);
    const deadlineTime = performance.now() + (options.deadlineMs ?? defaultDeadlineMs + waitMs);
    if (waitMs === 0) {
      const call = { $case: 'begin' as const, value };
      return this.#framed('begin', call, deadlineTime, false, options.signal, options.onLate);
    }
    const untilTime = performance.now() + waitMs;
    return this.#resent(deadlineTime, options.signal, (leftMs) => {
      const stillMs = Math.max(1, untilTime - performance.now());
      const { waiting } = this.#pickLink();
      const call = { ...value, wait: toDuration(stillMs) };
      return unaryCall(waiting, CoordinatorService.begin, call, leftMs, options.signal);
    });
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
    this.#onClose();
  }

  #framed<Kind extends Case>(
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
    // An answer to a try that was given up counts only once the whole call was: a later try may have got it too.
    let left = false;
    let late: Response | undefined;
    const leave = (response: Response | undefined) => {
      if (left && response?.$case === kind) onLate?.(response.value as ValueOf<Kind>);
      else late = response;
    };
    const answered = this.#resent(deadlineTime, signal, async (leftMs) => {
      const response = await this.#sendOnce({ id, bytes, finishing }, leftMs, signal, leave);
      if (response.$case === 'status') throw callErrorOfStatus(response.value);
      if (response.$case !== kind)
        throw localError(status.INTERNAL, `the coordinator answered a ${kind} otherwise`);
      return response.value as ValueOf<Kind>;
    });
    return answered.catch((error: unknown) => {
      left = true;
      leave(late);
      throw error;
    });
  }

  /** One try on one link: its answer, or the error that says there is none. */
  #sendOnce(
    call: Omit<Sending, 'settle'>,
    leftMs: number,
    signal: AbortSignal | undefined,
    onLate: (response: Response) => void,
  ): Promise<Response> {
    const { session } = this.#pickLink();
    return new Promise((resolve, reject) => {
      let left = false;
      const end = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', cancel);
      };
      const leave = (code: status, text: string) => {
        left = true;
        end();
        session.forget(sending);
        reject(localError(code, text));
      };
      const cancel = () => {
        leave(status.CANCELLED, 'the caller left');
      };
      const tryEndMs = Math.min(leftMs, tryMs);
      const timer = setTimeout(() => {
        leave(status.UNAVAILABLE, `no answer within ${Math.round(tryEndMs)} ms`);
      }, tryEndMs);
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
      signal?.addEventListener('abort', cancel, { once: true });
      if (signal?.aborted) cancel();
      else session.send(sending);
    });
  }

  /** Tries until a definite answer, or the deadline. */
  async #resent<T>(
    deadlineTime: number,
    signal: AbortSignal | undefined,
    attempt: (leftMs: number) => Promise<T>,
  ): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      try {
        const value = await attempt(Math.max(1, deadlineTime - performance.now()));
        this.unreachableSince = undefined;
        return value;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        const now = performance.now();
        if (error.code === status.UNAVAILABLE) this.unreachableSince ??= now;
        else if (error.fromCoordinator) this.unreachableSince = undefined;
        const delayMs = delayBeforeResend(error, tries, this.#links.length);
        if (delayMs === undefined || signal?.aborted === true || now + delayMs >= deadlineTime) throw error;
        // A caller that leaves ends the pause too; the next try then tells it so.
        await pause(delayMs, undefined, signal && { signal }).catch(() => undefined);
      }
    }
  }

  /** The next in turn, those that failed last left out while there are others. */
  #pickLink(): Link {
    const inTurn = this.#links.map((_, i) => (this.#nextLink + i) % this.#links.length);
    const at = inTurn.find((i) => this.#links[i]?.session.failures === 0) ?? inTurn[0] ?? 0;
    this.#nextLink = at + 1;
    const link = this.#links[at];
    if (link === undefined) throw new Error('there is no coordinator');
    return link;
  }
}

type ValueOf<Kind extends Case> = Extract<Response, { $case: Kind }>['value'];

/** Undefined when the error is an answer, and sending again would only get it again. */
function delayBeforeResend(error: CallError, tries: number, links: number): number | undefined {
  const unknown =
    error.code === status.UNAVAILABLE || (!error.fromCoordinator && brokenCodes.has(error.code));
  if (!unknown && error.retryAfterMs === undefined) return undefined;
  // The first resends go to the other coordinators at once.
  const round = Math.floor(tries / links);
  const mostMs = Math.min(backoff.mostMs, backoff.firstMs * 2 ** Math.min(round, 10));
  return (error.retryAfterMs ?? 0) + (tries < links - 1 ? 0 : Math.random() * mostMs);
}

/** What a broken connection, or a proxy on the way, may end a call with. */
const brokenCodes: ReadonlySet<number> = new Set([status.UNIMPLEMENTED, status.INTERNAL, status.UNKNOWN]);

function deadlineOf(options: CallOptions | undefined): number {
  return performance.now() + (options?.deadlineMs ?? defaultDeadlineMs);
}

function withDefaults<T>(codec: { decode(bytes: Uint8Array): T }, request: Partial<T>): T {
  return { ...codec.decode(noBytes), ...request };
}

const noBytes = new Uint8Array();
