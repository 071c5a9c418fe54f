import { decideFinish, type FinishQuestion } from '../core/decide.js';
import { OncewardError } from '../core/errors.js';
import { checkKeyRef, type KeyRef } from '../core/key.js';
import type { Finish } from '../core/key-store.js';
import type { KeyRecord, Seen } from '../core/record.js';
import type { Violations } from '../core/violations.js';
import type { Parts } from './parts.js';

/** How often a record may change between a refused transition and the reading of why. */
const maxTries = 5;

/** What every finishing call names. */
export interface HolderRequest {
  readonly ref: KeyRef | undefined;
  readonly fencingToken: bigint;
}

export function checkHolder(request: HolderRequest, violations: Violations): KeyRef {
  const ref = checkKeyRef(request.ref, 'ref', violations);
  if (request.fencingToken <= 0n) violations.add('fencing_token', 'must be above 0');
  return ref;
}

export type Finished =
  | { readonly already: false; readonly resultExpireTime: number }
  | { readonly already: true; readonly record: KeyRecord };

/** Finishes or releases, and wakes who waits here; refusals are thrown. */
export async function finish(
  parts: Parts,
  finish: Finish,
  resultDigest: Uint8Array | undefined,
): Promise<Finished> {
  const question = { fencingToken: finish.fencingToken, state: finish.state, resultDigest };
  const { namespace } = finish.ref;
  const done = await untilDecided(parts, namespace, question, () => parts.store.finish(finish));
  if (done.kind === 'already') return { already: true, record: done.record };
  parts.waiters.wake(finish.ref);
  return { already: false, resultExpireTime: done.resultExpireTime };
}

type Answer<Done> = Done | ({ readonly kind: 'known' } & Seen) | { readonly kind: 'absent' };

/** Runs a holder's transition until it is done, or the rules say why it is not. */
export async function untilDecided<Done extends { readonly kind: 'done' }>(
  parts: Parts,
  namespace: string,
  question: FinishQuestion,
  transition: () => Promise<Answer<Done>>,
): Promise<Done | { readonly kind: 'already'; readonly record: KeyRecord }> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const answer = await transition();
    if (answer.kind === 'done') return answer;
    const seen = answer.kind === 'known' ? answer : undefined;
    const decision = decideFinish(seen?.record, question, seen?.nowTime ?? 0);
    if (decision.kind === 'already') return decision;
    if (decision.kind === 'refuse') {
      if (decision.error.reason === 'LEASE_LOST') parts.counters.add('lease_lost', namespace);
      if (decision.error.reason === 'RESULT_CONFLICT') parts.counters.add('result_conflict', namespace);
      throw decision.error;
    }
  }
  const text = 'the record changed under this call again and again; send the same call again';
  throw new OncewardError('STORE_UNAVAILABLE', text, { retryAfterMs: 50 });
}
