import type { Random } from './pages.js';

/** Time and chance, as arguments. */
export interface Surroundings {
  readonly random: Random;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly signal: AbortSignal;
}
