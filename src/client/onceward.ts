import { credentials as grpcCredentials, type ChannelCredentials } from '@grpc/grpc-js';
import { limits } from '../core/limits.js';
import { Violations } from '../core/violations.js';
import { createOperationMetrics } from '../telemetry/operations.js';
import { createCalls, type Calls } from './calls.js';
import type { Guards } from './operation-spec.js';

export interface OncewardOptions {
  /** Where the coordinators are: `host:port` each, or gRPC targets: `dns:///coordinator:7400`, `unix:/run/onceward.sock`. Calls go round. */
  readonly addresses: readonly string[];
  /** Whose keys these are: the service's or team's name, as declared at the coordinator. */
  readonly namespace: string;
  /** Default: plaintext. */
  readonly credentials?: ChannelCredentials;
  /**
   * How calls travel. Default: `session`, many in one frame of a stream; what answers that it has no streams gets `unary` calls by
   * itself. Behind a proxy that lets streams open and then swallows them, say `unary`.
   */
  readonly transport?: 'session' | 'unary';
}

/** A service's way to the coordinators. It connects with the first call; one per process is enough. */
export interface Onceward extends Guards {
  readonly namespace: string;
  /** The coordinator's own calls, for what `guard` does not do. */
  readonly calls: Calls;
  /** Calls under way end as CANCELLED. */
  close(): void;
}

export function connectOnceward(options: OncewardOptions): Onceward {
  const { addresses, namespace, transport = 'session' } = options;
  const credentials = options.credentials ?? grpcCredentials.createInsecure();
  const violations = new Violations();
  violations.namespace('namespace', namespace);
  violations.range('addresses', addresses.length, 1, limits.addresses, ' addresses');
  violations.throwIfAny();
  const calls = createCalls({ addresses, credentials, transport });
  return { namespace, calls, metrics: createOperationMetrics(), close: () => calls.close() };
}
