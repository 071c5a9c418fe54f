import { status } from '@grpc/grpc-js';
import { finalCodes } from '../core/final-codes.js';
import type { Fingerprint } from '../core/fingerprint.js';
import { limits } from '../core/limits.js';
import type { Replay } from '../gen/onceward/v1/coordinator.js';
import { activeContext } from '../telemetry/operations.js';
import { jsonCodec, type Codec } from './codec.js';
import type { Settlement } from './finish.js';
import type { Onceward } from './onceward.js';
import { runningOperation, type Operation } from './operation.js';
import { OperationError } from './operation-error.js';
import { failureOf, replayedFailure, storedResult, storedStatus } from './recorded.js';
import type { Ending, GuardOptions } from './operation-spec.js';
import { runOperation } from './run.js';

export interface GuardSpec<T> extends GuardOptions {
  /** 1 to 255 visible ASCII characters; made outside of whatever retries this call. */
  readonly key: string;
  /** The customer or tenant the key belongs to. Default: empty. */
  readonly scope?: string;
  /** What is done, 1 to 255 visible ASCII characters. A key is refused for another operation. */
  readonly operation: string;
  /** Digest of what is asked for. A key is refused for another one of the same version. Default: not compared. */
  readonly fingerprint?: Fingerprint;
  /** How long to wait while another execution is at it, ms. Default 0: IN_PROGRESS is thrown at once. At most 5 min. */
  readonly waitMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** When this key was first tried, if it does not tell itself as a UUIDv7. */
  readonly firstAttemptTime?: Date;
  /** How the value is stored. Default: JSON. */
  readonly codec?: Codec<T>;
  /**
   * Whether an error is a business failure, stored and thrown again for every later call, or an infrastructure failure that frees
   * the key. Default: a FinalError is one, and a gRPC error (`code` and `details`) with a code in `finalCodes`.
   */
  readonly isFinal?: (error: unknown) => boolean;
}

/** A business failure: it is stored, and thrown again for every later call with the key. */
export class FinalError extends Error {
  override readonly name = 'FinalError';

  constructor(
    readonly code: status,
    message: string,
    /** True when it was stored by an earlier call. */
    readonly replayed = false,
  ) {
    super(message);
  }
}

/**
 * Runs an async function at most once for a key, and gives its stored value to every later call. Throws what the function threw, a
 * FinalError for a stored failure, an OperationError when there is no answer to give, and a CallError when the coordinator
 * refuses or can't be reached: then the function did not run.
 */
export function guard<T>(
  onceward: Onceward,
  spec: GuardSpec<T>,
  run: (operation: Operation) => Promise<T>,
): Promise<T> {
  const { namespace } = onceward;
  const { key, scope = '', operation, codec = jsonCodec<T>(), isFinal = isFinalError } = spec;
  const parent = runningOperation();
  let own: { readonly value: T } | { readonly error: unknown } | undefined;
  const execute = async (running: Operation): Promise<Settlement> => {
    try {
      own = { value: await run(running) };
    } catch (error) {
      own = { error };
      const stored = storedStatus(failureOf(error));
      if (!isFinal(error)) return { kind: 'retryable', status: stored };
      return { kind: 'final', status: stored, initialMetadata: [], trailingMetadata: [] };
    }
    try {
      return { kind: 'complete', result: storedResult(codec.encode(own.value), codec.contentType, [], []) };
    } catch (error) {
      // It was done, and must not be done again because its value can't be stored.
      own = { error };
      return { kind: 'complete', result: { ...storedResult(undefined, '', [], []), payloadOmitted: true } };
    }
  };
  const conclude = (ending: Ending) => {
    if (ending.kind === 'replay') return replayedValue(ending.replay, codec);
    if (own === undefined) throw new Error('an execution ended without an outcome');
    if ('error' in own) throw own.error;
    return own.value;
  };
  return runOperation(
    onceward,
    // Written out: to spread the given one costs more than all else here.
    {
      leaseMs: spec.leaseMs,
      onLapse: spec.onLapse,
      resultRetentionMs: spec.resultRetentionMs,
      failOpenMs: spec.failOpenMs,
      beginTimeoutMs: spec.beginTimeoutMs,
      finishTimeoutMs: spec.finishTimeoutMs,
      ref: { namespace, scope, key },
      operation,
      fingerprint: spec.fingerprint,
      parent: parent?.ref,
      hops: parent?.hops ?? 0,
      waitMs: Math.min(spec.waitMs ?? 0, limits.waitMaxMs),
      signal: spec.signal,
      firstAttemptTime: spec.firstAttemptTime,
      caller: { parent: activeContext(), remote: false },
    },
    execute,
    conclude,
  );
}

function replayedValue<T>({ result }: Replay, codec: Codec<T>): T {
  const failure = result && replayedFailure(result);
  if (failure !== undefined) throw new FinalError(failure.code, failure.message, true);
  if (result?.payloadOmitted === true) {
    throw new OperationError('RESULT_TOO_LARGE', 'it was done, and its result was too large to keep');
  }
  return codec.decode(result?.payload);
}

/** A number in `code` alone is no gRPC code: DOMExceptions and database drivers have others of the same size. */
function isFinalError(error: unknown): boolean {
  if (error instanceof FinalError) return true;
  const isGrpc = error instanceof Error && 'details' in error && typeof error.details === 'string';
  if (!isGrpc) return false;
  const { code, ofGuard } = failureOf(error);
  return finalCodes.has(code) && ofGuard !== true;
}
