import { Server, ServerCredentials, setLogger, type ServerOptions } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Coordinator } from '../coordinator/coordinator.js';
import { AdminService } from '../gen/onceward/v1/admin.js';
import {
  CoordinatorService,
  type BatchRequest,
  type GetServerInfoResponse,
  type MintKeyRequest,
} from '../gen/onceward/v1/coordinator.js';
import type { Log } from '../telemetry/log.js';
import { adminMethods } from './admin.js';
import { answerBatch } from './batch.js';
import { callsOf } from './calls.js';
import { addReflection } from './reflection.js';
import { createSessions, type Sessions } from './session.js';
import { tolerant, unary } from './unary.js';

const minuteMs = 60_000;

/** grpc-js' own defaults are open; these bound what one peer can take. */
const limits: ServerOptions = {
  'grpc.max_concurrent_streams': 1000,
  // The largest result (3 MiB) with its metadata fits; the payload limit of a namespace is checked by the verb.
  'grpc.max_receive_message_length': 4 * 1024 * 1024,
  'grpc.max_send_message_length': 4 * 1024 * 1024,
  // Clients behind a balancer spread again when connections end now and then.
  'grpc.max_connection_age_ms': 60 * minuteMs,
  'grpc.max_connection_age_grace_ms': 6 * minuteMs,
  'grpc.max_connection_idle_ms': 15 * minuteMs,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

/** Below the connection's age, so that streams end in order before their connection is cut. */
const sessionMaxAgeMs = 50 * minuteMs;
const services = ['', 'onceward.v1.Coordinator', 'onceward.v1.Admin'];

export interface RpcServerOptions {
  readonly coordinator: Coordinator;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly reflection: boolean;
  readonly serverInfo: GetServerInfoResponse;
  readonly log: Log;
}

export interface RpcServer {
  /** The port it listens on. */
  readonly port: number;
  /** What grpc.health.v1 answers for every service. */
  readonly setServing: (serving: boolean) => void;
  /** Takes no new calls, answers those under way, and cuts what is left after `boundMs`. */
  drain(boundMs: number): Promise<void>;
}

export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { coordinator, log } = options;
  keepLogsTogether(log);
  const calls = callsOf(coordinator);
  const sessions = createSessions({ calls, log, maxAgeMs: sessionMaxAgeMs });
  const server = new Server(limits);
  server.addService(tolerant(CoordinatorService), {
    begin: unary(log, calls.begin),
    complete: unary(log, calls.complete),
    fail: unary(log, calls.fail),
    heartbeat: unary(log, calls.heartbeat),
    lookup: unary(log, calls.lookup),
    mintKey: unary(log, async (request: MintKeyRequest) => ({ key: await coordinator.mintKey(request) })),
    batch: unary(log, (request: BatchRequest, call) => answerBatch(calls, request, call, log)),
    session: sessions.handler,
    getServerInfo: unary(log, () => Promise.resolve(options.serverInfo)),
  });
  server.addService(tolerant(AdminService), adminMethods(coordinator, log));
  const health = new HealthImplementation(Object.fromEntries(services.map((name) => [name, 'NOT_SERVING'])));
  health.addToServer(server);
  if (options.reflection) addReflection(server);
  const port = await bind(server, `${options.host}:${options.port}`);
  return {
    port,
    setServing: (serving) => {
      for (const name of services) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    drain: (boundMs) => drain(server, sessions, boundMs),
  };
}

/** What grpc-js has to say by itself goes with ours instead of straight to standard error; failures come as errors too. */
function keepLogsTogether(log: Log): void {
  const write = (...said: unknown[]) => {
    log.debug(said.map(String).join(' '));
  };
  setLogger({ error: write, info: write, debug: write });
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

function drain(server: Server, sessions: Sessions, boundMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, boundMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
    sessions.drain();
  });
}
