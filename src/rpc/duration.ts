import type { Violations } from '../core/violations.js';
import type { Duration } from '../gen/google/protobuf/duration.js';
import type { Retention } from '../gen/onceward/v1/record.js';

/** Milliseconds as a protobuf duration, to the microsecond. */
export function durationOf(ms: number): Duration {
  const micros = Math.round(ms * 1000);
  const seconds = Math.trunc(micros / 1_000_000);
  return { seconds: BigInt(seconds), nanos: (micros - seconds * 1_000_000) * 1000 };
}

/** A protobuf duration in milliseconds; undefined when absent. */
export function msOf(
  duration: Duration | undefined,
  field: string,
  violations: Violations,
): number | undefined {
  if (duration === undefined) return undefined;
  const { seconds, nanos } = duration;
  const signsDiffer = (seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0);
  if (Math.abs(nanos) > 999_999_999 || signsDiffer)
    violations.add(field, 'is not a valid google.protobuf.Duration');
  return Number(seconds) * 1000 + nanos / 1_000_000;
}

/** A retention in milliseconds, `Infinity` for ever. */
export function retentionMsOf(
  retention: Retention | undefined,
  field: string,
  violations: Violations,
): number | undefined {
  if (retention === undefined) return undefined;
  const { kind } = retention;
  switch (kind?.$case) {
    case 'duration':
      return msOf(kind.value, field, violations);
    case 'forever':
      if (!kind.value) violations.add(`${field}.forever`, 'must be true when it is set');
      return Infinity;
    case undefined:
      violations.add(field, 'must name a duration or forever');
      return undefined;
  }
}

export function retentionOf(ms: number): Retention {
  return ms === Infinity
    ? { kind: { $case: 'forever', value: true } }
    : { kind: { $case: 'duration', value: durationOf(ms) } };
}

/** A database time as a Date; undefined for "for ever". */
export function dateOf(time: number): Date | undefined {
  return time === Infinity ? undefined : new Date(time);
}
