import { limits } from '../core/limits.js';
import { resultDigest, type Result } from '../core/result.js';
import { Violations } from '../core/violations.js';
import { checkHolder, finish, type HolderRequest } from './finish.js';
import type { Parts } from './parts.js';

export interface FailRequest extends HolderRequest {
  readonly kind: 'FINAL' | 'RETRYABLE';
  /** The error as a result: what a final failure replays. */
  readonly result: Result;
  /** The encoded status: what stays on the record after a retryable failure. */
  readonly status: Uint8Array;
  readonly retryAfterMs: number | undefined;
}

export interface FailAnswer {
  readonly already: boolean;
  readonly state: 'FAILED' | 'RELEASED';
}

export async function fail(parts: Parts, request: FailRequest): Promise<FailAnswer> {
  const violations = new Violations();
  const ref = checkHolder(request, violations);
  if (request.result.code === 0)
    violations.add('status.code', 'must not be 0 (OK); use Complete for results');
  if (request.retryAfterMs !== undefined) {
    violations.range('retry_after', request.retryAfterMs, 0, limits.retryAfterMaxMs, ' ms');
  }
  violations.throwIfAny();
  const { policy } = parts.namespaces.known(ref.namespace) ?? (await parts.namespaces.get(ref.namespace));
  const { fencingToken, result, status, retryAfterMs } = request;
  const final = request.kind === 'FINAL';
  const digest = final ? resultDigest(result) : undefined;
  const finished = await finish(
    parts,
    digest !== undefined
      ? {
          ref,
          fencingToken,
          state: 'FAILED',
          result,
          resultDigest: digest,
          askedResultRetentionMs: undefined,
          policyResultRetentionMs: policy.resultRetentionMs,
          tombstoneRetentionMs: policy.tombstoneRetentionMs,
        }
      : {
          ref,
          fencingToken,
          state: 'RELEASED',
          lastError: status,
          retryAfterMs,
          abandonedRetentionMs: policy.abandonedRetentionMs,
        },
    digest,
  );
  const counter = finished.already ? 'fail.already' : final ? 'fail.final' : 'fail.retryable';
  parts.counters.add(counter, ref.namespace);
  return { already: finished.already, state: final ? 'FAILED' : 'RELEASED' };
}
