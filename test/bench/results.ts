import type { EntrantName } from './entrants.js';
import { loadName, type Load } from './load.js';

/** One run of one contestant under one load. */
export interface Measurement {
  readonly perSecond: number;
  /** Absent where the contestant does not tell latencies. */
  readonly p50Ms?: number | undefined;
  readonly p99Ms?: number | undefined;
  /** ms per 1,000 operations, by process. */
  readonly cpu: Readonly<Record<string, number>>;
}

/** What was measured, round by round: at one index all contestants ran side by side in time. */
export interface Results {
  readonly loads: readonly Load[];
  readonly names: readonly EntrantName[];
  /** Empty where the contestant doesn't take the load. */
  readonly of: (name: EntrantName, load: Load) => readonly Measurement[];
  readonly add: (name: EntrantName, load: Load, measurement: Measurement) => void;
}

export function emptyResults(names: readonly EntrantName[], loads: readonly Load[]): Results {
  const kept = new Map<string, Measurement[]>();
  const place = (name: EntrantName, load: Load) => `${name}, ${loadName(load)}`;
  return {
    loads,
    names,
    of: (name, load) => kept.get(place(name, load)) ?? [],
    add: (name, load, measurement) => {
      const rounds = kept.get(place(name, load)) ?? [];
      rounds.push(measurement);
      kept.set(place(name, load), rounds);
    },
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** Of the rounds' ratios, not of the medians: what is compared ran side by side in time. */
export function medianRatio(numerators: readonly number[], denominators: readonly number[]): number {
  return median(numerators.map((value, i) => value / (denominators[i] ?? NaN)));
}
