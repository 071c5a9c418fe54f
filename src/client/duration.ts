import type { Duration } from '../gen/google/protobuf/duration.js';
import type { Retention } from '../gen/onceward/v1/record.js';

/** Milliseconds in the proto's form, to the nanosecond. */
export function toDuration(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** The proto's form in milliseconds; absent is 0. */
export function fromDuration(duration: Duration | undefined): number {
  return duration === undefined ? 0 : Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** A retention, `Infinity` for ever. */
export function toRetention(ms: number): Retention {
  return ms === Infinity
    ? { kind: { $case: 'forever', value: true } }
    : { kind: { $case: 'duration', value: toDuration(ms) } };
}
