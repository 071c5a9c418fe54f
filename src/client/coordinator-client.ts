import { Client, credentials } from '@grpc/grpc-js';
import { AdminService } from '../gen/onceward/v1/admin.js';
import { CoordinatorService } from '../gen/onceward/v1/coordinator.js';
import { unaryCall, type Codec } from './unary-call.js';

export interface ConnectOptions {
  /** `host:port`, or any gRPC target, e.g. `dns:///coordinator:7400`. */
  readonly address: string;
  /** How long a call may take when it names no deadline of its own, ms. Default 10 000. */
  readonly deadlineMs?: number;
}

interface CallOptions {
  /** How long this call may take, ms. Default: the connection's. */
  readonly deadlineMs?: number;
  /** Leaves the call; whether it had an effect is then unknown, and sending it again is safe. */
  readonly signal?: AbortSignal;
}

/** The unary methods of a generated service, as promises. Absent request fields take the protocol's defaults. */
type UnaryMethods<Service> = {
  readonly [
    Name in keyof Service as Service[Name] extends UnaryMethod ? Name : never
  ]: Service[Name] extends {
    requestSerialize: (value: infer Request) => Buffer;
    responseDeserialize: (value: Buffer) => infer Response;
  }
    ? (request: Partial<Request>, options?: CallOptions) => Promise<Response>
    : never;
};

type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

/** A connection to a coordinator. Every failed call rejects with a CallError. */
export interface CoordinatorConnection {
  readonly coordinator: UnaryMethods<CoordinatorService>;
  readonly admin: UnaryMethods<AdminService>;
  /** grpc.health.v1 of one service; empty: of the whole server. */
  health(service: string, options?: CallOptions): Promise<ServingStatus>;
  /** Ends the connection; calls under way end as CANCELLED. */
  close(): void;
}

/** Connects on the first call. The channel is plaintext: TLS is not offered yet. */
export function connectCoordinator({ address, deadlineMs = 10_000 }: ConnectOptions): CoordinatorConnection {
  // One plain client serves both services, so that they share a channel.
  const client = new Client(address, credentials.createInsecure());
  return {
    coordinator: unaryMethods(client, CoordinatorService, deadlineMs),
    admin: unaryMethods(client, AdminService, deadlineMs),
    health: (service, options) =>
      unaryCall(client, healthCheck, service, options?.deadlineMs ?? deadlineMs, options?.signal),
    close: () => {
      client.close();
    },
  };
}

interface UnaryMethod {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: false;
}

function unaryMethods<Service extends object>(
  client: Client,
  service: Service,
  connectionDeadlineMs: number,
): UnaryMethods<Service> {
  const methods = Object.entries(service as Record<string, GeneratedMethod>)
    .filter(([, method]) => !method.requestStream && !method.responseStream)
    .map(([name, method]) => {
      // An empty message decodes to the defaults of every field.
      const defaults = method.requestDeserialize(Buffer.alloc(0));
      const run = (request: object, options: CallOptions = {}) =>
        unaryCall(
          client,
          method,
          { ...defaults, ...request },
          options.deadlineMs ?? connectionDeadlineMs,
          options.signal,
        );
      return [name, run] as const;
    });
  // The one cast from the generated table to its type: the mapped type follows the same entries.
  return Object.fromEntries(methods) as unknown as UnaryMethods<Service>;
}

interface GeneratedMethod extends Codec<object, unknown> {
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestDeserialize: (value: Buffer) => object;
}

/** By hand: the two messages are one field each, and grpc-health-check would load its proto at every start. */
const healthCheck: Codec<string, ServingStatus> = {
  path: '/grpc.health.v1.Health/Check',
  requestSerialize: (service) => {
    const name = Buffer.from(service);
    return name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  },
  responseDeserialize: (bytes) =>
    (bytes[0] === 0x08 &&
      (['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const)[bytes[1] ?? 0]) ||
    'UNKNOWN',
};
