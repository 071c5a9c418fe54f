import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { startCoordinator, type TestCoordinator } from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { namespaces } from './action.js';
import { policies } from './model.js';
import { realSystem, type System } from './system.js';

export interface ModelSetup {
  readonly database: TestDatabase;
  readonly systemOf: (key: string) => System;
  stop(): Promise<void>;
}

/** Two coordinators on one database with the model's namespaces; `caching` gives the first one a replay cache. */
export async function startModelSetup(caching: boolean): Promise<ModelSetup> {
  const database = await createDatabase();
  const off = { replayCacheBytes: 0 };
  const coordinators: readonly TestCoordinator[] = [
    await startCoordinator(database.url, caching ? {} : off),
    await startCoordinator(database.url, off),
  ];
  for (const name of namespaces) {
    const { onLapse, maxAttempts } = policies[name];
    await putNamespace(coordinators[0]!, name, {
      onLapse: OnLapse[onLapse],
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      ...(name === 'tombstone'
        ? { tombstoneRetention: { kind: { $case: 'duration', value: { seconds: 3600n, nanos: 0 } } } }
        : {}),
    });
  }
  return {
    database,
    systemOf: (key) => realSystem(coordinators, database, key),
    stop: async () => {
      for (const coordinator of coordinators) await coordinator.stop();
      await database.drop();
    },
  };
}
