import type { Duration } from '../../src/gen/google/protobuf/duration.js';
import type { Retention } from '../../src/gen/onceward/v1/record.js';

export function duration(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

export function retention(ms: number): Retention {
  return ms === Infinity
    ? { kind: { $case: 'forever', value: true } }
    : { kind: { $case: 'duration', value: duration(ms) } };
}

export function millisecondsOf(given: Duration | undefined): number {
  if (given === undefined) throw new Error('no duration');
  return Number(given.seconds) * 1000 + given.nanos / 1e6;
}
