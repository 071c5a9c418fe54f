import { OncewardError } from '../core/errors.js';
import type { Namespace } from '../core/policy.js';
import { Violations } from '../core/violations.js';
import type { Parts } from './parts.js';

/** Reads the store, not memory: an operator wants to see what holds for all processes. */
export async function getNamespace(parts: Parts, name: string): Promise<Namespace> {
  const violations = new Violations();
  violations.namespace('name', name);
  violations.throwIfAny();
  const namespace = await parts.store.readNamespace(name);
  if (namespace === undefined)
    throw new OncewardError('NAMESPACE_NOT_FOUND', 'the namespace was not declared');
  return namespace;
}
