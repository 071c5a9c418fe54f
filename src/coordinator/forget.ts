import { OncewardError } from '../core/errors.js';
import { checkKeyRef, identityOf, type KeyRef } from '../core/key.js';
import { limits } from '../core/limits.js';
import { Violations } from '../core/violations.js';
import type { CallContext, Parts } from './parts.js';

export interface ForgetRequest {
  readonly ref: KeyRef | undefined;
  readonly reason: string;
  readonly evenIfLeased: boolean;
}

/** An operator removes a record; answers whether there was nothing to remove. */
export async function forget(
  parts: Parts,
  request: ForgetRequest,
  call: CallContext,
): Promise<{ already: boolean }> {
  const violations = new Violations();
  const ref = checkKeyRef(request.ref, 'ref', violations);
  checkReason(request.reason, violations);
  violations.throwIfAny();
  await parts.namespaces.get(ref.namespace);
  const { reason, evenIfLeased } = request;
  const answer = await parts.store.forget({ ref, principal: call.principal, reason, evenIfLeased });
  if (answer === 'leased') {
    throw new OncewardError(
      'STATE_CONFLICT',
      'an attempt holds a live lease; set even_if_leased to forget it anyway',
      {
        metadata: { state: 'IN_PROGRESS' },
      },
    );
  }
  parts.cache.remove(identityOf(ref));
  parts.waiters.wake(ref);
  return { already: answer === 'absent' };
}

/** Why an operator acts, for the audit. */
export function checkReason(reason: string, violations: Violations): void {
  violations.bytes('reason', Buffer.byteLength(reason), 1, limits.reasonBytes);
  if (reason.includes('\0')) violations.add('reason', 'must have no NUL character');
}
