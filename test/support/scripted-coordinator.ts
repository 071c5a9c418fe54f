import { Metadata, Server, type ServiceError, type UntypedHandleCall } from '@grpc/grpc-js';
import { listen } from './listen.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../../src/gen/google/rpc/error_details.js';
import { Status } from '../../src/gen/google/rpc/status.js';
import { AdminService } from '../../src/gen/onceward/v1/admin.js';
import { CoordinatorService } from '../../src/gen/onceward/v1/coordinator.js';
import { toDuration } from '../../src/client/duration.js';

/** What a method answers: a message, an error to throw, or never anything. */
export type Script = (request: never) => object | Promise<object>;

export interface ScriptedCoordinator {
  readonly address: string;
  stop(): void;
}

/** A real gRPC server on a free port that answers as told: for answers a healthy coordinator can't be made to give. */
export async function startScriptedCoordinator(
  scripts: Readonly<Record<string, Script>>,
): Promise<ScriptedCoordinator> {
  const server = new Server();
  for (const service of [CoordinatorService, AdminService]) {
    const handlers = Object.keys(service).flatMap((name) => {
      const script = scripts[name];
      return script ? [[name, handlerOf(script)] as const] : [];
    });
    server.addService(service, Object.fromEntries(handlers));
  }
  const health = scripts['health'];
  if (health) server.addService(healthService, { check: handlerOf(health) });
  const address = await listen(server);
  return {
    address,
    stop: () => {
      server.forceShutdown();
    },
  };
}

export interface ErrorScript {
  readonly code: number;
  readonly message: string;
  readonly reason?: string;
  readonly domain?: string;
  readonly metadata?: Record<string, string>;
  readonly violations?: { field: string; description: string }[];
  readonly retryAfterMs?: number;
}

/** An error with the details a coordinator puts into its trailers. */
export function errorWith(script: ErrorScript): Error & { readonly metadata: Metadata } {
  const metadata = new Metadata();
  const details = [
    script.reason !== undefined &&
      packed('google.rpc.ErrorInfo', ErrorInfo, {
        reason: script.reason,
        domain: script.domain ?? 'onceward',
        metadata: script.metadata ?? {},
      }),
    script.violations && packed('google.rpc.BadRequest', BadRequest, { fieldViolations: script.violations }),
    script.retryAfterMs !== undefined &&
      packed('google.rpc.RetryInfo', RetryInfo, { retryDelay: toDuration(script.retryAfterMs) }),
  ].filter((detail) => typeof detail === 'object');
  if (details.length > 0) {
    const status = Status.encode({ code: script.code, message: script.message, details }).finish();
    metadata.set('grpc-status-details-bin', Buffer.from(status));
  }
  return Object.assign(new Error(script.message), { code: script.code, details: script.message, metadata });
}

function packed<T>(type: string, codec: { encode(value: T): { finish(): Uint8Array } }, value: T) {
  return { typeUrl: `type.googleapis.com/${type}`, value: Buffer.from(codec.encode(value).finish()) };
}

function handlerOf(script: Script): UntypedHandleCall {
  const handle = (
    call: { request: unknown },
    callback: (error: Partial<ServiceError> | null, response?: object) => void,
  ) => {
    void (async () => script(call.request as never))().then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        callback(error as Partial<ServiceError>);
      },
    );
  };
  return handle as UntypedHandleCall;
}

/** Bytes in and out: what is under test writes them by hand. */
const healthService = {
  check: {
    path: '/grpc.health.v1.Health/Check',
    requestStream: false,
    responseStream: false,
    requestSerialize: (value: Buffer) => value,
    requestDeserialize: (value: Buffer) => value,
    responseSerialize: (value: Buffer) => value,
    responseDeserialize: (value: Buffer) => value,
  },
} as const;
