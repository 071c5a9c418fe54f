import { identityHash, identityOf, type KeyRef } from '../core/key.js';
import type {
  ClaimAnswer,
  Finish,
  FinishAnswer,
  Granted,
  GrantTerms,
  Heartbeat,
  HeartbeatAnswer,
  KeyStore,
  KnownClaim,
} from '../core/key-store.js';
import type { Seen } from '../core/record.js';
import type { StatementObserver } from '../telemetry/statement-observer.js';
import type { RecordRow } from './batch.js';
import { channels, type Listener } from './listener.js';
import { operatorActions, operatorReads } from './operator-store.js';
import type { Pool } from './pool.js';
import { rowLane, type RowLaneOptions } from './row-lane.js';
import { seenOf } from './row.js';
import { loadStatement } from './statement.js';
import type { QueryRow } from './values.js';

type OnWarning = (message: string, error: unknown) => void;

export interface StorePools {
  /** Claims and reads. */
  readonly begin: Pool;
  /** Finishing calls, so that no flood of Begins can keep an owner from finishing. */
  readonly finish: Pool;
  /** Operators' and background work. */
  readonly operator: Pool;
  /** The poll that memory and health rest on: whatever operators read, it is not held up. */
  readonly sync: Pool;
  /** Policies that are not in memory, which every call of their namespace waits for. */
  readonly namespace: Pool;
}

const queries = {
  claimNew: loadStatement('claim-new'),
  claimKnown: loadStatement('claim-known'),
  park: loadStatement('park'),
  drawTokens: loadStatement('draw-tokens'),
  read: loadStatement('read'),
  readResult: loadStatement('read-result'),
  finish: loadStatement('finish'),
  release: loadStatement('release'),
  heartbeat: loadStatement('heartbeat'),
  watch: loadStatement('watch'),
  notify: loadStatement('notify'),
};

/** Connections of each pool: the sum of the widths of its lanes. */
export const laneWidths = {
  claim: 2,
  known: 1,
  read: 2,
  watch: 1,
  finish: 2,
  release: 1,
  heartbeat: 1,
  finishRead: 1,
};
export const poolSizes = {
  begin: laneWidths.claim + laneWidths.known * 2 + laneWidths.read * 2 + laneWidths.watch,
  finish: laneWidths.finish + laneWidths.release + laneWidths.heartbeat + laneWidths.finishRead,
  operator: 2,
  sync: 1,
  namespace: 1,
};

/** Results may be large, and a read can't know: 32 of the largest are 96 MiB. */
const maxResultBatch = 32;

/** The port over Postgres: every transition is one statement over one or many records. */
export function createPostgresStore(
  pools: StorePools,
  listener: Listener,
  observer: StatementObserver,
  onWarning: OnWarning,
): KeyStore {
  const lanes = openLanes(pools, observer, onWarning);
  const readAfterFinish = async (ref: KeyRef): Promise<({ kind: 'known' } & Seen) | { kind: 'absent' }> => {
    const row = await lanes.finishRead.submit(refRow(ref));
    return row === undefined ? { kind: 'absent' } : { kind: 'known', ...seenOf(row) };
  };

  return {
    ...operatorReads(pools),
    ...operatorActions(pools.operator, queries.drawTokens),

    async claimNew(terms: GrantTerms): Promise<ClaimAnswer> {
      const row = await lanes.claim.submit(termsRow(terms));
      if (row !== undefined) {
        const fencingToken = row['fencing_token'] as bigint;
        return { kind: 'granted', fencingToken, attempt: 1, grantTime: row['create_time'] as number };
      }
      const known = await lanes.readResult.submit(refRow(terms.ref));
      return known === undefined ? { kind: 'absent' } : { kind: 'known', ...seenOf(known) };
    },

    async claimKnown(claim: KnownClaim): Promise<Granted | undefined> {
      // `new_token` is drawn by the lane.
      const cas = { seen_token: claim.seen.fencingToken, new_token: null };
      const row =
        claim.claim === 'park'
          ? await lanes.park.submit({ ...refRow(claim.ref), ...cas })
          : await lanes.takeOver.submit({ ...termsRow(claim), ...cas, renew: claim.claim === 'renew' });
      if (row === undefined) return undefined;
      return {
        fencingToken: row['fencing_token'] as bigint,
        attempt: row['attempt'] as number,
        grantTime: (row['lease_expire_time'] as number) - claim.leaseMs,
      };
    },

    async finish(finish: Finish): Promise<FinishAnswer> {
      const lane = finish.state === 'RELEASED' ? lanes.release : lanes.finish;
      const row = await lane.submit(finishRow(finish));
      if (row === undefined) return readAfterFinish(finish.ref);
      return {
        kind: 'done',
        finishTime: (row['finish_time'] as number | undefined) ?? Infinity,
        resultExpireTime: (row['result_expire_time'] as number | undefined) ?? Infinity,
      };
    },

    async heartbeat(heartbeat: Heartbeat): Promise<HeartbeatAnswer> {
      const row = await lanes.heartbeat.submit({
        ...refRow(heartbeat.ref),
        fencing_token: heartbeat.fencingToken,
        lease_ms: heartbeat.leaseMs,
        checkpoint: heartbeat.checkpoint ?? null,
        checkpoint_sequence: heartbeat.checkpointSequence,
        abandoned_retention_ms: heartbeat.abandonedRetentionMs,
      });
      // At least so long: it counts from the sending of the request, and a longer lease was not shortened.
      return row === undefined
        ? readAfterFinish(heartbeat.ref)
        : { kind: 'done', leaseLeftMs: heartbeat.leaseMs };
    },

    async watch(ref: KeyRef, fencingToken: bigint): Promise<boolean> {
      return (await lanes.watch.submit({ ...refRow(ref), fencing_token: fencingToken })) !== undefined;
    },

    async read(ref: KeyRef, withResult: boolean): Promise<Seen | undefined> {
      const row = await (withResult ? lanes.readResult : lanes.read).submit(refRow(ref));
      return row === undefined ? undefined : seenOf(row);
    },

    onFinished: (added) => listener.on(channels.finished, (payload) => payload.split(' ').forEach(added)),
    onRevision: (added) => listener.on(channels.revision, added),
  };
}

