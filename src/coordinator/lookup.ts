import { OncewardError } from '../core/errors.js';
import { checkKeyRef, type KeyRef } from '../core/key.js';
import type { Seen } from '../core/record.js';
import { limits } from '../core/limits.js';
import { Violations } from '../core/violations.js';
import { bytesOfRecord, fitting } from './fit.js';
import type { Parts } from './parts.js';

export interface LookupRequest {
  readonly ref: KeyRef | undefined;
  readonly withResult: boolean;
  readonly withLineage: boolean;
}

export interface LookupAnswer extends Seen {
  /** Oldest first, as many as fit into one answer; empty unless asked for. */
  readonly children: readonly Seen[];
  readonly childrenOmitted: boolean;
}

/** The record without side effect; an expired one is not found, swept or not. */
export async function lookup(parts: Parts, request: LookupRequest): Promise<LookupAnswer> {
  const violations = new Violations();
  const ref = checkKeyRef(request.ref, 'ref', violations);
  violations.throwIfAny();
  await parts.namespaces.get(ref.namespace);
  const seen = await parts.store.read(ref, request.withResult);
  if (seen === undefined || seen.record.recordExpireTime <= seen.nowTime) {
    throw new OncewardError('RECORD_NOT_FOUND', 'no such record');
  }
  if (!request.withLineage) return { ...seen, children: [], childrenOmitted: false };
  const result = 'result' in seen.record ? seen.record.result : undefined;
  const resultBytes = (result?.payload?.length ?? 0) + (result?.envelope.length ?? 0);
  const leftBytes = limits.answerBytes - bytesOfRecord(seen) - resultBytes;
  // One more than is told, so that the answer can say whether it is whole.
  const found = await parts.store.readChildren(ref, limits.children + 1);
  const children = fitting(found.slice(0, limits.children), leftBytes);
  return { ...seen, children, childrenOmitted: children.length < found.length };
}
