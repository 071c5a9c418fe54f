import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import { limits } from '../core/limits.js';
import { endOfError, replayedEnd, settlementOf, withKey, type End } from './answer.js';
import { Serialized, type GuardedMethod } from './guarded-method.js';
import { incomingOperation } from './incoming.js';
import type { Onceward } from './onceward.js';
import { runInside } from './operation.js';
import { OperationError } from './operation-error.js';
import { failureOf } from './recorded.js';
import { messagesIn, RecordedStream } from './recorded-stream.js';
import { endingOf } from './run.js';

type Call = ServerWritableStream<unknown, unknown>;

const contentType = 'application/grpc+proto-stream';
const defaultStreamBytes = 1024 * 1024;

/**
 * The handler of a method that streams its reply. Up to the bound the reply is held back until it is stored: a caller gets all of it, or, when
 * the handler fails, the failure alone, now and in replays. Beyond the bound it flows, and counts as done without a result to replay.
 */
export function guardStream(
  onceward: Onceward,
  method: GuardedMethod,
  handler: handleServerStreamingCall<unknown, unknown>,
): handleServerStreamingCall<unknown, unknown> {
  return (call) => {
    answer(onceward, method, handler, call).catch((error: unknown) => {
      sendEnd(call, endOfError(error));
    });
  };
}

async function answer(
  onceward: Onceward,
  method: GuardedMethod,
  handler: handleServerStreamingCall<unknown, unknown>,
  call: Call,
): Promise<void> {
  const incoming = incomingOperation(onceward, method, call);
  if (incoming === undefined) {
    try {
      // Typed as void, and yet often an async function.
      await runInside(undefined, () => (handler as (call: Call) => unknown)(call));
    } catch (error) {
      sendEnd(call, { failure: failureOf(error) });
    }
    return;
  }
  const boundBytes = Math.min(method.options.maxStreamBytes ?? defaultStreamBytes, limits.resultBytes);
  const recorded = new RecordedStream(call, method.serialize, boundBytes);
  let own: End = {};
  const ending = await endingOf(onceward, incoming.spec, async () => {
    own = await recorded.record(handler);
    return settlementOf(method, own, recorded.payload(), contentType);
  });
  if (ending.kind === 'executed') {
    if (!recorded.flows) recorded.release(own.failure === undefined);
    sendEnd(call, incoming.minted ? withKey(own, incoming.spec.ref.key) : own);
    return;
  }
  // What has flowed can't be taken back; only the status can say that it does not count.
  if (recorded.flows) throw new OperationError('LEASE_LOST', 'another execution took over');
  const { payload, ...end } = replayedEnd(ending.replay);
  if (end.initial !== undefined) call.sendMetadata(end.initial);
  if (end.failure === undefined)
    for (const message of messagesIn(payload)) call.write(new Serialized(message));
  sendEnd(call, end);
}

function sendEnd(call: Call, { failure, trailing }: End): void {
  if (failure === undefined) {
    call.end(trailing);
    return;
  }
  const { code, message: details, metadata } = failure;
  call.emit('error', Object.assign(new Error(details), { code, details, metadata: trailing ?? metadata }));
}
