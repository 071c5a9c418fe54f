import { runServer, type RunningServer } from '../../src/cli/run-server.js';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { loadConfig, type ConfigFlags } from '../../src/config.js';
import type { Policy } from '../../src/gen/onceward/v1/admin.js';
import { createLog } from '../../src/telemetry/log.js';
import { createDatabase, type TestDatabase } from './database.js';
import { putNamespace } from './namespaces.js';

/** A coordinator in this process on a real port, and a real channel to it. */
export interface TestCoordinator extends CoordinatorConnection {
  readonly server: RunningServer;
  readonly address: string;
  stop(): Promise<void>;
}

export async function startCoordinator(
  databaseUrl: string,
  flags: ConfigFlags = {},
): Promise<TestCoordinator> {
  const config = loadConfig(undefined, {
    port: 0,
    httpPort: 0,
    databaseUrl,
    logLevel: 'silent',
    // Tests say themselves when something is swept.
    samplerSchedule: 'off',
    ...flags,
  });
  const server = await runServer(config, createLog(config.logLevel));
  const address = `127.0.0.1:${server.rpcPort}`;
  const connection = connectCoordinator({ address });
  return {
    ...connection,
    server,
    address,
    stop: async () => {
      connection.close();
      await server.stop();
    },
  };
}

/** A database with coordinators on it and a namespace `test`. */
export interface TestSetup {
  readonly database: TestDatabase;
  /** One for each asked for. */
  readonly coordinators: readonly TestCoordinator[];
  stop(): Promise<void>;
}

export async function startSetup(
  options: {
    readonly coordinators?: number;
    readonly policy?: Partial<Policy>;
    readonly flags?: ConfigFlags;
  } = {},
): Promise<TestSetup> {
  const database = await createDatabase();
  const coordinators: TestCoordinator[] = [];
  for (let i = 0; i < (options.coordinators ?? 1); i += 1) {
    coordinators.push(await startCoordinator(database.url, options.flags));
  }
  const [first] = coordinators;
  if (first !== undefined) await putNamespace(first, 'test', options.policy);
  return {
    database,
    coordinators,
    stop: async () => {
      for (const coordinator of coordinators) await coordinator.stop();
      await database.drop();
    },
  };
}
