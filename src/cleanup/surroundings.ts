import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from './pages.js';

/** Time and chance, as arguments. */
export interface Surroundings {
  readonly random: Random;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly signal: AbortSignal;
}

export function realSurroundings(signal: AbortSignal): Surroundings {
  return {
    random: () => randomInt(2 ** 47) / 2 ** 47,
    clock: () => performance.now(),
    // Whoever stops it is not to wait for a rest.
    pause: (ms) => sleep(ms, undefined, { signal }).catch(() => undefined),
    signal,
  };
}
