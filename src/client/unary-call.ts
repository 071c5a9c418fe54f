import { Metadata, type Client, type ServiceError } from '@grpc/grpc-js';
import { callErrorOf } from './call-error.js';

export interface Codec<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

/** One unary call as a promise; it rejects with a CallError. */
export function unaryCall<Request, Response>(
  client: Client,
  method: Codec<Request, Response>,
  request: Request,
  deadlineMs: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const done = (error: ServiceError | null, response?: Response) => {
      signal?.removeEventListener('abort', cancel);
      if (error) reject(callErrorOf(error));
      // Without an error grpc-js always has a message.
      else resolve(response as Response);
    };
    const sent = client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      done,
    );
    const cancel = () => {
      sent.cancel();
    };
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
  });
}
