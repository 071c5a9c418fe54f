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
  const { ref, fencingToken, state } = finish;
  for (let tries = 1; ; tries += 1) {
    const { generation } = parts.cache;
    const answer = await parts.store.finish(finish);
    if (answer.kind === 'done') {
      if (finish.state !== 'RELEASED') parts.cache.finished(finish, answer, generation);
      parts.waiters.wake(ref);
      return { already: false, resultExpireTime: answer.resultExpireTime };
    }
    const question = { fencingToken, state, resultDigest };
    const record = recordIfAlready(parts, ref.namespace, question, answer, tries);
    if (record !== undefined) return { already: true, record };
  }
}

/**
 * For a holder's transition that the store did not take: the record, when it is so already; undefined, when the store should be
 * asked again; else what the rules say against it is thrown.
 */
export function recordIfAlready(
  parts: Parts,
  namespace: string,
  question: FinishQuestion,
  answer: ({ readonly kind: 'known' } & Seen) | { readonly kind: 'absent' },
  tries: number,
): KeyRecord | undefined {
  const seen = answer.kind === 'known' ? answer : undefined;
  const decision = decideFinish(seen?.record, question, seen?.nowTime ?? 0);
  switch (decision.kind) {
    case 'already':
      return decision.record;
    case 'refuse':
      if (decision.error.reason === 'LEASE_LOST') parts.counters.add('lease_lost', namespace);
      if (decision.error.reason === 'RESULT_CONFLICT') parts.counters.add('result_conflict', namespace);
      throw decision.error;
    case 'again': {
      if (tries < maxTries) return undefined;
      const text = 'the record changed under this call again and again; send the same call again';
      throw new OncewardError('STORE_UNAVAILABLE', text, { retryAfterMs: 50 });
    }
  }
}
