import type { Policy } from '../../src/gen/onceward/v1/admin.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';

/** A whole policy on the wire, from the fields a test cares for. */
export function policyOf(given: Partial<Policy> = {}): Policy {
  return {
    onLapse: OnLapse.UNSPECIFIED,
    defaultLease: undefined,
    maxLease: undefined,
    resultRetention: undefined,
    maxResultRetention: undefined,
    tombstoneRetention: undefined,
    abandonedRetention: undefined,
    ...given,
  };
}
