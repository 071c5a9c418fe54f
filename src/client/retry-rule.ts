import { status, type StatusObject } from '@grpc/grpc-js';

export interface RetryOptions {
  /** How often a call is sent at most, with the first time. Default 5. */
  readonly maxAttempts?: number;
  /** Longest pause before the second attempt, ms; it doubles, and a random part of it is taken. Default 50. */
  readonly initialBackoffMs?: number;
  /** Default 2000. */
  readonly maxBackoffMs?: number;
  /** Codes that are tried again by themselves. Default: UNAVAILABLE. */
  readonly codes?: readonly status[];
}

/** How long to wait before a call is sent again, ms, after `attempts` attempts; undefined: that was its end. */
export type RetryRule = (end: StatusObject, attempts: number) => number | undefined;

/** These are tried again when the server says when: another execution is at it, or it is overloaded. */
const whenTold: ReadonlySet<status> = new Set([status.ABORTED, status.RESOURCE_EXHAUSTED]);

export function retryRule({
  maxAttempts = 5,
  initialBackoffMs = 50,
  maxBackoffMs = 2000,
  codes = [status.UNAVAILABLE],
}: RetryOptions = {}): RetryRule {
  const always: ReadonlySet<status> = new Set(codes);
  return ({ code, metadata }, attempts) => {
    if (attempts >= maxAttempts) return undefined;
    const told = metadata.get('grpc-retry-pushback-ms')[0]?.toString();
    if (told !== undefined) {
      // A pushback that is no number of milliseconds forbids retries.
      const canRetry = /^\d+$/.test(told) && (always.has(code) || whenTold.has(code));
      return canRetry ? Number(told) : undefined;
    }
    if (!always.has(code)) return undefined;
    return Math.random() * Math.min(maxBackoffMs, initialBackoffMs * 2 ** (attempts - 1));
  };
}
