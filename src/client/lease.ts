import { OncewardError } from '../core/errors.js';

export interface LeaseOptions {
  /** When the request that granted it was sent, or stopped waiting, on `performance.now()`. */
  readonly sentTime: number;
  readonly grantedMs: number;
  /** Extends the lease at the coordinator and answers what is left of it, ms; rejects with LEASE_LOST when it is lost. */
  readonly extend: (leftMs: number, checkpoint?: Uint8Array) => Promise<number>;
  readonly onLost: (error: OncewardError) => void;
}

/**
 * A lease as its holder may trust it: counted from the sending of what granted or extended it, and given up a tenth early.
 * It is extended every third of its length. All of it runs on the event loop of the work it guards, on purpose: a process that
 * is stuck should lose its lease. So a handler may block the loop for half a lease.
 */
export class Lease {
  readonly #options: LeaseOptions;
  #lengthMs: number;
  #trustedUntil: number;
  #watchdog: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #over = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    this.#lengthMs = options.grantedMs;
    this.#trustedUntil = trustedUntil(options.sentTime, options.grantedMs);
    this.#beatLater();
  }

  /** What is left of the time it may be trusted, ms. */
  get leftMs(): number {
    return this.#trustedUntil - performance.now();
  }

  /** Looks at the clock: a process that was stopped may get here before its timers. */
  check(): void {
    if (!this.#over && this.leftMs <= 0)
      this.#lose(new OncewardError('LEASE_LOST', 'the lease may have lapsed'));
  }

  async extend(checkpoint?: Uint8Array): Promise<void> {
    const sentTime = performance.now();
    try {
      const leftMs = await this.#options.extend(Math.max(1, this.leftMs), checkpoint);
      this.#lengthMs = leftMs;
      this.#trustedUntil = Math.max(this.#trustedUntil, trustedUntil(sentTime, leftMs));
    } catch (error) {
      if (reasonOf(error) === 'LEASE_LOST')
        this.#lose(new OncewardError('LEASE_LOST', 'another attempt took over'));
      throw error;
    }
  }

  /** Nothing is extended or watched from here on. */
  stop(): void {
    this.#over = true;
    clearTimeout(this.#watchdog);
    clearTimeout(this.#heartbeat);
  }

  /** Watches from the first heartbeat on: until it is due, the lease is trusted whatever happens. */
  #watch(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(
      () => {
        this.check();
        if (!this.#over) this.#watch();
      },
      Math.max(1, this.leftMs),
    );
  }

  #beatLater(): void {
    this.#heartbeat = setTimeout(() => {
      this.check();
      if (this.#over) return;
      this.#watch();
      // A failed heartbeat is no news: the watchdog decides when it is too late, and the next one may get through.
      void this.extend()
        .catch(() => undefined)
        .then(() => {
          if (!this.#over) this.#beatLater();
        });
    }, this.#lengthMs / 3);
  }

  #lose(error: OncewardError): void {
    if (this.#over) return;
    this.stop();
    this.#options.onLost(error);
  }
}

function trustedUntil(sentTime: number, leaseMs: number): number {
  return sentTime + leaseMs * 0.9;
}

function reasonOf(error: unknown): unknown {
  return error instanceof Error && 'reason' in error ? error.reason : undefined;
}
