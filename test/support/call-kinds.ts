import { randomUUID } from 'node:crypto';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import { durationOf } from '../../src/rpc/duration.js';
import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { beginRequest, execute, refOf, result } from './calls.js';
import type { TestCoordinator } from './coordinator.js';
import type { TestDatabase } from './database.js';

/** Lets the lease of a key lapse, by the database's clock and without waiting. */
export async function lapse(database: TestDatabase, key: string): Promise<void> {
  const changed = await database.query(
    `UPDATE onceward.record SET lease_expire_time = now() - interval '1 ms' WHERE key = $1 RETURNING key`,
    [key],
  );
  if (changed.length !== 1) throw new Error(`no record to lapse: ${key}`);
}

/** A call that changes a record, ready to be sent any number of times. */
export interface PreparedCall {
  send(over: CoordinatorConnection): Promise<object>;
  /** SQL that is true of the record once the call was committed. */
  readonly committed: string;
  /** The answer, sent for the first time, or again after it was committed. */
  answer(again: boolean): object;
}

/** A kind of call with the statement that carries its effect. */
export interface CallKind {
  readonly name: string;
  /** Undefined: a transaction, committed by COMMIT. */
  readonly statement: string | undefined;
  prepare(key: string, at: TestCoordinator, database: TestDatabase): Promise<PreparedCall>;
}

const status = { code: 9, message: 'card refused', details: Buffer.alloc(0) };

/** All calls that change a record. */
export const callKinds: readonly CallKind[] = [
  {
    name: 'Begin',
    statement: 'claim-new',
    prepare: (key) => Promise.resolve(beginCall(key, `attempt = 1 AND state = 'IN_PROGRESS'`, 1)),
  },
  {
    name: 'Begin that takes over',
    statement: 'claim-known',
    prepare: async (key, at, database) => {
      await execute(at, key);
      await lapse(database, key);
      return beginCall(key, `attempt = 2 AND state = 'IN_PROGRESS'`, 2);
    },
  },
  {
    name: 'Complete',
    statement: 'finish',
    prepare: async (key, at) => {
      const request = { ref: refOf(key), fencingToken: await tokenOf(at, key), result: result('charged') };
      return {
        send: ({ coordinator }) => coordinator.complete(request),
        committed: `state = 'COMPLETED'`,
        answer: (again) => ({ already: again }),
      };
    },
  },
  failKind('Fail FINAL', 'finish', FailRequest_Kind.FINAL, 'FAILED', 3),
  failKind('Fail RETRYABLE', 'release', FailRequest_Kind.RETRYABLE, 'RELEASED', 4),
  {
    name: 'Heartbeat',
    statement: 'heartbeat',
    prepare: async (key, at) => {
      const fencingToken = await tokenOf(at, key);
      const lease = durationOf(60_000);
      const request = { ref: refOf(key), fencingToken, lease, checkpoint: Buffer.from('half') };
      return {
        send: ({ coordinator }) => coordinator.heartbeat(request),
        committed: `checkpoint = 'half'`,
        answer: () => ({ leaseLeft: { seconds: 60n } }),
      };
    },
  },
  {
    name: 'Resolve',
    statement: undefined,
    prepare: async (key, at, database) => {
      await execute(at, key, { onLapse: OnLapse.PARK });
      await lapse(database, key);
      const decision = { $case: 'complete', value: result('charged') } as const;
      return {
        send: ({ admin }) => admin.resolve({ ref: refOf(key), decision, reason: 'bank says so' }),
        committed: `state = 'COMPLETED'`,
        answer: (again) => ({ already: again, state: 2 }),
      };
    },
  },
  {
    name: 'Forget',
    statement: undefined,
    prepare: async (key, at) => {
      const fencingToken = await tokenOf(at, key);
      await at.coordinator.complete({ ref: refOf(key), fencingToken, result: result('charged') });
      return {
        send: ({ admin }) => admin.forget({ ref: refOf(key), reason: 'test card' }),
        committed: 'record IS NULL',
        answer: (again) => ({ already: again }),
      };
    },
  },
];

function beginCall(key: string, committed: string, attempt: number): PreparedCall {
  const request = beginRequest(key, { attemptId: randomUUID() });
  return {
    send: ({ coordinator }) => coordinator.begin(request),
    committed,
    answer: () => ({ outcome: { $case: 'execute', value: { attempt, takeover: attempt > 1 } } }),
  };
}

function failKind(
  name: string,
  statement: string,
  kind: FailRequest_Kind,
  state: string,
  wireState: number,
): CallKind {
  return {
    name,
    statement,
    prepare: async (key, at) => {
      const request = { ref: refOf(key), fencingToken: await tokenOf(at, key), kind, status };
      return {
        send: ({ coordinator }) => coordinator.fail(request),
        committed: `state = '${state}'`,
        answer: (again) => ({ already: again, state: wireState }),
      };
    },
  };
}

async function tokenOf(at: TestCoordinator, key: string): Promise<bigint> {
  return (await execute(at, key)).fencingToken;
}

/** Whether SQL is true of a record; `record` is null when there is none. */
export async function holds(database: TestDatabase, key: string, condition: string): Promise<boolean> {
  const [row] = await database.query<{ holds: boolean }>(
    `SELECT coalesce(${condition}, false) AS holds
     FROM (VALUES ($1)) asked (asked_key) LEFT JOIN onceward.record ON key = asked_key`,
    [key],
  );
  return row?.holds ?? false;
}
