import type { KeyStore } from '../core/key-store.js';
import type { SweepTarget } from '../core/sweep-target.js';
import type { Counters } from '../telemetry/counters.js';
import type { Instruments } from '../telemetry/instruments.js';
import type { Landed } from './begin-outcome.js';
import type { Flights } from './flights.js';
import type { Namespaces } from './namespaces.js';
import type { ReplayCache } from './replay-cache.js';
import type { Sync } from './sync.js';
import type { Waiters } from './waiters.js';

/** What the verbs share. */
export interface Parts {
  readonly store: KeyStore;
  readonly sweepTarget: SweepTarget;
  readonly namespaces: Namespaces;
  readonly cache: ReplayCache;
  readonly sync: Sync;
  readonly waiters: Waiters;
  readonly flights: Flights<Promise<Landed>>;
  readonly counters: Counters;
  readonly instruments: Instruments;
}

/** One call on its way through. */
export interface CallContext {
  /** Aborted when the caller left. */
  readonly signal: AbortSignal;
  /** When the call must be answered, on `performance.now()`. */
  readonly deadlineTime: number;
  /** Who calls; `anonymous` while there is no authentication. */
  readonly principal: string;
}
