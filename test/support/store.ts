import { randomBytes, randomUUID } from 'node:crypto';
import type { ClaimAnswer, GrantTerms } from '../../src/core/key-store.js';
import { completePolicy, type Policy } from '../../src/core/policy.js';
import { resultDigest, type Result } from '../../src/core/result.js';
import { openStore, type OpenStore, type OpenStoreOptions } from '../../src/store/open-store.js';

const hourMs = 3_600_000;

/** The store by itself, with a namespace `test`; the schema must be there. */
export async function openTestStore(
  url: string,
  options: Partial<OpenStoreOptions> = {},
  policy: Partial<Policy> = {},
): Promise<OpenStore> {
  const opened = await openStore({ ...storeOptions(url), ...options });
  await opened.store.putNamespace('test', completePolicy(policy), randomBytes(32), 'tester');
  return opened;
}

/** Bounds that a busy test machine keeps. */
export function storeOptions(url: string): OpenStoreOptions {
  return {
    url,
    partitionCount: undefined,
    migrate: false,
    relaxedDurability: false,
    statementTimeoutMs: 20_000,
    connectTimeoutMs: 5000,
    onWarning: () => undefined,
  };
}

export function termsOf(key: string, more: Partial<GrantTerms> = {}): GrantTerms {
  return {
    ref: { namespace: 'test', scope: '', key },
    attemptId: randomUUID(),
    leaseMs: hourMs,
    onLapse: 'RERUN',
    abandonedRetentionMs: 24 * hourMs,
    resultRetentionMs: undefined,
    operation: 'charge',
    fingerprint: undefined,
    parent: undefined,
    labels: {},
    traceparent: '',
    tooOldTime: Infinity,
    ...more,
  };
}

/** The token of a claim that must be granted. */
export async function tokenOf(claim: Promise<ClaimAnswer>): Promise<bigint> {
  const answer = await claim;
  if (answer.kind !== 'granted') throw new Error(`expected a grant, got ${answer.kind}`);
  return answer.fencingToken;
}

export function finishOf(key: string, fencingToken: bigint, payload = 'done') {
  const result: Result = {
    payload: Buffer.from(payload),
    payloadOmitted: false,
    code: 0,
    envelope: Buffer.alloc(0),
  };
  return {
    ref: { namespace: 'test', scope: '', key },
    fencingToken,
    state: 'COMPLETED' as const,
    result,
    resultDigest: resultDigest(result),
    askedResultRetentionMs: undefined,
    policyResultRetentionMs: 24 * hourMs,
    tombstoneRetentionMs: 0,
  };
}

export function releaseOf(key: string, fencingToken: bigint) {
  return {
    ref: { namespace: 'test', scope: '', key },
    fencingToken,
    state: 'RELEASED' as const,
    lastError: Buffer.from('busy'),
    retryAfterMs: undefined,
    abandonedRetentionMs: 24 * hourMs,
  };
}

export function heartbeatOf(key: string, fencingToken: bigint) {
  return {
    ref: { namespace: 'test', scope: '', key },
    fencingToken,
    leaseMs: 2 * hourMs,
    checkpoint: undefined,
    checkpointSequence: 0n,
    abandonedRetentionMs: 24 * hourMs,
  };
}
