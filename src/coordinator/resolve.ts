import { stateAt } from '../core/decide.js';
import { OncewardError } from '../core/errors.js';
import { checkKeyRef, identityOf, type KeyRef } from '../core/key.js';
import { resultDigest, sameDigest, withinLimit, type Result } from '../core/result.js';
import type { Seen } from '../core/record.js';
import { Violations } from '../core/violations.js';
import { checkResult } from './complete.js';
import { checkReason } from './forget.js';
import type { CallContext, Parts } from './parts.js';

export type Decision =
  { readonly state: 'COMPLETED' | 'FAILED'; readonly result: Result } | { readonly state: 'RELEASED' };

export interface ResolveRequest {
  readonly ref: KeyRef | undefined;
  readonly decision: Decision | undefined;
  readonly reason: string;
}

export interface ResolveAnswer {
  readonly already: boolean;
  readonly state: Decision['state'];
}

/** An operator decides an INDETERMINATE record. Sent twice, the second finds it decided the same way. */
export async function resolve(
  parts: Parts,
  request: ResolveRequest,
  call: CallContext,
): Promise<ResolveAnswer> {
  const violations = new Violations();
  const ref = checkKeyRef(request.ref, 'ref', violations);
  checkReason(request.reason, violations);
  const { decision, reason } = request;
  if (decision === undefined) {
    violations.add('decision', 'is required: complete, fail or release');
    violations.throwIfAny();
    throw new Error('unreachable');
  }
  if (decision.state === 'COMPLETED') checkResult(decision.result, 'complete', violations);
  if (decision.state === 'FAILED' && decision.result.code === 0)
    violations.add('fail.code', 'must not be 0 (OK)');
  violations.throwIfAny();
  const { policy } = await parts.namespaces.get(ref.namespace);
  const given = decision.state === 'RELEASED' ? undefined : decision.result;
  const digest = given && resultDigest(given);
  const { state } = decision;
  const result = given && withinLimit(given, policy.maxResultBytes);
  const { principal } = call;
  const resolved = await parts.store.resolve({
    ref,
    principal,
    reason,
    state,
    result,
    resultDigest: digest,
    policy,
  });
  if (!resolved) {
    checkAlready(await parts.store.read(ref, false), state, digest);
    return { already: true, state };
  }
  parts.cache.remove(identityOf(ref));
  parts.waiters.wake(ref);
  return { already: false, state };
}

function checkAlready(
  seen: Seen | undefined,
  state: Decision['state'],
  digest: Uint8Array | undefined,
): void {
  if (seen === undefined || seen.record.recordExpireTime <= seen.nowTime) {
    throw new OncewardError('RECORD_NOT_FOUND', 'no such record');
  }
  const { record } = seen;
  const sameResult =
    digest === undefined || ('resultDigest' in record && sameDigest(record.resultDigest, digest));
  // An owner who gave its lease back decided nothing: the attempts that it spent are not forgiven.
  const forgiven = state !== 'RELEASED' || record.attemptsForgiven === record.attempt;
  if (record.state === state && sameResult && forgiven) return;
  const found = stateAt(record, seen.nowTime);
  throw new OncewardError(
    'STATE_CONFLICT',
    `only INDETERMINATE records can be resolved; this one is ${found}`,
    {
      metadata: { state: found },
    },
  );
}
