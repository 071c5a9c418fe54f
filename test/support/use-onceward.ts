import { afterAll, beforeAll } from 'vitest';
import { connectOnceward, type Onceward } from '../../src/client/onceward.js';
import type { ConfigFlags } from '../../src/config.js';
import type { Policy } from '../../src/gen/onceward/v1/admin.js';
import { startSetup, type TestSetup } from './coordinator.js';

/** A coordinator for the tests of one file, and the SDK connected to it in namespace `test`. */
export interface UsedOnceward {
  readonly onceward: Onceward;
  readonly setup: TestSetup;
}

export function useOnceward(policy?: Partial<Policy>, flags?: ConfigFlags): UsedOnceward {
  const used: { onceward?: Onceward; setup?: TestSetup } = {};
  beforeAll(async () => {
    used.setup = await startSetup({ ...(policy && { policy }), ...(flags && { flags }) });
    used.onceward = connectOnceward({ addresses: [used.setup.coordinators[0]!.address], namespace: 'test' });
  });
  afterAll(async () => {
    used.onceward?.close();
    await used.setup?.stop();
  });
  return used as UsedOnceward;
}
