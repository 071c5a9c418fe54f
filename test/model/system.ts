import { CallError } from '../../src/client/call-error.js';
import { FailRequest_Kind, type BeginResponse } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse, State, type Record, type Result } from '../../src/gen/onceward/v1/record.js';
import { durationOf } from '../../src/rpc/duration.js';
import { expectOutcome, result } from '../support/calls.js';
import type { TestCoordinator } from '../support/coordinator.js';
import type { TestDatabase } from '../support/database.js';
import type { Call, Event } from './action.js';

/** An answer in the words of the model. */
export interface Answer {
  readonly text: string;
  readonly token?: bigint;
}

/** What the model is compared with; a seeded bug is a System around another one. */
export interface System {
  send(coordinator: number, call: Call): Promise<Answer>;
  happen(event: Event): Promise<void>;
}

const leaseMs = 1_800_000;
const longAgo = new Date('2001-01-01T00:00:00Z');

/** Two coordinators on one database, through their channels; `key` is the one key of this sequence in each namespace. */
export function realSystem(
  coordinators: readonly TestCoordinator[],
  database: TestDatabase,
  key: string,
): System {
  return {
    send: async (coordinator, call) => {
      try {
        return await answerTo(coordinators[coordinator]!, call, key);
      } catch (error) {
        if (error instanceof CallError) return { text: `error ${error.reason}` };
        throw error;
      }
    },
    happen: async ({ namespace, verb }) => {
      await database.query(events[verb], [namespace, key]);
    },
  };
}

async function answerTo(to: TestCoordinator, call: Call, key: string): Promise<Answer> {
  const ref = { namespace: call.namespace, scope: '', key };
  switch (call.verb) {
    case 'begin':
      return begin(to, call, key);
    case 'complete': {
      const { already } = await to.coordinator.complete({
        ref,
        fencingToken: call.token,
        result: result(call.payload),
      });
      return { text: `COMPLETED already=${already}` };
    }
    case 'failFinal':
    case 'failRetryable': {
      const { already, state } = await to.coordinator.fail({
        ref,
        fencingToken: call.token,
        kind: call.verb === 'failFinal' ? FailRequest_Kind.FINAL : FailRequest_Kind.RETRYABLE,
        status: statusOf(call.message),
      });
      return { text: `${State[state]} already=${already}` };
    }
    case 'heartbeat': {
      const { checkpoint, sequence } = call;
      await to.coordinator.heartbeat({
        ref,
        fencingToken: call.token,
        lease: durationOf(leaseMs),
        checkpointSequence: BigInt(sequence),
        ...(checkpoint === undefined ? {} : { checkpoint: Buffer.from(checkpoint) }),
      });
      return { text: 'extended' };
    }
    case 'lookup':
      return lookedUp(await to.coordinator.lookup({ ref, withResult: true }));
    case 'forget': {
      const { evenIfLeased } = call;
      const { already } = await to.admin.forget({ ref, reason: 'model', evenIfLeased });
      return { text: `forgotten already=${already}` };
    }
    case 'resolve': {
      const { already, state } = await to.admin.resolve({ ref, reason: 'model', decision: decisionOf(call) });
      return { text: `${State[state]} already=${already}` };
    }
  }
}

async function begin(to: TestCoordinator, call: Call & { verb: 'begin' }, key: string): Promise<Answer> {
  const [version, digest = ''] = call.print?.split(':') ?? [];
  const response = await to.coordinator.begin({
    ref: { namespace: call.namespace, scope: '', key },
    operation: call.operation,
    attemptId: call.attempt,
    lease: durationOf(leaseMs),
    onLapse: call.onLapse === 'policy' ? OnLapse.UNSPECIFIED : OnLapse[call.onLapse],
    ...(version === undefined
      ? {}
      : { fingerprint: { version: Number(version), digest: Buffer.from(digest) } }),
    ...(call.old ? { firstAttemptTime: longAgo } : {}),
  });
  return begun(response);
}

function begun(response: BeginResponse): Answer {
  switch (response.outcome?.$case) {
    case 'execute': {
      const { attempt, takeover, checkpoint, lease, fencingToken } = expectOutcome(response, 'execute');
      const left = Number(lease!.seconds) * 1000 + lease!.nanos / 1e6;
      const of = left === leaseMs ? 'whole' : left > 0 && left < leaseMs ? 'left' : `${left} ms`;
      const saved = checkpoint?.toString() ?? 'none';
      return {
        text: `execute attempt=${attempt} takeover=${takeover} checkpoint=${saved} lease=${of}`,
        token: fencingToken,
      };
    }
    case 'replay': {
      const { result: stored, attempts, finishTime, expireTime } = expectOutcome(response, 'replay');
      if (finishTime === undefined || expireTime === undefined) return { text: 'replay without times' };
      return { text: `replay ${resultText(stored)} attempts=${attempts}` };
    }
    case 'inProgress': {
      const { attempt, leaseLeft } = expectOutcome(response, 'inProgress');
      return {
        text: leaseLeft!.seconds > 0n ? `in_progress attempt=${attempt}` : 'in_progress without lease',
      };
    }
    case 'indeterminate':
      return { text: `indeterminate attempt=${expectOutcome(response, 'indeterminate').attempt}` };
    case 'resultExpired':
      return { text: 'result_expired' };
    case undefined:
      return { text: 'no outcome' };
  }
}

function lookedUp(record: Record): Answer {
  const { leaseLeft } = record;
  const lease = leaseLeft === undefined ? 'none' : leaseLeft.seconds > 0n ? 'left' : 'lapsed';
  const stored = record.result === undefined ? 'none' : resultText(record.result);
  const last = record.lastError?.status?.message ?? 'none';
  const { operation, attempt, fencingToken } = record;
  return {
    text: `${State[record.state]} ${operation} attempt=${attempt} lease=${lease} result=${stored} last=${last}`,
    token: fencingToken,
  };
}

function resultText(stored: Result | undefined): string {
  if (stored === undefined) return 'nothing';
  return stored.status === undefined ? `OK ${String(stored.payload)}` : `ERROR ${stored.status.message}`;
}

function statusOf(message: string) {
  return { code: 9, message, details: Buffer.alloc(0) };
}

function decisionOf({ decision, text }: Call & { verb: 'resolve' }) {
  switch (decision) {
    case 'complete':
      return { $case: 'complete', value: result(text) } as const;
    case 'fail':
      return { $case: 'fail', value: statusOf(text) } as const;
    case 'release':
      return { $case: 'release', value: {} } as const;
  }
}

const past = "now() - interval '1 second'";
const which = 'WHERE namespace = $1 AND key = $2';
const events: Readonly<{ [Verb in Event['verb']]: string }> = {
  lapse: `UPDATE onceward.record SET lease_expire_time = ${past}
    ${which} AND state = 'IN_PROGRESS' AND record_expire_time > now()`,
  expireResult: `UPDATE onceward.record SET result_expire_time = ${past}
    ${which} AND finish_time IS NOT NULL AND record_expire_time > now()`,
  expireRecord: `UPDATE onceward.record SET
      record_expire_time = ${past},
      result_expire_time = CASE WHEN finish_time IS NOT NULL THEN ${past} END,
      lease_expire_time = CASE WHEN state = 'IN_PROGRESS' THEN ${past} END
    ${which} AND state <> 'INDETERMINATE' AND NOT (state = 'IN_PROGRESS' AND on_lapse = 'PARK')`,
  sweep: `DELETE FROM onceward.record ${which} AND record_expire_time <= now()`,
};
