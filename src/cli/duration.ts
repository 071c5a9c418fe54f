import { InvalidArgumentError } from 'commander';
import { fromDuration, toDuration, toRetention } from '../client/duration.js';
import type { Duration } from '../gen/google/protobuf/duration.js';
import type { Retention } from '../gen/onceward/v1/record.js';

/** `250ms`, `30s`, `5m`, `2h` or `7d` → ms. A bare number is refused: nobody knows whether 30 meant seconds. */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) {
    const ms = Number(amount) * (unitsMs.get(unit) ?? Number.NaN);
    if (ms <= longestDays * 86_400_000) return ms;
    throw new InvalidArgumentError(`It must be at most ${longestDays}d.`);
  }
  const hint = /^\d+(\.\d+)?$/.test(text)
    ? `It has no unit: say ${text}s or ${text}ms.`
    : 'Use e.g. 250ms, 30s, 5m, 2h or 7d.';
  throw new InvalidArgumentError(hint);
}

/** Beyond every bound of the protocol, and still within what its durations, dates and deadlines can express. */
const longestDays = 1_000_000;

/** A duration within bounds, both ms. */
export function durationWithin(minMs: number, maxMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms >= minMs && ms <= maxMs) return ms;
    const [min, max] = [minMs, maxMs].map((bound) => formatDuration(toDuration(bound)));
    throw new InvalidArgumentError(`It must be ${min} to ${max}.`);
  };
}

/** A duration, or `forever`. */
export function parseRetention(text: string): Retention {
  try {
    return toRetention(text === 'forever' ? Infinity : parseDuration(text));
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new InvalidArgumentError(`${error.message} Or "forever".`);
  }
}

/** In a form that parseDuration reads: the largest unit that divides it, else seconds to the hundredth. */
export function formatDuration(duration: Duration | undefined): string {
  if (duration === undefined) return '-';
  const ms = fromDuration(duration);
  if (ms === 0) return '0s';
  if (ms < 1000) return `${Math.max(1, Math.round(ms))}ms`;
  for (const unit of ['d', 'h', 'm', 's']) {
    const amount = ms / (unitsMs.get(unit) ?? Number.NaN);
    if (Number.isInteger(amount)) return `${amount}${unit}`;
  }
  return `${Math.round(ms / 10) / 100}s`;
}

export function formatRetention(retention: Retention | undefined): string {
  if (retention?.kind === undefined) return '-';
  return retention.kind.$case === 'forever' ? 'forever' : formatDuration(retention.kind.value);
}

const unitsMs: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
