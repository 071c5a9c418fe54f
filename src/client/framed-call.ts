import { status, type ServiceError } from '@grpc/grpc-js';
import type { Answer } from '../gen/onceward/v1/coordinator.js';
import { callErrorOf, callErrorOfStatus, localError, type CallError } from './call-error.js';
import type { Links } from './links.js';
import type { Resender } from './resender.js';
import type { Sending, Session } from './session.js';

type Response = NonNullable<Answer['response']>;

export interface FramedCallOptions {
  /** What is asked for, and so the case of its answer. */
  readonly kind: Exclude<Response['$case'], 'status'>;
  /** The encoded `Call` without an id. */
  readonly bytes: Uint8Array;
  readonly finishing: boolean;
  /** On `performance.now()`. */
  readonly deadlineTime: number;
  readonly signal: AbortSignal | undefined;
  /** An answer that came after the caller left, or after the deadline. */
  readonly onLate: ((value: Response['value']) => void) | undefined;
}

/** Without an answer for so long a call goes to the next coordinator too, ms: all calls may be sent twice. */
export const tryMs = 3000;
/** The same for the call that looks whether a coordinator is back, ms: most likely it is not. */
const lookMs = 250;
/** A try shorter than this would be given up by a busy machine, ms. */
const tryLeastMs = 30;

/** Sends a call in frames until there is a definite answer, and gives its value. Failures are CallErrors. */
export function callFramed(
  links: Links,
  resender: Resender,
  options: FramedCallOptions,
): Promise<Response['value']> {
  return new Promise((resolve, reject) => {
    new FramedCall(links, resender, options, resolve, reject).start();
  });
}

/** One call, over all its tries. An object with a promise, as there are tens of thousands a second. */
class FramedCall implements Sending {
  readonly bytes: Uint8Array;
  readonly finishing: boolean;
  place = 0;
  tryStartTime = 0;
  tryEndTime = 0;
  readonly #links: Links;
  readonly #resender: Resender;
  readonly #options: FramedCallOptions;
  readonly #resolve: (value: Response['value']) => void;
  readonly #reject: (error: CallError) => void;
  /** Where the try under way is. */
  #session: Session | undefined;
  #tries = 0;
  /** Where it is watched that the try under way ends in time. */
  #deadline: number | undefined;
  /** Until the next try. */
  #timer: NodeJS.Timeout | undefined;
  /** An answer to a try that was given up counts only once the whole call was: a later try may have got it too. */
  #late: Response | undefined;
  #ended: 'answered' | 'failed' | undefined;

  constructor(
    links: Links,
    resender: Resender,
    options: FramedCallOptions,
    resolve: (value: Response['value']) => void,
    reject: (error: CallError) => void,
  ) {
    this.bytes = options.bytes;
    this.finishing = options.finishing;
    this.#links = links;
    this.#resender = resender;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal } = this.#options;
    if (this.#resender.closed || signal?.aborted === true) {
      this.#reject(this.#resender.leftError());
      return;
    }
    signal?.addEventListener('abort', this, { once: true });
    this.#send();
  }

  /** The caller leaves, or the client is closed. */
  handleEvent(): void {
    this.#session?.forget(this);
    this.#fail(this.#resender.leftError());
  }

  settle(from: Session, answer: Answer['response'] | ServiceError): void {
    if (answer === undefined) return;
    if (from !== this.#session) {
      if (!(answer instanceof Error)) this.#cameLate(answer);
      return;
    }
    this.#session = undefined;
    this.#unbound();
    if (answer instanceof Error) this.#failed(callErrorOf(answer));
    else if (answer.$case === 'status') this.#failed(callErrorOfStatus(answer.value));
    else if (answer.$case !== this.#options.kind)
      this.#failed(localError(status.INTERNAL, `the coordinator answered a ${this.#options.kind} otherwise`));
    else {
      this.#resender.answered();
      this.#end('answered');
      this.#resolve(answer.value);
    }
  }

  #send(): void {
    const { deadlineTime } = this.#options;
    const { session } = this.#links.pick();
    const now = performance.now();
    const leftMs = Math.max(1, deadlineTime - now);
    this.#session = session;
    this.tryStartTime = now;
    this.tryEndTime = now + tryMsOf(leftMs, this.#links.count, session.failing);
    this.#deadline = this.#resender.deadlines.enter(this, this.tryEndTime);
    session.send(this);
  }

  overdue(): void {
    this.#deadline = undefined;
    this.#session?.overdue(this);
    this.#session = undefined;
    const waitedMs = Math.round(this.tryEndTime - this.tryStartTime);
    this.#failed(localError(status.UNAVAILABLE, `no answer within ${waitedMs} ms`));
  }

  tooLate(roundTripMs: number): void {
    this.#session = undefined;
    this.#unbound();
    const text = `not sent: an answer takes ${Math.ceil(roundTripMs)} ms, and too many calls were before it`;
    const error = localError(status.RESOURCE_EXHAUSTED, text);
    // What is too late for this try is too late for another one that ends with it.
    if (this.tryEndTime < this.#options.deadlineTime) this.#failed(error);
    else this.#fail(error);
  }

  #unbound(): void {
    if (this.#deadline !== undefined) this.#resender.deadlines.leave(this.#deadline);
    this.#deadline = undefined;
  }

  #failed(error: CallError): void {
    if (this.#resender.closed) {
      this.#fail(this.#resender.leftError());
      return;
    }
    const delayMs = this.#resender.failed(error, this.#tries, this.#options.deadlineTime);
    this.#tries += 1;
    if (delayMs === undefined) {
      this.#fail(error);
      return;
    }
    this.#resender.enter(this);
    this.#timer = setTimeout(() => {
      this.#resender.exit(this);
      this.#send();
    }, delayMs);
  }

  #fail(error: CallError): void {
    this.#end('failed');
    this.#reject(error);
    if (this.#late !== undefined) this.#cameLate(this.#late);
  }

  #end(how: 'answered' | 'failed'): void {
    this.#ended = how;
    this.#session = undefined;
    this.#unbound();
    clearTimeout(this.#timer);
    this.#resender.exit(this);
    this.#options.signal?.removeEventListener('abort', this);
  }

  #cameLate(answer: Response): void {
    if (this.#ended === undefined) this.#late = answer;
    else if (this.#ended === 'failed' && answer.$case === this.#options.kind)
      this.#options.onLate?.(answer.value);
  }
}

/** How long one try may take: with several coordinators also a call in a hurry gets to another one. */
function tryMsOf(leftMs: number, links: number, failing: boolean): number {
  if (links === 1) return Math.min(leftMs, tryMs);
  const share = Math.max(tryLeastMs, leftMs / Math.min(links, 3));
  return Math.min(leftMs, share, failing ? lookMs : tryMs);
}
