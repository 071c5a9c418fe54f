import type { Namespace, Policy } from '../../src/gen/onceward/v1/admin.js';
import type { TestCoordinator } from './coordinator.js';
import { policyOf } from './policy.js';

/** Declares a namespace, or replaces its policy. */
export function putNamespace(
  coordinator: TestCoordinator,
  name: string,
  policy: Partial<Policy> = {},
): Promise<Namespace> {
  return coordinator.admin.putNamespace({
    namespace: { name, policy: policyOf(policy), createTime: undefined, updateTime: undefined },
  });
}
