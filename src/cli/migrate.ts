import { Command } from 'commander';
import { ConfigError, loadConfig, type ConfigFlags } from '../config.js';
import { migrate, migrationStatus, type MigrationStatus } from '../store/migrate.js';
import type { Io } from './io.js';

type MigrateFlags = Pick<ConfigFlags, 'databaseUrl' | 'partitionCount'> & { readonly config?: string };

export function migrateCommand(io: Io): Command {
  const up = withDatabaseOptions(new Command('up'))
    .description('Bring the schema up to this program. Safe to run from any number of processes at once.')
    .option(
      '--partition-count <n>',
      'hash partitions, a power of two, fixed by the first migration (default 16)',
    )
    .addHelpText(
      'after',
      '\nExample:\n  $ onceward migrate up --database-url postgres://owner@db/onceward --partition-count 32\n',
    )
    .action(async (flags: MigrateFlags) => {
      const { url, partitionCount } = databaseOf(flags);
      print(io, await migrate(url, partitionCount));
    });
  const status = withDatabaseOptions(new Command('status'))
    .description('Show which migrations are applied.')
    .addHelpText(
      'after',
      '\nExample:\n  $ onceward migrate status --database-url postgres://owner@db/onceward\n',
    )
    .action(async (flags: MigrateFlags) => {
      print(io, await migrationStatus(databaseOf(flags).url));
    });
  return new Command('migrate')
    .description('Show or change the schema of the store.')
    .addHelpText('after', '\nExample:\n  $ onceward migrate up --database-url postgres://owner@db/onceward\n')
    .addCommand(up)
    .addCommand(status);
}

function withDatabaseOptions(command: Command): Command {
  return command
    .option('--config <file>', 'settings in YAML; environment and flags win over it')
    .option('--database-url <url>', 'Postgres 14 to 18 (env ONCEWARD_DATABASE_URL)');
}

function databaseOf({ config: file, ...flags }: MigrateFlags) {
  const { databaseUrl, partitionCount } = loadConfig(file, flags);
  if (databaseUrl === undefined) {
    throw new ConfigError('which database? give --database-url or ONCEWARD_DATABASE_URL');
  }
  return { url: databaseUrl, partitionCount };
}

function print({ stdout }: Io, { known, schemaVersion, partitionCount }: MigrationStatus): void {
  for (const { version, name } of known) {
    stdout.write(`${version <= schemaVersion ? 'applied' : 'pending'}  ${name}\n`);
  }
  const newest = known.at(-1)?.version ?? 0;
  if (schemaVersion > newest)
    stdout.write(`newer    schema version ${schemaVersion}, of a newer program; this one knows ${newest}\n`);
  if (partitionCount !== undefined) stdout.write(`${partitionCount} partitions\n`);
}
