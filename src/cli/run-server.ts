import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sampler } from '../cleanup/sampler.js';
import type { TickSettings } from '../cleanup/tick.js';
import type { Config } from '../config.js';
import { startHttpServer, type HttpServer } from '../console/http-server.js';
import { createCoordinator, type Coordinator } from '../coordinator/coordinator.js';
import { batchPages } from '../core/page-batch.js';
import { addressOf } from '../rpc/address.js';
import { createRpcServer, type RpcServer } from '../rpc/server.js';
import { isUnreachable } from '../store/failure.js';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../store/embedded/embedded-postgres.js';
import { openStore, type OpenStore } from '../store/open-store.js';
import type { TelemetryExport } from '../telemetry/export.js';
import type { Log } from '../telemetry/log.js';
import { noTelemetry, type Telemetry } from '../telemetry/telemetry.js';

export interface RunningServer {
  readonly coordinator: Coordinator;
  readonly rpcPort: number;
  readonly httpPort: number;
  readonly databaseUrl: string;
  /** Of the embedded Postgres; undefined for an external one. */
  readonly dataFolder: string | undefined;
  readonly postgresVersion: string;
  readonly partitionCount: number;
  /** Drains within the configured bound, then closes everything. */
  stop(): Promise<void>;
}

const retryMs = { first: 200, most: 5000 };
/** For the last spans and metrics, when the drain took all its time. */
const lastFlushMs = 500;

/**
 * Starts a coordinator: HTTP first, so that probes get an answer while the database is waited for; gRPC last, when calls
 * can be served. `signal` ends the waiting.
 */