function openLanes({ begin, finish }: StorePools, observer: StatementObserver, onWarning: OnWarning) {
  const widths = laneWidths;
  const beginLane = (name: string, options: LaneOptions) =>
    rowLane({ name, pool: begin, observer, ...options });
  const finishLane = (name: string, options: LaneOptions) =>
    rowLane({ name, pool: finish, observer, ...options });
  const after = notifyWatched(onWarning);
  return {
    claim: beginLane('claim', { statement: queries.claimNew, width: widths.claim }),
    takeOver: beginLane('take-over', {
      statement: queries.claimKnown,
      width: widths.known,
      prepare: drawTokens,
    }),
    park: beginLane('park', { statement: queries.park, width: widths.known, prepare: drawTokens }),
    read: beginLane('read', { statement: queries.read, width: widths.read }),
    readResult: beginLane('read-result', {
      statement: queries.readResult,
      width: widths.read,
      maxBatch: maxResultBatch,
    }),
    watch: beginLane('watch', { statement: queries.watch, width: widths.watch }),
    finish: finishLane('finish', { statement: queries.finish, width: widths.finish, after }),
    release: finishLane('release', { statement: queries.release, width: widths.release, after }),
    heartbeat: finishLane('heartbeat', { statement: queries.heartbeat, width: widths.heartbeat }),
    finishRead: finishLane('finish-read', { statement: queries.read, width: widths.finishRead }),
  };
}

type LaneOptions = Omit<RowLaneOptions, 'name' | 'pool' | 'observer'>;

/** After attempts ended: notifies those that are watched, once a batch. */
function notifyWatched(onWarning: OnWarning): NonNullable<RowLaneOptions['after']> {
  return async (query, answers) => {
    const hashes = answers
      .filter(
        (row): row is QueryRow => row !== undefined && !(row instanceof Error) && row['watched'] === true,
      )
      .map((row) => identityHash(identityOf(row as unknown as KeyRef)));
    if (hashes.length === 0) return;
    // 256 hashes of 16 characters stay below the 8000 bytes of a notification. Waiters poll if it is lost.
    const notification = { channel: channels.finished, payload: hashes.join(' ') };
    await query(queries.notify.one(notification)).catch((error: unknown) => {
      onWarning('waiters of other processes could not be notified', error);
    });
  };
}

const drawTokens: NonNullable<RowLaneOptions['prepare']> = async (query, rows) => {
  const drawn = await query(queries.drawTokens.one({ count: rows.length }));
  return rows.map((row, i) => ({ ...row, new_token: drawn[i]?.['fencing_token'] as bigint }));
};

function refRow(ref: KeyRef): RecordRow {
  return { namespace: ref.namespace, scope: ref.scope, key: ref.key };
}

// The rows of the two busiest statements are written out: copying one object into a larger one, here and where a grant's
// record is made, was a fifth of the coordinator's CPU.
function termsRow(terms: GrantTerms): RecordRow {
  const { ref, parent, fingerprint } = terms;
  return {
    namespace: ref.namespace,
    scope: ref.scope,
    key: ref.key,
    operation: terms.operation,
    fingerprint_version: fingerprint?.version ?? null,
    fingerprint_digest: fingerprint?.digest ?? null,
    attempt_id: terms.attemptId,
    lease_ms: terms.leaseMs,
    on_lapse: terms.onLapse,
    abandoned_retention_ms: terms.abandonedRetentionMs,
    result_retention_ms: terms.resultRetentionMs ?? null,
    parent_namespace: parent?.namespace ?? null,
    parent_scope: parent?.scope ?? null,
    parent_key: parent?.key ?? null,
    labels: Object.keys(terms.labels).length === 0 ? null : JSON.stringify(terms.labels),
    traceparent: terms.traceparent || null,
    too_old_time: timeValue(terms.tooOldTime),
  };
}

function finishRow(finish: Finish): RecordRow {
  const { namespace, scope, key } = finish.ref;
  if (finish.state === 'RELEASED') {
    return {
      namespace,
      scope,
      key,
      fencing_token: finish.fencingToken,
      last_error_status: finish.lastError,
      last_error_retry_after_ms: finish.retryAfterMs ?? null,
      abandoned_retention_ms: finish.abandonedRetentionMs,
    };
  }
  return {
    namespace,
    scope,
    key,
    fencing_token: finish.fencingToken,
    state: finish.state,
    result_code: finish.result.code,
    result_digest: finish.resultDigest,
    result_envelope: finish.result.envelope,
    result_payload: finish.result.payload ?? null,
    result_payload_omitted: finish.result.payloadOmitted,
    asked_result_retention_ms: finish.askedResultRetentionMs ?? null,
    policy_result_retention_ms: finish.policyResultRetentionMs,
    tombstone_retention_ms: finish.tombstoneRetentionMs,
  };
}

/** The years that ISO 8601 writes with four digits; beyond them Postgres does not read what a Date writes. */
const firstTime = Date.parse('0001-01-01T00:00:00Z');
const lastTime = Date.parse('9999-12-31T23:59:59.999Z');

/** A time as Postgres reads it; callers choose it, so every number has an answer. */
function timeValue(time: number): string {
  if (time > lastTime) return 'infinity';
  return time < firstTime ? '-infinity' : new Date(time).toISOString();
}
