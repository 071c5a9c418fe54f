import type { KeyStore } from '../core/key-store.js';
import type { SweepTarget } from '../core/sweep-target.js';
import { createStatementObserver } from '../telemetry/statement-observer.js';
import { noTelemetry, type Telemetry } from '../telemetry/telemetry.js';
import { databaseOf } from './database-of.js';
import { checkDurability, type StoreFacts } from './durability.js';
import { Listener } from './listener.js';
import { checkSchema, migrate, migrationStatus, type MigrationStatus } from './migrate.js';
import { Pool, type SessionSettings } from './pool.js';
import { createPostgresStore, poolSizes } from './postgres-store.js';
import { acceptedSettings } from './session-settings.js';
import { createSweepStore } from './sweep-store.js';

export interface OpenStoreOptions {
  readonly url: string;
  /** Of the first migration; undefined: the default, or what is there. */
  readonly partitionCount: number | undefined;
  /** False for a role without DDL: the schema must be there. */
  readonly migrate: boolean;
  readonly relaxedDurability: boolean;
  readonly statementTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly onWarning: (message: string, error: unknown) => void;
  /** Default: nothing is measured. */
  readonly telemetry?: Telemetry;
}

export interface OpenStore {
  readonly store: KeyStore;
  readonly sweepTarget: SweepTarget;
  readonly facts: StoreFacts;
  readonly schema: MigrationStatus;
  close(): Promise<void>;
}

/** Brings the schema up, checks what the database promises, and opens the store on it. */
export async function openStore(options: OpenStoreOptions): Promise<OpenStore> {
  const { url, partitionCount, connectTimeoutMs, statementTimeoutMs, onWarning } = options;
  const schema = options.migrate
    ? await migrate(url, partitionCount, connectTimeoutMs)
    : await migrationStatus(url, connectTimeoutMs);
  checkSchema(schema, partitionCount);
  const sessions = await acceptedSettings(url, statementTimeoutMs, connectTimeoutMs);
  const pool = (name: keyof typeof poolSizes, settings: SessionSettings) =>
    new Pool({
      url,
      name: `onceward ${name}`,
      maxConnections: poolSizes[name],
      statementTimeoutMs,
      connectTimeoutMs,
      settings,
      onIdleError: (error) => {
        onWarning('an idle database connection was lost', error);
      },
    });
  const { lanes, others } = sessions;
  const pools = {
    begin: pool('begin', lanes),
    finish: pool('finish', lanes),
    operator: pool('operator', others),
    sync: pool('sync', others),
    namespace: pool('namespace', others),
  };
  const listener = new Listener(url, connectTimeoutMs);
  const close = async () => {
    await Promise.all([listener.stop(), ...Object.values(pools).map((each) => each.close())]);
  };
  try {
    const durability = await checkDurability(pools.operator, options.relaxedDurability);
    const facts = { ...durability, warnings: [...durability.warnings, ...sessions.warnings] };
    await listener.start();
    const observer = createStatementObserver(options.telemetry ?? noTelemetry, databaseOf(url));
    return {
      store: createPostgresStore(pools, listener, observer, onWarning),
      sweepTarget: createSweepStore(pools.operator),
      facts,
      schema,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
