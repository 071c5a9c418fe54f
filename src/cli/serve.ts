import { Command } from 'commander';
import { isLoopback, loadConfig, type ConfigFlags } from '../config.js';
import { createLog } from '../telemetry/log.js';
import { runServer } from './run-server.js';
import { untilStopped } from './until-stopped.js';

export function serveCommand(): Command {
  return withServerOptions(new Command('serve'))
    .description('Serve calls, on the Postgres of ONCEWARD_DATABASE_URL or an embedded one.')
    .addHelpText(
      'after',
      '\nExample:\n  $ ONCEWARD_DATABASE_URL=postgres://onceward@db/onceward onceward serve --port 7400\n',
    )
    .action(async (_options: unknown, command: Command) => {
      const { file, flags } = givenFlags(command);
      const config = loadConfig(file, flags);
      const { host, socket } = config;
      const log = createLog(config.logLevel);
      if (!isLoopback(host)) {
        log.warn('INSECURE: plaintext without authentication on an address that other machines can reach');
      }
      await untilStopped(log, async (signal) => {
        const server = await runServer(config, log, signal);
        const { rpcPort, httpPort, postgresVersion, partitionCount, dataFolder } = server;
        log.info({ host, rpcPort, socket, httpPort, postgresVersion, partitionCount, dataFolder }, 'serving');
        return server;
      });
    });
}

/** What stands on the command line: `--no-…` has a default of commander's, which would win over file and environment. */
export function givenFlags(command: Command): {
  readonly file: string | undefined;
  readonly flags: ConfigFlags;
} {
  const options = command.opts<ConfigFlags & { readonly config?: string }>();
  const given = Object.entries(options).filter(([name]) => command.getOptionValueSource(name) === 'cli');
  const { config: file, ...flags } = Object.fromEntries(given) as typeof options;
  return { file, flags };
}

/** The settings of a coordinator as flags; the same names as in the file and the environment. */
export function withServerOptions(command: Command): Command {
  return command
    .option('--config <file>', 'settings in YAML; environment and flags win over it')
    .option('--host <address>', 'address to listen on (default 127.0.0.1)')
    .option('--port <port>', 'gRPC port; 0 takes a free one (default 7400)')
    .option('--socket <path>', 'Unix socket to serve gRPC on as well, for callers on this machine')
    .option('--http-port <port>', 'port of /healthz, /readyz and /metrics; 0 takes a free one (default 7401)')
    .option('--insecure', 'serve in plaintext on an address that other machines can reach')
    .option('--database-url <url>', 'Postgres 14 to 18 (default: an embedded one)')
    .option('--data-dir <folder>', 'folder of the embedded Postgres')
    .option(
      '--partition-count <n>',
      'hash partitions, a power of two, fixed by the first migration (default 16)',
    )
    .option('--no-migrate', 'leave the schema as it is; it must fit')
    .option(
      '--relaxed-durability',
      'accept a Postgres that may lose the last acknowledged results in a crash',
    )
    .option('--drain-timeout-ms <ms>', 'bound of the drain when stopped (default 10000)')
    .option(
      '--replay-cache-bytes <bytes>',
      'memory for results that are replayed; 0: none (default 67108864)',
    )
    .option(
      '--sampler-schedule <cron>',
      "when expired records are looked for, to be removed; off: never (default '*/10 * * * * *')",
    )
    .option(
      '--sampler-time-budget-ms <ms>',
      'time in the database that one tick of it may take (default 1000)',
    )
    .option('--sampler-row-budget <n>', 'rows that one tick may remove or strip (default 50000)')
    .option(
      '--sampler-threshold <share>',
      'share of expired rows, 0 to 1, above which a tick looks at more (default 0.1)',
    )
    .option('--sampler-max-latency-ms <ms>', 'a tick ends when a batch takes longer (default 50)')
    .option(
      '--sampler-max-replication-lag-ms <ms>',
      'no tick while a replica is further behind (default 10000)',
    )
    .option('--sampler-backstop-ms <ms>', 'no expired record stays longer on disk (default 86400000)')
    .option(
      '--otlp-endpoint <url>',
      'send traces and metrics to this collector, by OTLP over HTTP (default: OTEL_EXPORTER_OTLP_ENDPOINT, else nowhere)',
    )
    .option('--no-prometheus', 'do not serve /metrics')
    .option('--reflection', 'answer gRPC reflection')
    .option('--log-level <level>', 'debug, info, warn, error or silent (default info)');
}
