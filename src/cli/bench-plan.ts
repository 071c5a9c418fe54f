import { fromDuration, toRetention } from '../client/duration.js';
import type { Policy } from '../gen/onceward/v1/admin.js';
import type { Retention } from '../gen/onceward/v1/record.js';
import { usageError } from './arguments.js';
import type { BenchKeysOptions } from './bench-keys.js';
import { formatRetention } from './duration.js';

/** What load is made. */
export interface BenchPlan extends BenchKeysOptions {
  readonly namespace: string;
  readonly durationMs: number;
  /** Operations under way at once, at most. */
  readonly inFlight: number;
  /** Operations a second that are due; undefined: as many as `inFlight` allows. */
  readonly rate: number | undefined;
  readonly payloadBytes: number;
  readonly retention: Retention;
  /** How long a call may take, ms. */
  readonly deadlineMs: number;
}

/** The same before the namespace's policy is known. */
export type BenchWishes = Omit<BenchPlan, 'retention' | 'retentionMs'> & {
  readonly retention: Retention | undefined;
};

export const benchBounds = {
  durationMs: { min: 100, max: 86_400_000 },
  inFlight: 10_000,
  rate: 1_000_000,
  /** Payloads under way at once, bytes: each is held encoded until it is answered. */
  underWayBytes: 256 * 1024 * 1024,
} as const;

/** Short, as nobody asks for the results again, ms. */
const defaultRetentionMs = 60_000;

/** Fits the wishes to what the namespace allows, or refuses them as wrong usage. */
export function benchPlan(wishes: BenchWishes, policy: Policy | undefined): BenchPlan {
  const { namespace, payloadBytes } = wishes;
  const { maxResultBytes } = policy ?? {};
  if (maxResultBytes !== undefined && payloadBytes > maxResultBytes) {
    throw usageError(`--payload-bytes must be at most ${maxResultBytes} in namespace ${namespace}`);
  }
  const retention = retentionIn(namespace, policy, wishes.retention);
  return { ...wishes, retention, retentionMs: retentionMsOf(retention) };
}

/** A call may ask for longer than the policy's retention, never for less. */
function retentionIn(namespace: string, policy: Policy | undefined, asked: Retention | undefined): Retention {
  const [min, max] = [policy?.resultRetention, policy?.maxResultRetention];
  const [minMs, maxMs] = [min, max].map(retentionMsOf) as [number, number];
  if (asked !== undefined) {
    const askedMs = retentionMsOf(asked);
    if (askedMs >= minMs && askedMs <= maxMs) return asked;
    const bounds = `${formatRetention(min)} to ${formatRetention(max)}`;
    throw usageError(`--retention must be ${bounds} in namespace ${namespace}`);
  }
  if (minMs === Infinity) {
    throw usageError(
      `namespace ${namespace} keeps results for ever, and so what a bench stores: name another with --namespace, ` +
        'or say --retention forever',
    );
  }
  return toRetention(Math.min(maxMs, Math.max(minMs, defaultRetentionMs)));
}

function retentionMsOf(retention: Retention | undefined): number {
  return retention?.kind?.$case === 'duration' ? fromDuration(retention.kind.value) : Infinity;
}
