import { limits } from '../core/limits.js';
import { leaseFor } from '../core/policy.js';
import { Violations } from '../core/violations.js';
import { checkHolder, recordIfAlready, type HolderRequest } from './finish.js';
import type { Parts } from './parts.js';

export interface HeartbeatRequest extends HolderRequest {
  readonly leaseMs: number | undefined;
  readonly checkpoint: Uint8Array | undefined;
  readonly checkpointSequence: bigint;
}

/** Extends the lease; answers how long it lasts at least, counted from the sending of the request. */
export async function heartbeat(
  parts: Parts,
  request: HeartbeatRequest,
): Promise<{ readonly leaseLeftMs: number }> {
  const violations = new Violations();
  const ref = checkHolder(request, violations);
  violations.bytes('checkpoint', request.checkpoint?.length ?? 0, 0, limits.checkpointBytes);
  if (request.checkpointSequence < 0n) violations.add('checkpoint_sequence', 'must be 0 or above');
  violations.throwIfAny();
  const { policy } = parts.namespaces.known(ref.namespace) ?? (await parts.namespaces.get(ref.namespace));
  const leaseMs = leaseFor(request.leaseMs, policy, violations);
  violations.throwIfAny();
  const { fencingToken, checkpoint, checkpointSequence } = request;
  const { abandonedRetentionMs } = policy;
  const sent = { ref, fencingToken, leaseMs, checkpoint, checkpointSequence, abandonedRetentionMs };
  const question = { fencingToken, state: 'IN_PROGRESS', resultDigest: undefined } as const;
  for (let tries = 1; ; tries += 1) {
    const answer = await parts.store.heartbeat(sent);
    if (answer.kind === 'done') {
      parts.counters.add('heartbeat.extended', ref.namespace);
      return { leaseLeftMs: answer.leaseLeftMs };
    }
    // No record is such that this heartbeat was made already: it is refused, or sent again.
    recordIfAlready(parts, ref.namespace, question, answer, tries);
  }
}
