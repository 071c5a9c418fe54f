import { randomUUID } from 'node:crypto';
import { createCoordinator, type Coordinator } from '../../src/coordinator/coordinator.js';
import type { CallContext } from '../../src/coordinator/parts.js';
import type { BeginRequest } from '../../src/coordinator/question.js';
import type { KeyStore } from '../../src/core/key-store.js';
import type { Result } from '../../src/core/result.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { refOf } from './calls.js';

/** A caller without a deadline that stays. */
export const caller: CallContext = {
  signal: new AbortController().signal,
  deadlineTime: Infinity,
  principal: 'tester',
};

export const done: Result = {
  payload: Buffer.from('done'),
  payloadOmitted: false,
  code: 0,
  envelope: Buffer.alloc(0),
};

/** A Begin by an attempt of its own. */
export function beginOf(key: string): BeginRequest {
  return {
    ref: refOf(key),
    operation: 'charge',
    fingerprint: undefined,
    attemptId: randomUUID(),
    leaseMs: undefined,
    waitMs: 0,
    parent: undefined,
    labels: {},
    firstAttemptTime: undefined,
    resultRetentionMs: undefined,
    onLapse: undefined,
    traceparent: '',
  };
}

/** The verbs over a store of which some methods are others. */
export function coordinatorOver(
  { store, sweepTarget }: OpenStore,
  changed: Partial<KeyStore> = {},
  onReachable: (reachable: boolean) => void = () => undefined,
): Coordinator {
  return createCoordinator({
    store: { ...store, ...changed },
    sweepTarget,
    replayCache: { maxBytes: 1_000_000, maxEntries: 1000 },
    onReachable,
  });
}

/** Begins and completes. */
export async function completed(coordinator: Coordinator, key: string): Promise<void> {
  const begun = await coordinator.begin(beginOf(key), caller);
  if (begun.kind !== 'execute') throw new Error(`answered ${begun.kind}`);
  const { fencingToken } = begun;
  await coordinator.complete({ ref: refOf(key), fencingToken, result: done, resultRetentionMs: undefined });
}
