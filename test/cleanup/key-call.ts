import { createHash } from 'node:crypto';
import { CallError } from '../../src/client/call-error.js';
import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { FailRequest_Kind, type BeginResponse } from '../../src/gen/onceward/v1/coordinator.js';
import { Result, State, type KeyRef, type Record } from '../../src/gen/onceward/v1/record.js';
import { durationOf } from '../../src/rpc/duration.js';
import { result, resultWithoutPayload } from '../support/calls.js';

/** A call on one key, with everything it carries, so that it can be sent again. */
export type KeyCall =
  | {
      readonly verb: 'begin';
      readonly attemptId: string;
      readonly operation: string;
      readonly leaseMs: number;
    }
  | { readonly verb: 'complete'; readonly token: bigint; readonly payload: string }
  | { readonly verb: 'failFinal' | 'failRetryable'; readonly token: bigint; readonly message: string }
  | {
      readonly verb: 'heartbeat';
      readonly token: bigint;
      readonly leaseMs: number;
      readonly checkpoint: string;
      readonly sequence: number;
    }
  | { readonly verb: 'lookup' }
  | { readonly verb: 'resolve'; readonly decision: 'complete' | 'release'; readonly payload: string };

/** Short texts, so that a violation reads well; what no model can foresee stands beside them. */
export interface KeyAnswer {
  readonly text: string;
  readonly token?: bigint;
  /** Ms since the epoch, on the database's clock. */
  readonly finishTime?: number;
  readonly expireTime?: number;
}

/** Undefined: the outcome is unknown. */
export async function send(
  to: CoordinatorConnection,
  ref: KeyRef,
  call: KeyCall,
): Promise<KeyAnswer | undefined> {
  try {
    return await answerTo(to, ref, call);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const unknown = ['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'STORE_UNAVAILABLE', 'OVERLOADED'];
    return unknown.includes(error.reason) ? undefined : { text: `error ${error.reason}` };
  }
}

/** How a result reads in an answer: equal for equal bytes only. */
export function completedWith(payload: string): string {
  return digestOf(result(payload));
}

export function failedWith(message: string): string {
  return digestOf({ ...resultWithoutPayload(), contentType: '', status: statusOf(message) });
}

async function answerTo(
  { coordinator, admin }: CoordinatorConnection,
  ref: KeyRef,
  call: KeyCall,
): Promise<KeyAnswer> {
  switch (call.verb) {
    case 'begin': {
      const { attemptId, operation, leaseMs } = call;
      return begun(await coordinator.begin({ ref, attemptId, operation, lease: durationOf(leaseMs) }));
    }
    case 'complete': {
      const request = { ref, fencingToken: call.token, result: result(call.payload) };
      const { already, expireTime } = await coordinator.complete(request);
      return { text: `COMPLETED already=${already}`, ...timesOf({ expireTime }) };
    }
    case 'failFinal':
    case 'failRetryable': {
      const kind = call.verb === 'failFinal' ? FailRequest_Kind.FINAL : FailRequest_Kind.RETRYABLE;
      const request = { ref, fencingToken: call.token, kind, status: statusOf(call.message) };
      const { already, state } = await coordinator.fail(request);
      return { text: `${State[state]} already=${already}` };
    }
    case 'heartbeat': {
      const { token: fencingToken, leaseMs, checkpoint, sequence } = call;
      const bytes = { checkpoint: Buffer.from(checkpoint), checkpointSequence: BigInt(sequence) };
      await coordinator.heartbeat({ ref, fencingToken, lease: durationOf(leaseMs), ...bytes });
      return { text: 'extended' };
    }
    case 'lookup':
      return lookedUp(await coordinator.lookup({ ref, withResult: true }));
    case 'resolve': {
      const decision =
        call.decision === 'complete'
          ? ({ $case: 'complete', value: result(call.payload) } as const)
          : ({ $case: 'release', value: {} } as const);
      const { already, state } = await admin.resolve({ ref, decision, reason: 'safety' });
      return { text: `${State[state]} already=${already}` };
    }
  }
}

function begun({ outcome }: BeginResponse): KeyAnswer {
  switch (outcome?.$case) {
    case 'execute': {
      const { attempt, takeover, checkpoint, fencingToken: token } = outcome.value;
      const saved = checkpoint?.toString() ?? 'none';
      return { text: `execute attempt=${attempt} takeover=${takeover} checkpoint=${saved}`, token };
    }
    case 'replay': {
      const { result: stored, attempts } = outcome.value;
      return { text: `replay ${digestOf(stored)} attempts=${attempts}`, ...timesOf(outcome.value) };
    }
    case 'inProgress':
      return { text: `in_progress attempt=${outcome.value.attempt}` };
    case 'indeterminate':
      return { text: `indeterminate attempt=${outcome.value.attempt}` };
    case 'resultExpired':
      return { text: 'result_expired', ...timesOf({ finishTime: outcome.value.finishTime }) };
    case undefined:
      return { text: 'no outcome' };
  }
}

function lookedUp(record: Record): KeyAnswer {
  const stored = record.result === undefined ? 'none' : digestOf(record.result);
  return {
    text: `${State[record.state]} ${record.operation} attempt=${record.attempt} result=${stored}`,
    token: record.fencingToken,
    ...timesOf(record),
  };
}

function timesOf({
  finishTime,
  expireTime,
}: {
  finishTime?: Date | undefined;
  expireTime?: Date | undefined;
}) {
  return {
    ...(finishTime === undefined ? {} : { finishTime: finishTime.getTime() }),
    ...(expireTime === undefined ? {} : { expireTime: expireTime.getTime() }),
  };
}

function digestOf(stored: Result | undefined): string {
  if (stored === undefined) return 'nothing';
  return createHash('sha256').update(Result.encode(stored).finish()).digest('hex').slice(0, 16);
}

function statusOf(message: string) {
  return { code: 9, message, details: Buffer.alloc(0) };
}
