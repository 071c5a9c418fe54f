import type { EntrantName } from './entrants.js';
import type { Load, Mix } from './load.js';
import { median, medianRatio, type Measurement, type Results } from './results.js';

export interface Verdict {
  readonly what: string;
  readonly bar: string;
  readonly measured: string;
  readonly passed: boolean;
}

/** What must hold; a line for which a contestant or a load is missing is left out. */
export function judge(results: Results, p99AtHalfMs: readonly number[]): readonly Verdict[] {
  const rates = (name: EntrantName, mix: Mix, inFlight: number) =>
    numbers(results, name, { mix, inFlight }, ({ perSecond }) => perSecond);
  const p50s = (name: EntrantName) =>
    numbers(results, name, { mix: 'unique', inFlight: 1 }, ({ p50Ms }) => p50Ms ?? NaN);
  const atLeast = (what: string, factor: number, of: string, ours: number[], theirs: number[]) =>
    verdict(what, factor, of, ours, theirs, 'at least');
  const [ours, byHand] = ['unique keys', 'the hand-written pool'];
  const [always, anyRedis] = ['node-idempotency, AOF always', 'node-idempotency on Redis, the faster one'];
  const echoHalves = (inFlight: number) => rates('echo', 'unique', inFlight).map((rate) => rate / 2);
  const fasterReplays = fasterOf(
    rates('node-idempotency', 'replays', 256),
    rates('node-idempotency-always', 'replays', 256),
  );
  const [unique64, unique256] = [rates('sdk', 'unique', 64), rates('sdk', 'unique', 256)];
  const half256 = rates('sdk', 'half', 256);
  return [
    atLeast(`SDK, 256 in flight, ${ours}`, 4, byHand, unique256, rates('pg-pool', 'unique', 256)),
    atLeast(
      `SDK, 256 in flight, ${ours}`,
      0.8,
      always,
      unique256,
      rates('node-idempotency-always', 'unique', 256),
    ),
    atLeast(`SDK, 64 in flight, ${ours}`, 3, byHand, unique64, rates('pg-pool', 'unique', 64)),
    verdict('SDK, 1 in flight, p50', 1.7, byHand, p50s('sdk'), p50s('pg-pool'), 'at most'),
    atLeast('SDK, 256 in flight, half duplicates', 5, byHand, half256, rates('pg-pool', 'half', 256)),
    atLeast(
      'SDK, 256 in flight, half duplicates',
      1,
      always,
      half256,
      rates('node-idempotency-always', 'half', 256),
    ),
    atLeast('SDK, replays, 256 in flight', 1.4, anyRedis, rates('sdk', 'replays', 256), fasterReplays),
    ...[64, 256].map((inFlight) =>
      atLeast(
        `unary client, ${inFlight} in flight`,
        0.8,
        'half of the echo rate',
        rates('unary', 'unique', inFlight),
        echoHalves(inFlight),
      ),
    ),
    halfLoad(p99AtHalfMs),
  ].filter((each) => each !== undefined);
}

function numbers(
  results: Results,
  name: EntrantName,
  load: Load,
  of: (measurement: Measurement) => number,
): number[] {
  return results.of(name, load).map(of);
}

function verdict(
  what: string,
  factor: number,
  of: string,
  ours: readonly number[],
  theirs: readonly number[],
  side: 'at least' | 'at most',
): Verdict | undefined {
  if (ours.length === 0 || theirs.length === 0) return undefined;
  const ratio = medianRatio(ours, theirs);
  return {
    what,
    bar: `${side} ${factor} × ${of}`,
    measured: `${ratio.toFixed(2)} ×`,
    passed: side === 'at least' ? ratio >= factor : ratio <= factor,
  };
}

function halfLoad(p99AtHalfMs: readonly number[]): Verdict | undefined {
  if (p99AtHalfMs.length === 0) return undefined;
  const p99Ms = median(p99AtHalfMs);
  return {
    what: 'SDK, p99 at half of its peak rate',
    bar: 'at most 10 ms',
    measured: `${p99Ms.toFixed(1)} ms`,
    passed: p99Ms <= 10,
  };
}

function fasterOf(one: readonly number[], other: readonly number[]): number[] {
  if (one.length === 0 || other.length === 0) return [...one, ...other];
  return one.map((rate, i) => Math.max(rate, other[i] ?? 0));
}
