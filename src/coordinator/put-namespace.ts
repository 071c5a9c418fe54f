import { randomBytes } from 'node:crypto';
import { checkPolicy, completePolicy, type Namespace, type Policy } from '../core/policy.js';
import { Violations } from '../core/violations.js';
import type { CallContext, Parts } from './parts.js';

export interface PutNamespaceRequest {
  readonly name: string;
  readonly policy: { readonly [K in keyof Policy]?: Policy[K] | undefined };
}

/** Declares a namespace or replaces its policy; what is not given takes its default. */
export async function putNamespace(
  parts: Parts,
  request: PutNamespaceRequest,
  call: CallContext,
): Promise<Namespace> {
  const policy = completePolicy(request.policy);
  const violations = new Violations();
  violations.namespace('namespace.name', request.name);
  checkPolicy(policy, violations);
  violations.throwIfAny();
  const namespace = await parts.store.putNamespace(request.name, policy, randomBytes(32), call.principal);
  parts.namespaces.drop(request.name);
  return namespace;
}
