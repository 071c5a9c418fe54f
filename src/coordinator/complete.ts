import { limits } from '../core/limits.js';
import { checkAskedRetention } from '../core/policy.js';
import { resultDigest, withinLimit, type Result } from '../core/result.js';
import { Violations } from '../core/violations.js';
import { checkHolder, finish, type HolderRequest } from './finish.js';
import type { Parts } from './parts.js';

export interface CompleteRequest extends HolderRequest {
  readonly result: Result;
  readonly resultRetentionMs: number | undefined;
}

export interface CompleteAnswer {
  readonly already: boolean;
  /** Until when the result is replayed; `Infinity` for ever. */
  readonly expireTime: number;
}

export async function complete(parts: Parts, request: CompleteRequest): Promise<CompleteAnswer> {
  const violations = new Violations();
  const ref = checkHolder(request, violations);
  checkResult(request.result, 'result', violations);
  violations.throwIfAny();
  const { policy } = parts.namespaces.known(ref.namespace) ?? (await parts.namespaces.get(ref.namespace));
  checkAskedRetention(request.resultRetentionMs, policy, violations);
  violations.throwIfAny();
  const digest = resultDigest(request.result);
  const result = withinLimit(request.result, policy.maxResultBytes);
  const finished = await finish(
    parts,
    {
      ref,
      fencingToken: request.fencingToken,
      state: 'COMPLETED',
      result,
      resultDigest: digest,
      askedResultRetentionMs: request.resultRetentionMs,
      policyResultRetentionMs: policy.resultRetentionMs,
      tombstoneRetentionMs: policy.tombstoneRetentionMs,
    },
    digest,
  );
  parts.counters.add(finished.already ? 'complete.already' : 'complete.done', ref.namespace);
  if (!finished.already) {
    if (result.payloadOmitted) parts.counters.add('complete.payload_omitted', ref.namespace);
    return { already: false, expireTime: finished.resultExpireTime };
  }
  const { record } = finished;
  return { already: true, expireTime: 'resultExpireTime' in record ? record.resultExpireTime : Infinity };
}

/** What of a successful result the rules look at; its envelope was checked where it was encoded. */
export function checkResult(result: Result, path: string, violations: Violations): void {
  if (result.code !== 0) violations.add(`${path}.status.code`, 'must be 0 (OK); use Fail for errors');
  violations.bytes(`${path}.payload`, result.payload?.length ?? 0, 0, limits.resultBytes);
  if (result.payloadOmitted && result.payload !== undefined) {
    violations.add(`${path}.payload_omitted`, 'must be false when there is a payload');
  }
}
