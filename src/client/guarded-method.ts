import type { ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import type { Fingerprint } from '../core/fingerprint.js';
import type { MethodPolicy } from './method-policy.js';

export type GuardedCall = ServerUnaryCall<unknown, unknown> | ServerWritableStream<unknown, unknown>;

/** For all methods of a service; what the proto says of a method goes before, and `methods` before both. */
export interface ServiceOptions extends MethodPolicy {
  /** By method name, e.g. `Charge`. */
  readonly methods?: Readonly<Record<string, MethodPolicy>>;
  /**
   * A binary FileDescriptorSet with imports that has this service: with it the proto's options count, and fingerprints are taken over
   * the message as its proto describes it. Options are also read from definitions of @grpc/proto-loader.
   */
  readonly descriptors?: Uint8Array;
  /** The customer or tenant a call belongs to, from its authenticated principal; 0 to 255 visible ASCII characters. Default: empty. */
  readonly scopeOf?: (call: GuardedCall) => string;
  /**
   * Names of the handler's own metadata that are stored and replayed. Default: all but those that carry credentials or belong to one
   * call only, `unreplayedNames`.
   */
  readonly replayMetadata?: readonly string[];
  /** Services a chain of calls may go through. Default 32. */
  readonly maxHops?: number;
  /** Bytes of a streamed reply that are held back, stored and replayed. Default 1 MiB, at most 3 MiB. */
  readonly maxStreamBytes?: number;
}

/** A method as its guard sees it. */
export interface GuardedMethod {
  readonly path: string;
  readonly policy: MethodPolicy;
  readonly fingerprint: (request: unknown) => Fingerprint;
  readonly serialize: (value: unknown) => Buffer;
  readonly options: ServiceOptions;
  readonly replays: (name: string) => boolean;
}

/** A reply in the bytes that go out. */
export class Serialized {
  constructor(readonly bytes: Buffer) {}
}
