import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import type { Namespace, Policy } from '../../src/gen/onceward/v1/admin.js';
import { policyOf } from './policy.js';

/** Declares a namespace, or replaces its policy. */
export function putNamespace(
  { admin }: Pick<CoordinatorConnection, 'admin'>,
  name: string,
  policy: Partial<Policy> = {},
): Promise<Namespace> {
  return admin.putNamespace({
    namespace: { name, policy: policyOf(policy), createTime: undefined, updateTime: undefined },
  });
}
