import { status } from '@grpc/grpc-js';
import { CallError, localError } from './call-error.js';
import { Deadlines } from './deadlines.js';

const backoff = { firstMs: 20, mostMs: 1000 };

/** Has an end that comes from outside: by its caller's signal, which calls it by this name, or when all is closed. */
interface Leaver {
  handleEvent(): void;
}

/** When calls are sent again: until there is a definite answer or the deadline has passed, their caller leaves, or all is closed. */
export class Resender {
  readonly #links: number;
  /** What is to be ended when this is closed; calls on a session are ended by that. */
  readonly #leavers = new Set<Leaver>();
  /** Of calls on a session. */
  readonly deadlines = new Deadlines();
  closed = false;
  /** Since when no coordinator answers, on `performance.now()`; undefined while one does. */
  unreachableSince: number | undefined;

  /** `links`: how many coordinators there are. */
  constructor(links: number) {
    this.#links = links;
  }

  close(): void {
    this.closed = true;
    for (const leaver of this.#leavers) leaver.handleEvent();
  }

  async untilAnswered<T>(
    deadlineTime: number,
    signal: AbortSignal | undefined,
    attempt: (leftMs: number) => Promise<T>,
  ): Promise<T> {
    for (let tries = 0; ; tries += 1) {
      if (this.closed || signal?.aborted === true) throw this.leftError();
      try {
        const value = await attempt(Math.max(1, deadlineTime - performance.now()));
        this.answered();
        return value;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        const delayMs = this.failed(error, tries, deadlineTime);
        if (delayMs === undefined) throw error;
        await this.#pause(delayMs, signal);
      }
    }
  }

  answered(): void {
    this.unreachableSince = undefined;
  }

  /** How long to wait before the call is sent again, ms; undefined when the error is its answer, or its time is over. */
  failed(error: CallError, tries: number, deadlineTime: number): number | undefined {
    const now = performance.now();
    if (error.code === status.UNAVAILABLE) this.unreachableSince ??= now;
    else if (error.fromCoordinator) this.unreachableSince = undefined;
    const delayMs = delayBeforeResend(error, tries, this.#links);
    return delayMs === undefined || now + delayMs >= deadlineTime ? undefined : delayMs;
  }

  /** From now on it is told to leave when this is closed, or its caller leaves. */
  enter(leaver: Leaver, signal?: AbortSignal): void {
    signal?.addEventListener('abort', leaver, { once: true });
    this.#leavers.add(leaver);
  }

  exit(leaver: Leaver, signal?: AbortSignal): void {
    signal?.removeEventListener('abort', leaver);
    this.#leavers.delete(leaver);
  }

  leftError(): CallError {
    return localError(status.CANCELLED, this.closed ? 'the client was closed' : 'the caller left');
  }

  /** Ends early when the caller leaves: the next try then tells it so. */
  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const leaver = {
        handleEvent: () => {
          clearTimeout(timer);
          this.exit(leaver, signal);
          resolve();
        },
      };
      const timer = setTimeout(leaver.handleEvent, ms);
      this.enter(leaver, signal);
    });
  }
}

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

/**
 * What a broken connection, or a proxy on the way, may end a call with, and with it all calls of a stream. Those that are not
 * among them, like UNAUTHENTICATED, would come again.
 */
const brokenCodes: ReadonlySet<number> = new Set([
  status.CANCELLED,
  status.UNKNOWN,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
  status.INTERNAL,
  status.UNIMPLEMENTED,
]);
