import { setTimeout as sleep } from 'node:timers/promises';
import { Server, ServerCredentials, setLogger, type ServerOptions } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Coordinator } from '../coordinator/coordinator.js';
import { OncewardError } from '../core/errors.js';
import { AdminService } from '../gen/onceward/v1/admin.js';
import {
  CoordinatorService,
  type BatchRequest,
  type GetServerInfoResponse,
  type MintKeyRequest,
} from '../gen/onceward/v1/coordinator.js';
import { createCallObserver } from '../telemetry/call-observer.js';
import type { Log } from '../telemetry/log.js';
import type { Telemetry } from '../telemetry/telemetry.js';
import { addressOf } from './address.js';
import { adminMethods } from './admin.js';
import { answerBatch } from './batch.js';
import { callFactsWith } from './call-facts.js';
import { answerCallWith, callsOf } from './calls.js';
import { encodeFrame } from './encoded-answer.js';
import { addReflection } from './reflection.js';
import { createSessions, type Sessions } from './session.js';
import { tolerant, UnaryCalls, type CallTools } from './unary.js';
import { removeLeftSocket } from './unix-socket.js';

const minuteMs = 60_000;

/** grpc-js' own defaults are open; these bound what one peer can take. */
const limits: ServerOptions = {
  // Bookkeeping for a debugging service that is not served.
  'grpc.enable_channelz': 0,
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

/** For the answers of calls that a drain cuts. */
const lastAnswersMs = 500;

/** Below the connection's age, so that streams end in order before their connection is cut. */
const sessionMaxAgeMs = 50 * minuteMs;
const coordinatorService = {
  ...CoordinatorService,
  batch: { ...CoordinatorService.batch, responseSerialize: encodeFrame },
  session: { ...CoordinatorService.session, responseSerialize: encodeFrame },
};
const services = ['', 'onceward.v1.Coordinator', 'onceward.v1.Admin'];

export interface RpcServerOptions {
  readonly coordinator: Coordinator;
  readonly reflection: boolean;
  readonly serverInfo: GetServerInfoResponse;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

export interface RpcServer {
  /** Takes calls on an address, and tells the port; 0 takes a free one. */
  readonly listen: (host: string, port: number) => Promise<number>;
  /** Takes calls on a Unix socket, whose path is absolute; one that a killed process left there is replaced. */
  readonly listenOnSocket: (path: string) => Promise<void>;
  /** What grpc.health.v1 answers for every service. */
  readonly setServing: (serving: boolean) => void;
  /** Takes no new calls, answers those under way, and after `boundMs` those left with UNAVAILABLE. */
  drain(boundMs: number): Promise<void>;
}

export function createRpcServer(options: RpcServerOptions): RpcServer {
  const { coordinator, log } = options;
  keepLogsTogether(log);
  const calls = callsOf(coordinator);
  const tools: CallTools = {
    log,
    observer: createCallObserver(options.telemetry),
    factsOf: callFactsWith((name) => coordinator.knowsNamespace(name)),
  };
  const unary = new UnaryCalls(tools);
  const answerCall = answerCallWith(coordinator, calls, tools);
  const sessions = createSessions({ answerCall, maxAgeMs: sessionMaxAgeMs });
  const server = new Server(limits);
  server.addService(tolerant(coordinatorService), {
    begin: unary.handler(calls.begin),
    complete: unary.handler(calls.complete),
    fail: unary.handler(calls.fail),
    heartbeat: unary.handler(calls.heartbeat),
    lookup: unary.handler(calls.lookup),
    mintKey: unary.handler(async (request: MintKeyRequest) => ({ key: await coordinator.mintKey(request) })),
    batch: unary.handler((request: BatchRequest, call) => answerBatch(answerCall, request, call)),
    session: sessions.handler,
    getServerInfo: unary.handler(() => Promise.resolve(options.serverInfo)),
  });
  server.addService(tolerant(AdminService), adminMethods(coordinator, unary));
  const health = new HealthImplementation(Object.fromEntries(services.map((name) => [name, 'NOT_SERVING'])));
  health.addToServer(server);
  if (options.reflection) addReflection(server);
  return {
    listen: (host, port) => bind(server, addressOf(host, port)),
    listenOnSocket: (path) => bindSocket(server, path),
    setServing: (serving) => {
      for (const name of services) health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    },
    drain: (boundMs) => drain(server, unary, sessions, boundMs),
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

/** Looks before it binds: grpc-js does not try an address again that it failed to bind. */
async function bindSocket(server: Server, path: string): Promise<void> {
  await removeLeftSocket(path);
  await bind(server, `unix:${path}`);
}

async function drain(server: Server, unary: UnaryCalls, sessions: Sessions, boundMs: number): Promise<void> {
  const ended = new Promise<true>((resolve) => {
    server.tryShutdown(() => {
      resolve(true);
    });
  });
  const endedWithin = (ms: number) => Promise.race([ended, sleep(ms, false, { ref: false })]);
  sessions.drain();
  if (await endedWithin(boundMs)) return;
  // Cut without an answer they would end as CANCELLED, as if their callers had wanted it.
  const message = 'the coordinator stopped before it knew the outcome; send the call again as it is';
  const error = new OncewardError('STORE_UNAVAILABLE', message, { retryAfterMs: 100 });
  unary.cut(error);
  sessions.cut(error);
  if (!(await endedWithin(lastAnswersMs))) server.forceShutdown();
}
