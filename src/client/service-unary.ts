import type { handleUnaryCall, Metadata, sendUnaryData } from '@grpc/grpc-js';
import { endOfError, replayedEnd, settlementOf, unserializable, withKey, type End } from './answer.js';
import { Serialized, type GuardedMethod } from './guarded-method.js';
import { incomingOperation } from './incoming.js';
import type { Onceward } from './onceward.js';
import { runInside } from './operation.js';
import { failureOf } from './recorded.js';
import { endingOf } from './run.js';

type Call = Parameters<handleUnaryCall<unknown, unknown>>[0];
type Answer = End & { readonly reply?: unknown };

/** The handler of a unary method, behind the coordinator. Nothing of its answer is sent before that is stored. */
export function guardUnary(
  onceward: Onceward,
  method: GuardedMethod,
  handler: handleUnaryCall<unknown, unknown>,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    const sendMetadata = call.sendMetadata.bind(call);
    const send = ({ failure, reply, initial, trailing }: Answer) => {
      if (initial !== undefined) sendMetadata(initial);
      if (failure === undefined) callback(null, reply, trailing);
      else
        callback(
          { code: failure.code, details: failure.message, metadata: failure.metadata },
          null,
          trailing,
        );
    };
    answer(onceward, method, handler, call).then(send, (error: unknown) => {
      send(endOfError(error));
    });
  };
}

async function answer(
  onceward: Onceward,
  method: GuardedMethod,
  handler: handleUnaryCall<unknown, unknown>,
  call: Call,
): Promise<Answer> {
  const incoming = incomingOperation(onceward, method, call);
  if (incoming === undefined) return runInside(undefined, () => handle(handler, call));
  let own: Answer = {};
  const ending = await endingOf(onceward, incoming.spec, async () => {
    own = await handle(handler, call);
    let payload: Buffer | undefined;
    if (own.failure === undefined) {
      try {
        payload = method.serialize(own.reply);
        own = { ...own, reply: new Serialized(payload) };
      } catch (error) {
        // The handler succeeded: it is done, though there is nothing to replay.
        const settlement = settlementOf(method, own, undefined, contentType);
        own = { ...own, failure: unserializable(error) };
        return settlement;
      }
    }
    return settlementOf(method, own, payload, contentType);
  });
  if (ending.kind === 'replay') {
    const { payload, ...end } = replayedEnd(ending.replay);
    return { ...end, reply: new Serialized(Buffer.from(payload)) };
  }
  return incoming.minted ? withKey(own, incoming.spec.ref.key) : own;
}

const contentType = 'application/grpc+proto';

/** Runs the handler to its answer, whichever way it gives one. */
function handle(handler: handleUnaryCall<unknown, unknown>, call: Call): Promise<Answer> {
  let initial: Metadata | undefined;
  call.sendMetadata = (metadata) => {
    initial ??= metadata;
  };
  return new Promise((resolve) => {
    const callback: sendUnaryData<unknown> = (error, reply, trailing) => {
      if (error) resolve({ failure: failureOf(error), initial, trailing });
      else resolve({ reply, initial, trailing });
    };
    const thrown = (error: unknown) => {
      resolve({ failure: failureOf(error), initial });
    };
    try {
      // Typed as void, and yet often an async function.
      const returned = (handler as (...args: unknown[]) => unknown)(call, callback);
      if (returned instanceof Promise) returned.catch(thrown);
    } catch (error) {
      thrown(error);
    }
  });
}
