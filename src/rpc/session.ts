import { setMaxListeners } from 'node:events';
import type { handleBidiStreamingCall, ServerDuplexStream } from '@grpc/grpc-js';
import type { CallContext } from '../coordinator/parts.js';
import { OncewardError } from '../core/errors.js';
import { limits } from '../core/limits.js';
import type { Call, SessionRequest } from '../gen/onceward/v1/coordinator.js';
import type { AnswerCall } from './calls.js';
import { bytesOfAnswer, type EncodedAnswer } from './encoded-answer.js';
import { serviceErrorOf } from './status.js';
import { anonymousPrincipal, Malformed, malformedError } from './unary.js';

type Stream = ServerDuplexStream<SessionRequest | Malformed, readonly EncodedAnswer[]>;

export interface SessionsOptions {
  readonly answerCall: AnswerCall;
  /** A stream is ended in order after this long, before its connection is cut for its age. */
  readonly maxAgeMs: number;
}

export interface Sessions {
  readonly handler: handleBidiStreamingCall<SessionRequest | Malformed, readonly EncodedAnswer[]>;
  /** Ends all streams once their calls under way are answered. */
  drain(): void;
  /** Ends all streams with an error. */
  cut(error: OncewardError): void;
}

/** Streams of frames: many calls in one message, and in one message whatever answers are ready. */
export function createSessions(options: SessionsOptions): Sessions {
  const open = new Set<Session>();
  let draining = false;
  return {
    handler: (stream) => {
      const session = new Session(stream, options, () => open.delete(session));
      open.add(session);
      if (draining) session.endInOrder();
    },
    drain: () => {
      draining = true;
      for (const session of open) session.endInOrder();
    },
    cut: (error) => {
      for (const session of open) session.refuse(error);
    },
  };
}

/** Calls that are begun in one turn of the event loop, so that the first answers of a large frame leave while its last calls begin. */
const callsPerTurn = 32;

class Session {
  readonly #stream: Stream;
  readonly #options: SessionsOptions;
  readonly #onClosed: () => void;
  readonly #left = new AbortController();
  readonly #ageTimer: NodeJS.Timeout;
  /** Taken from the stream and not begun: what is beyond the bound on calls under way. */
  #waiting: Call[] = [];
  #underWay = 0;
  #ready: EncodedAnswer[] = [];
  #flushing = false;
  #starting = false;
  #writable = true;
  /** No more frames are taken. */
  #ending = false;
  #ended = false;

  constructor(stream: Stream, options: SessionsOptions, onClosed: () => void) {
    this.#stream = stream;
    this.#options = options;
    this.#onClosed = onClosed;
    // Each call that waits listens for the client's leaving.
    setMaxListeners(limits.callsPerSession, this.#left.signal);
    this.#ageTimer = setTimeout(() => {
      this.endInOrder();
    }, options.maxAgeMs);
    stream.on('data', (frame: SessionRequest | Malformed) => {
      this.#take(frame);
    });
    stream.on('end', () => {
      this.endInOrder();
    });
    stream.on('drain', () => {
      this.#writable = true;
      this.#flushSoon();
    });
    stream.on('cancelled', () => {
      this.#abandon();
    });
    // The stream's own errors end in `cancelled`; without a listener they would end the process.
    stream.on('error', () => undefined);
  }

  endInOrder(): void {
    this.#ending = true;
    this.#endIfDone();
  }

  /** Ends the stream with an error: its calls are not answered any more. */
  refuse(error: OncewardError): void {
    this.#abandon();
    this.#stream.emit('error', serviceErrorOf(error));
  }

  #take(frame: SessionRequest | Malformed): void {
    // What arrives after the end began was not answered, so the client sends it again on another stream.
    if (this.#ending) return;
    if (frame instanceof Malformed) {
      this.refuse(malformedError(frame));
      return;
    }
    if (frame.calls.length > limits.callsPerFrame) {
      const description = `must have at most ${limits.callsPerFrame} calls, has ${frame.calls.length}`;
      const violations = [{ field: 'calls', description }];
      this.refuse(new OncewardError('REQUEST_INVALID', `calls ${description}`, { violations }));
      return;
    }
    this.#waiting = this.#waiting.length === 0 ? frame.calls : this.#waiting.concat(frame.calls);
    if (!this.#starting) this.#startCalls();
  }

  /** Starts what the bound allows; the stream is read on only when nothing waits for that. */
  #startCalls(): void {
    const { answerCall } = this.#options;
    const context: CallContext = {
      signal: this.#left.signal,
      deadlineTime: performance.now() + limits.waitMaxMs,
      principal: anonymousPrincipal,
    };
    // Answers a slow client has not taken count too: else it could have us hold any number of them.
    const room = Math.max(0, limits.callsPerSession - this.#underWay - this.#ready.length);
    const starting = this.#waiting.splice(0, Math.min(room, callsPerTurn));
    this.#underWay += starting.length;
    if (this.#waiting.length > 0 || starting.length === room) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
    if (this.#waiting.length > 0 && starting.length < room) this.#startSoon();
    for (const call of starting) void answerCall(call, context, 'session').then(this.#answered);
  }

  #startSoon(): void {
    if (this.#starting) return;
    this.#starting = true;
    setImmediate(() => {
      this.#starting = false;
      // One that ended meanwhile is not read on: nobody is left to answer.
      if (!this.#ended) this.#startCalls();
    });
  }

  /** One function for all calls. */
  readonly #answered = (answer: EncodedAnswer): void => {
    this.#underWay -= 1;
    if (this.#ended) return;
    this.#ready.push(answer);
    this.#flushSoon();
  };

  /** Writes what one turn of the event loop made ready. */
  #flushSoon(): void {
    if (this.#flushing || !this.#writable || this.#ready.length === 0) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      if (this.#ended) return;
      this.#writable = this.#stream.write(this.#takeReady());
      if (this.#waiting.length > 0 || this.#stream.isPaused()) this.#startSoon();
      this.#flushSoon();
      this.#endIfDone();
    });
  }

  #takeReady(): readonly EncodedAnswer[] {
    let bytes = 0;
    const count = this.#ready.findIndex((answer, i) => {
      bytes += bytesOfAnswer(answer);
      return i > 0 && bytes > limits.answerBytes;
    });
    return this.#ready.splice(0, count === -1 ? this.#ready.length : count);
  }

  #endIfDone(): void {
    const left = this.#waiting.length + this.#underWay + this.#ready.length;
    if (!this.#ending || this.#ended || left > 0) return;
    this.#close();
    this.#stream.end();
  }

  /** Nobody is left to answer: waits end, and calls that were not begun never are. */
  #abandon(): void {
    this.#waiting = [];
    this.#left.abort();
    this.#close();
  }

  #close(): void {
    this.#ended = true;
    clearTimeout(this.#ageTimer);
    this.#onClosed();
  }
}