export async function runServer(config: Config, log: Log, signal?: AbortSignal): Promise<RunningServer> {
  let notReady: string | undefined = 'starting';
  let reachable = false;
  let drainUntilTime = 0;
  const instanceId = randomUUID();
  const undo: (() => Promise<void>)[] = [];
  const stopAll = async () => {
    for (const step of undo.reverse().splice(0)) await step();
  };
  try {
    const exporting = await exportTelemetry(config, instanceId, log);
    const { telemetry, metricsText } = exporting;
    telemetry.instruments.exportNumber('storeReachable', () => Number(reachable));
    undo.push(() => exporting.stop(Math.max(lastFlushMs, drainUntilTime - performance.now())));
    const http = await listenHttp(config, () => notReady, metricsText);
    undo.push(() => http.close());
    const { databaseUrl, embedded } = await findDatabase(config);
    if (embedded !== undefined) undo.push(() => embedded.stop());
    const opened = await openWhenReachable(config, databaseUrl, telemetry, log, signal);
    undo.push(() => opened.close());
    let setServing: RpcServer['setServing'] = () => undefined;
    const setReachable = (now: boolean) => {
      reachable = now;
      notReady = reachable ? undefined : 'the database does not answer';
      setServing(reachable);
    };
    const coordinator = createCoordinator({
      store: opened.store,
      sweepTarget: opened.sweepTarget,
      replayCache: { maxBytes: config.replayCacheBytes, maxEntries: config.replayCacheEntries },
      onReachable: setReachable,
      telemetry,
    });
    await coordinator.start();
    undo.push(() => {
      coordinator.stop();
      return Promise.resolve();
    });
    const sampler = startSampler(config, opened, telemetry, log);
    undo.push(() => sampler?.stop() ?? Promise.resolve());
    const rpc = createRpc({ config, coordinator, opened, instanceId, telemetry, log });
    undo.push(() => {
      setServing(false);
      setServing = () => undefined;
      notReady = 'draining';
      coordinator.drain();
      return rpc.drain(config.drainTimeoutMs);
    });
    const rpcPort = await listenRpc(rpc, config);
    setServing = rpc.setServing;
    setReachable(true);
    return {
      coordinator,
      rpcPort,
      httpPort: http.port,
      databaseUrl,
      dataFolder: embedded?.dataFolder,
      postgresVersion: opened.facts.postgresVersion,
      partitionCount: opened.schema.partitionCount ?? 0,
      stop: () => {
        drainUntilTime = performance.now() + config.drainTimeoutMs;
        return stopAll();
      },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

function startSampler(
  config: Config,
  { sweepTarget }: OpenStore,
  { instruments }: Telemetry,
  log: Log,
): Sampler | undefined {
  if (config.samplerSchedule === 'off') return undefined;
  return new Sampler({
    target: sweepTarget,
    schedule: config.samplerSchedule,
    settings: samplerSettings(config),
    instruments: instruments.sweep,
    log,
  });
}

/** How its ticks go. */
export function samplerSettings(config: Config): TickSettings {
  return {
    batchPages,
    threshold: config.samplerThreshold,
    backstopMs: config.samplerBackstopMs,
    timeBudgetMs: config.samplerTimeBudgetMs,
    rowBudget: config.samplerRowBudget,
    maxLatencyMs: config.samplerMaxLatencyMs,
    maxReplicationLagMs: config.samplerMaxReplicationLagMs,
  };
}

/** Version of the program, from its package. */
export function programVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The SDK is loaded only when something is exported. */
async function exportTelemetry(config: Config, instanceId: string, log: Log): Promise<TelemetryExport> {
  const { otlpEndpoint, prometheus } = config;
  if (otlpEndpoint === undefined && !prometheus) {
    return { telemetry: noTelemetry, metricsText: undefined, stop: () => Promise.resolve() };
  }
  const { startExport } = await import('../telemetry/export.js');
  return startExport({ otlpEndpoint, prometheus, version: programVersion(), instanceId, log });
}

async function findDatabase(
  config: Config,
): Promise<{ readonly databaseUrl: string; readonly embedded: EmbeddedPostgres | undefined }> {
  if (config.databaseUrl !== undefined) return { databaseUrl: config.databaseUrl, embedded: undefined };
  const embedded = await startEmbeddedPostgres(
    config.dataDir === undefined ? {} : { dataFolder: config.dataDir },
  );
  return { databaseUrl: embedded.url, embedded };
}

async function openWhenReachable(
  config: Config,
  url: string,
  telemetry: Telemetry,
  log: Log,
  signal: AbortSignal | undefined,
): Promise<OpenStore> {
  const onWarning = (message: string, error: unknown) => {
    log.warn({ err: error }, message);
  };
  for (let delayMs = retryMs.first; ; delayMs = Math.min(delayMs * 2, retryMs.most)) {
    try {
      return await openStore({ ...config, url, partitionCount: config.partitionCount, onWarning, telemetry });
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      log.warn(`the database is not reachable (${whyUnreachable(error)}); trying again in ${delayMs} ms`);
      await sleep(delayMs, undefined, signal && { signal });
    }
  }
}

/** When none of a host's addresses answers, Node's error has a code and no message. */
function whyUnreachable(error: unknown): string {
  const { message, code } = error as Error & { readonly code?: string };
  return message || (code ?? 'no answer');
}

function listenHttp(
  config: Config,
  notReady: () => string | undefined,
  metricsText: TelemetryExport['metricsText'],
): Promise<HttpServer> {
  const { host, httpPort } = config;
  return startHttpServer({ host, port: httpPort, notReady, metricsText }).catch((error: unknown) => {
    throw listenError(addressOf(host, httpPort), '--http-port', error);
  });
}

function createRpc(parts: {
  readonly config: Config;
  readonly coordinator: Coordinator;
  readonly opened: OpenStore;
  readonly instanceId: string;
  readonly telemetry: Telemetry;
  readonly log: Log;
}): RpcServer {
  const { coordinator, instanceId, telemetry, log } = parts;
  const { reflection } = parts.config;
  const { facts, schema } = parts.opened;
  const serverInfo = {
    version: programVersion(),
    instanceId,
    startTime: new Date(),
    postgresVersion: facts.postgresVersion,
    partitionCount: schema.partitionCount ?? 0,
    schemaVersion: schema.schemaVersion,
    warnings: [...facts.warnings],
  };
  return createRpcServer({ coordinator, reflection, serverInfo, telemetry, log });
}

async function listenRpc(rpc: RpcServer, { host, port, socket }: Config): Promise<number> {
  if (socket !== undefined) {
    await rpc.listenOnSocket(socket).catch((error: unknown) => {
      throw listenError(socket, '--socket', error);
    });
  }
  return rpc.listen(host, port).catch((error: unknown) => {
    throw listenError(addressOf(host, port), '--port', error);
  });
}

/** A port, address or socket that can't be used, said as what to do about it. */
class ListenError extends Error {
  override readonly name = 'ListenError';
}

function listenError(where: string, flag: string, cause: unknown): ListenError {
  const { message } = cause as Error;
  const taken = message.includes('EADDRINUSE');
  const why = taken ? 'is taken, perhaps by another coordinator' : `can't be listened on (${message})`;
  return new ListenError(`${where} ${why}; choose another with ${flag}`, { cause });
}
