import { randomUUID } from 'node:crypto';
import { mintKey } from '../client/mint-key.js';
import { FinishedKeys } from './finished-keys.js';
import { zipf } from './zipf.js';

/** The keys of a bench, one for each operation. */
export interface BenchKeys {
  /** Nobody had it before. */
  fresh(): string;
  /** Of the next operation: a fresh one, or a finished one, as the load is to be. */
  next(): string;
  /** Its result is stored. */
  finished(key: string): void;
}

export interface BenchKeysOptions {
  readonly keys: 'random' | 'time-ordered' | 'zipf';
  /** Share of finished keys among those of `next`, 0 to 1. */
  readonly duplicates: number;
  /** How long a finished key is replayed, ms. */
  readonly retentionMs: number;
}

/** How many keys zipf draws from: one operation in twelve is on the first, and most keys are seen once or never. */
const zipfKeys = 100_000;

export function benchKeys({ keys, duplicates, retentionMs }: BenchKeysOptions): BenchKeys {
  const fresh = keys === 'time-ordered' ? mintKey : randomUUID;
  if (keys === 'zipf') {
    const set = randomUUID();
    const rank = zipf(zipfKeys, Math.random);
    return { fresh, next: () => `${set}-${rank()}`, finished: () => undefined };
  }
  // Half of it: the coordinator answers to the end of retention, and an operation takes its time.
  const finished = new FinishedKeys(retentionMs / 2);
  const duplicate = () => finished.draw(performance.now(), Math.random);
  return {
    fresh,
    next: () => (Math.random() < duplicates ? duplicate() : undefined) ?? fresh(),
    finished: (key) => finished.add(key, performance.now()),
  };
}
