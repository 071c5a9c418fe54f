import { Writable } from 'node:stream';
import { Metadata, status, type handleServerStreamingCall, type ServerWritableStream } from '@grpc/grpc-js';
import { unserializable, type End } from './answer.js';
import { Serialized } from './guarded-method.js';
import { failureOf, type Failure } from './recorded.js';

type Call = ServerWritableStream<unknown, unknown>;

/**
 * Stands in for the call in front of a handler that streams its reply: holds messages back up to a bound, and lets them flow beyond it.
 */
export class RecordedStream extends Writable {
  readonly #call: Call;
  readonly #serialize: (value: unknown) => Buffer;
  readonly #boundBytes: number;
  readonly metadata: Metadata;
  readonly request: unknown;
  readonly #held: Buffer[] = [];
  #heldBytes = 0;
  #initial: Metadata | undefined;
  #trailing: Metadata | undefined;
  /** The bound is passed: what is written goes out at once. */
  flows = false;
  /** Also when the caller left: of a handler that stopped half-way, half of the reply would be stored as all of it. */
  readonly cancelled = false;

  constructor(call: Call, serialize: (value: unknown) => Buffer, boundBytes: number) {
    super({ objectMode: true });
    this.#call = call;
    this.#serialize = serialize;
    this.#boundBytes = boundBytes;
    this.metadata = call.metadata;
    this.request = call.request;
    // An error ends the call; without a listener it would end the process.
    this.on('error', () => undefined);
  }

  /** Runs the handler to its end, whichever way it gives one. */
  record(handler: handleServerStreamingCall<unknown, unknown>): Promise<End> {
    return new Promise((resolve) => {
      const fail = (failure: Failure) => {
        resolve({ failure, initial: this.#initial });
      };
      const thrown = (error: unknown) => {
        fail(failureOf(error));
      };
      this.once('finish', () => {
        resolve({ initial: this.#initial, trailing: this.#trailing });
      });
      this.once('error', thrown);
      this.once('close', () => {
        fail({
          code: status.CANCELLED,
          message: 'the handler destroyed its stream',
          metadata: new Metadata(),
        });
      });
      try {
        // Typed as void, and yet often an async function.
        const returned = (handler as (call: unknown) => unknown)(this);
        if (returned instanceof Promise) returned.catch(thrown);
      } catch (error) {
        thrown(error);
      }
    });
  }

  /** The messages as one payload, each with its length in front; undefined when they were too many to keep. */
  payload(): Buffer | undefined {
    if (this.flows) return undefined;
    return Buffer.concat(this.#held.flatMap((message) => [lengthOf(message), message]));
  }

  /** Sends on what is held back; of a reply that failed, only its initial metadata. */
  release(succeeded = true): void {
    if (this.#initial !== undefined) this.#call.sendMetadata(this.#initial);
    if (succeeded) for (const message of this.#held.splice(0)) this.#call.write(new Serialized(message));
  }

  override _write(value: unknown, _: string, done: (error?: Error) => void): void {
    let message: Buffer;
    try {
      message = this.#serialize(value);
    } catch (error) {
      const { code, message: details, metadata } = unserializable(error);
      done(Object.assign(new Error(details), { code, details, metadata }));
      return;
    }
    this.#heldBytes += lengthBytes + message.length;
    if (!this.flows && this.#heldBytes <= this.#boundBytes) {
      this.#held.push(message);
      done();
      return;
    }
    if (!this.flows) {
      this.flows = true;
      this.release();
    }
    // A caller that left takes no more; the handler goes on without it.
    if (this.#call.cancelled || this.#call.write(new Serialized(message))) {
      done();
      return;
    }
    const goOn = () => {
      this.#call.off('drain', goOn).off('cancelled', goOn);
      done();
    };
    // One that leaves now drains nothing.
    this.#call.on('drain', goOn).on('cancelled', goOn);
  }

  override end(metadata?: unknown): this {
    if (metadata instanceof Metadata) this.#trailing = metadata;
    return super.end();
  }

  sendMetadata(metadata: Metadata): void {
    this.#initial ??= metadata;
  }

  getPeer(): string {
    return this.#call.getPeer();
  }
  getDeadline(): Date | number {
    return this.#call.getDeadline();
  }
  getPath(): string {
    return this.#call.getPath();
  }
  getHost(): string {
    return this.#call.getHost();
  }
  getAuthContext(): ReturnType<Call['getAuthContext']> {
    return this.#call.getAuthContext();
  }
  getMetricsRecorder(): ReturnType<Call['getMetricsRecorder']> {
    return this.#call.getMetricsRecorder();
  }
}

const lengthBytes = 4;

function lengthOf(message: Buffer): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUInt32BE(message.length);
  return length;
}

/** The messages of a stored payload. */
export function messagesIn(payload: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at + lengthBytes;
    at = start + bytes.readUInt32BE(at);
    messages.push(bytes.subarray(start, at));
  }
  return messages;
}
