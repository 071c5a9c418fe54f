import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { isCronExpression } from './cleanup/schedule.js';
import { logLevels } from './telemetry/log.js';

/** A number, or its text in the environment; an empty text is none, which `Number` would take for 0. */
const number = (rule: z.ZodNumber) =>
  z.preprocess((given) => (typeof given === 'string' && given.trim() !== '' ? Number(given) : given), rule);
const expectations: ReadonlyMap<string, string> = new Map([
  ['number', 'must be a number'],
  ['int', 'must be a whole number'],
]);
const anyNumber = z.number({ error: ({ expected }) => expectations.get(expected) });
const whole = anyNumber.int().min(0);
const port = number(whole.max(65_535));
const milliseconds = (least = 0) => number(whole.min(least));
/** What a timer counts: a longer one would end at once. */
const timerMs = (least = 0) => number(whole.min(least).max(2 ** 31 - 1));
/** What every system allows for the path of a Unix socket: macOS has the least, 104 with the NUL. */
const socketPathBytes = 103;
const socketPathBound = `must be a path of 1 to ${socketPathBytes} bytes`;
const flag = z.union(
  [z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')],
  'must be true or false',
);

const maxPartitionCount = 1024;

/** Every setting, by its name in the file; in the environment `partitionCount` is `ONCEWARD_PARTITION_COUNT`. */
const schema = z.strictObject({
  /** Address to listen on; other than loopback only with `insecure`, until there is TLS. */
  host: z.string().min(1).default('127.0.0.1'),
  /** gRPC; 0 takes a free one. */
  port: port.default(7400),
  /** Unix socket on which gRPC is served as well, for callers on this machine; absent: none. */
  socket: z
    .string()
    .min(1, socketPathBound)
    .transform((path) => resolve(path))
    .refine((path) => Buffer.byteLength(path) <= socketPathBytes, socketPathBound)
    .optional(),
  /** Health and metrics over HTTP; 0 takes a free one. */
  httpPort: port.default(7401),
  /** Serve in plaintext on an address others can reach. */
  insecure: flag.default(false),
  /** Postgres 14 to 18; absent: an embedded one. */
  databaseUrl: z
    .string()
    .regex(/^postgres(ql)?:\/\//, { error: 'must begin with postgres:// or postgresql://', abort: true })
    .refine(
      // The driver also accepts a user without a host.
      (url) => URL.canParse(url.replace('@/', '@localhost/')),
      'must be a URL; in user and password / ? # % and @ are written %2F %3F %23 %25 and %40',
    )
    .optional(),
  /** Folder of the embedded Postgres; absent: one for this user. */
  dataDir: z.string().min(1).optional(),
  /** Hash partitions, at the first migration only: a power of two. */
  partitionCount: number(anyNumber.int())
    .refine(
      (count) => count >= 1 && count <= maxPartitionCount && (count & (count - 1)) === 0,
      `must be a power of two from 1 to ${maxPartitionCount}`,
    )
    .optional(),
  /** Bring the schema up to the program at start; else it must be there. */
  migrate: flag.default(true),
  /** Accept synchronous_commit off or local. */
  relaxedDurability: flag.default(false),
  /** Bound of one statement, ms. */
  statementTimeoutMs: timerMs(100).default(3000),
  /** Bound of opening a database connection, ms. */
  connectTimeoutMs: timerMs(100).default(1500),
  /** Bound of the drain at a stop, ms. */
  drainTimeoutMs: timerMs().default(10_000),
  /** Memory for results that are replayed, bytes; 0: none. */
  replayCacheBytes: number(whole).default(64 * 1024 * 1024),
  replayCacheEntries: number(whole).default(100_000),
  /** When expired records are looked for, as a cron expression, with seconds in front; `off` leaves them there. */
  samplerSchedule: z
    .string()
    .refine(
      (text) => text === 'off' || isCronExpression(text),
      'must be off, or a cron expression such as */10 * * * * *',
    )
    .default('*/10 * * * * *'),
  /** Time that the batches of one tick may take in the database, ms. */
  samplerTimeBudgetMs: milliseconds(1).default(1000),
  /** Rows that one tick may remove or strip. */
  samplerRowBudget: number(whole.min(1)).default(50_000),
  /** Share of expired rows among those looked at, above which a tick looks at more. */
  samplerThreshold: number(anyNumber.min(0).max(1)).default(0.1),
  /** A tick ends when a batch takes longer, ms. */
  samplerMaxLatencyMs: milliseconds(1).default(50),
  /** A tick ends before it begins while a replica is further behind, ms. */
  samplerMaxReplicationLagMs: milliseconds().default(10_000),
  /** No expired record stays longer on disk while the sampler runs, ms. */
  samplerBackstopMs: milliseconds(1000).default(24 * 3_600_000),
  /** Base URL of a collector that takes OTLP over HTTP; absent: no spans, and metrics are not sent. */
  otlpEndpoint: z
    .url({ protocol: /^https?$/, error: 'must begin with http:// or https:// and name a host' })
    .optional(),
  /** Serve the metrics on `/metrics`. */
  prometheus: flag.default(true),
  /** Answer gRPC reflection. */
  reflection: flag.default(false),
  logLevel: z.enum(logLevels).default('info'),
});

/** Every setting there is. */
export const settingNames: readonly string[] = Object.keys(schema.shape);

/** OpenTelemetry's own name for `otlpEndpoint`; empty counts as absent. */
const standardOtlpEndpoint = 'OTEL_EXPORTER_OTLP_ENDPOINT';

export type Config = Readonly<z.output<typeof schema>>;
/** Settings as flags give them; undefined ones are not set. */
export type ConfigFlags = { readonly [K in keyof Config]?: Config[K] | string | undefined };

/** A bad setting; the message names it, where it came from, and the bound. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Defaults < file < environment < flags, validated as one. The only reader of the environment. */
export function loadConfig(
  file: string | undefined,
  flags: ConfigFlags = {},
  defaults: ConfigFlags = {},
): Config {
  const given = new Map<string, { readonly value: unknown; readonly source: string }>();
  const take = (values: Readonly<Record<string, unknown>>, source: (name: string) => string) => {
    for (const [name, value] of Object.entries(values)) {
      if (value !== undefined) given.set(name, { value, source: source(name) });
    }
  };
  take(defaults, flagName);
  const path = file ?? process.env['ONCEWARD_CONFIG'];
  if (path !== undefined) take(readFile(path), (name) => `${name} in ${path}`);
  take({ otlpEndpoint: process.env[standardOtlpEndpoint] || undefined }, () => standardOtlpEndpoint);
  take(readEnvironment(), environmentName);
  take(flags, flagName);
  const parsed = schema.safeParse(Object.fromEntries([...given].map(([name, { value }]) => [name, value])));
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => {
      const name = String(issue.path[0] ?? '');
      const where = given.get(name)?.source;
      return where === undefined ? issue.message : `${where}: ${issue.message}`;
    });
    throw new ConfigError(problems.join('; '));
  }
  return Object.freeze(checkExposure(parsed.data));
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function checkExposure(config: Config): Config {
  if (isLoopback(config.host) || config.insecure) return config;
  throw new ConfigError(
    `host ${config.host} can be reached from other machines, and calls are in plaintext without authentication: ` +
      'listen on 127.0.0.1, or say --insecure if the network is yours alone',
  );
}

function readFile(path: string): Readonly<Record<string, unknown>> {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError(`the config file ${path} can't be read: ${(error as Error).message}`);
  }
  if (content === null || content === undefined) return {};
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new ConfigError(`the config file ${path} must hold settings by name`);
  }
  return content as Record<string, unknown>;
}

function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(settingNames.map((name) => [name, process.env[environmentName(name)]]));
}

function environmentName(name: string): string {
  return `ONCEWARD_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function flagName(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
