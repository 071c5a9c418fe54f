import { Server, type ServerDuplexStream, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { listen } from './listen.js';
import { onTestFinished } from 'vitest';
import {
  CoordinatorService,
  type Answer,
  type BatchRequest,
  type Call,
  type SessionRequest,
  type SessionResponse,
} from '../../src/gen/onceward/v1/coordinator.js';

type Stream = ServerDuplexStream<SessionRequest, SessionResponse>;

export interface ScriptedFrame {
  readonly calls: readonly Call[];
  /** Answers on the stream the frame came by. */
  readonly answer: (...answers: Answer[]) => void;
  /** Ends the stream in order, or with an error. */
  readonly end: (error?: Error) => void;
}

/** A server that does with frames what a test says. Without a script for a method it does not have that method. */
export async function startScriptedSession(scripts: {
  readonly frame?: (frame: ScriptedFrame) => void;
  readonly batch?: (request: BatchRequest) => readonly Answer[];
}): Promise<{ readonly address: string }> {
  const handlers: UntypedServiceImplementation = {};
  const { frame, batch } = scripts;
  if (frame !== undefined) {
    handlers['session'] = (stream: Stream) => {
      stream.on('data', ({ calls }: SessionRequest) => {
        const answer = (...answers: Answer[]) => void stream.write({ answers });
        const end = (error?: Error) => {
          if (error === undefined) stream.end();
          else stream.emit('error', error);
        };
        frame({ calls, answer, end });
      });
      stream.on('end', () => stream.end());
      stream.on('error', () => undefined);
    };
  }
  if (batch !== undefined) {
    handlers['batch'] = (
      { request }: { readonly request: BatchRequest },
      callback: (error: null, response: { readonly answers: readonly Answer[] }) => void,
    ) => {
      callback(null, { answers: batch(request) });
    };
  }
  const server = new Server();
  server.addService(CoordinatorService, handlers);
  const address = await listen(server);
  onTestFinished(() => server.forceShutdown());
  return { address };
}

/** An answer that tells which call it is to. */
export function extended(id: bigint, seconds = id): Answer {
  return {
    id,
    response: { $case: 'heartbeat', value: { leaseLeft: { seconds, nanos: 0 } } },
  };
}
