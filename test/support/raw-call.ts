import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { callErrorOf, type CallError } from '../../src/client/call-error.js';

/** What the wire brought: the answer's bytes, or the error. */
export type RawAnswer = { readonly bytes: Buffer } | { readonly error: CallError };

/** A client that sends the bytes it is given and never looks into them. */
export interface RawClient {
  call(path: string, bytes: Uint8Array, metadata?: Metadata): Promise<RawAnswer>;
  close(): void;
}

export function rawClient(address: string): RawClient {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
  });
  return {
    call: (path, bytes, metadata = new Metadata()) =>
      new Promise((resolve) => {
        client.makeUnaryRequest(
          path,
          (message: Uint8Array) => Buffer.from(message),
          (message: Buffer) => message,
          bytes,
          metadata,
          { deadline: Date.now() + 20_000 },
          (error: ServiceError | null, answer?: Buffer) => {
            resolve(error ? { error: callErrorOf(error) } : { bytes: answer ?? Buffer.alloc(0) });
          },
        );
      }),
    close: () => {
      client.close();
    },
  };
}

/** The error of an answer that must be one. */
export function errorOf(answer: RawAnswer): CallError {
  if ('error' in answer) return answer.error;
  throw new Error(`expected an error, got ${answer.bytes.length} bytes`);
}

export const begin = '/onceward.v1.Coordinator/Begin';
