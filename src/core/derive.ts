import { createHash } from 'node:crypto';
import type { KeyRef } from './key.js';

/** What makes one call of an operation another than its other calls. */
export type ChildLabel =
  /** The caller's own name for the step: one step, one key, whatever is sent. */
  | { readonly kind: 'step'; readonly step: string }
  /** What is sent, and the how-many-th call of the same content it is, from 0. */
  | { readonly kind: 'content'; readonly digest: Uint8Array; readonly occurrence: number };

/**
 * The key of a call made inside of an operation: the same for every execution of that operation, in whatever order its
 * calls are made. `method` is the full gRPC method. The `v1.` lets the scheme change.
 */
export function childKey(parent: KeyRef, method: string, label: ChildLabel): string {
  const hash = createHash('sha256');
  const parts = [parent.namespace, parent.scope, parent.key, method, label.kind];
  const last = label.kind === 'step' ? [label.step] : [label.digest, String(label.occurrence)];
  // Each part with its length in front, so that no two lists of parts read the same.
  for (const part of [...parts, ...last]) hash.update(`${Buffer.byteLength(part)}:`).update(part);
  return `v1.${hash.digest('base64url')}`;
}
