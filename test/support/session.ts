import { Client, credentials, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { callErrorOf, type CallError } from '../../src/client/call-error.js';
import {
  CoordinatorService,
  SessionRequest,
  type Answer,
  type Call,
  type SessionResponse,
} from '../../src/gen/onceward/v1/coordinator.js';
import { until } from './until.js';

/** A Session stream, with the answers it brought so far. */
export interface TestSession {
  readonly answers: readonly Answer[];
  readonly frames: readonly SessionResponse[];
  /** How the stream ended: undefined while it has not, true in order, or the error. */
  readonly ended: () => true | CallError | undefined;
  send(...calls: readonly Call[]): void;
  sendBytes(frame: Uint8Array): void;
  halfClose(): void;
  cancel(): void;
  /** The answers to these calls, in the order of the ids, once all are there. */
  answersTo(ids: readonly bigint[]): Promise<readonly Answer[]>;
  close(): void;
}

export function openSession(address: string): TestSession {
  const client = new Client(address, credentials.createInsecure());
  const { path, responseDeserialize } = CoordinatorService.session;
  const stream: ClientDuplexStream<Uint8Array, SessionResponse> = client.makeBidiStreamRequest(
    path,
    (frame: Uint8Array) => Buffer.from(frame),
    responseDeserialize,
  );
  const answers: Answer[] = [];
  const frames: SessionResponse[] = [];
  let ended: true | CallError | undefined;
  stream.on('data', (frame: SessionResponse) => {
    frames.push(frame);
    answers.push(...frame.answers);
  });
  stream.on('end', () => {
    ended ??= true;
  });
  stream.on('error', (error: ServiceError) => {
    ended = callErrorOf(error);
  });
  return {
    answers,
    frames,
    ended: () => ended,
    send: (...calls) => {
      stream.write(SessionRequest.encode({ calls: [...calls] }).finish());
    },
    sendBytes: (frame) => {
      stream.write(frame);
    },
    halfClose: () => {
      stream.end();
    },
    cancel: () => {
      stream.cancel();
    },
    answersTo: (ids) =>
      until('the answers', () => {
        const found = ids.map((id) => answers.find((answer) => answer.id === id));
        return found.every((answer) => answer !== undefined) ? found : undefined;
      }),
    close: () => {
      stream.cancel();
      client.close();
    },
  };
}
