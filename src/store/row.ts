import type { KeyRef } from '../core/key.js';
import type { Namespace, OnLapse } from '../core/policy.js';
import type { KeyRecord, LastError, Seen, State } from '../core/record.js';
import type { Result } from '../core/result.js';
import type { QueryRow } from './values.js';

/** The columns of `record-columns.sql`, and of the result where a statement reads it, as the type parsers leave them. */
type RecordRow = RecordColumns & (ResultColumns | NoResultColumns);

interface ResultColumns {
  readonly result_code: number;
  readonly result_envelope: Uint8Array;
  readonly result_payload: Uint8Array | null;
  readonly result_payload_omitted: boolean;
}

/** Not read, or not there. */
interface NoResultColumns {
  readonly result_envelope?: null;
}

interface RecordColumns {
  readonly namespace: string;
  readonly scope: string;
  readonly key: string;
  readonly state: State;
  readonly on_lapse: OnLapse;
  readonly takeover: boolean;
  readonly attempt: number;
  readonly attempts_forgiven: number;
  readonly fencing_token: bigint;
  readonly create_time: number;
  readonly lease_expire_time: number;
  readonly finish_time: number;
  readonly result_expire_time: number;
  readonly record_expire_time: number;
  readonly operation: string;
  readonly fingerprint_version: number | null;
  readonly fingerprint_digest: Uint8Array | null;
  readonly attempt_id: string;
  readonly checkpoint: Uint8Array | null;
  readonly result_digest: Uint8Array;
  readonly last_error_status: Uint8Array | null;
  readonly last_error_time: number;
  readonly last_error_retry_after_ms: number | null;
  readonly parent_namespace: string | null;
  readonly parent_scope: string;
  readonly parent_key: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly traceparent: string | null;
  readonly now_time: number;
}

/** A row of any of the reading statements. */
export function seenOf(queryRow: QueryRow): Seen {
  const row = queryRow as unknown as RecordRow;
  return { record: recordOf(row), nowTime: row.now_time };
}

export function refOf(row: QueryRow): KeyRef {
  return { namespace: row['namespace'] as string, scope: row['scope'] as string, key: row['key'] as string };
}

function recordOf(row: RecordRow): KeyRecord {
  const common = {
    ref: { namespace: row.namespace, scope: row.scope, key: row.key },
    operation: row.operation,
    fingerprint:
      row.fingerprint_digest === null
        ? undefined
        : { version: row.fingerprint_version ?? 0, digest: row.fingerprint_digest },
    attempt: row.attempt,
    attemptsForgiven: row.attempts_forgiven,
    fencingToken: row.fencing_token,
    createTime: row.create_time,
    recordExpireTime: row.record_expire_time,
    parent:
      row.parent_namespace === null
        ? undefined
        : { namespace: row.parent_namespace, scope: row.parent_scope, key: row.parent_key },
    labels: row.labels ?? {},
    traceparent: row.traceparent ?? '',
    lastError: lastErrorOf(row),
  };
  const checkpoint = row.checkpoint ?? undefined;
  switch (row.state) {
    case 'IN_PROGRESS':
      return {
        ...common,
        state: row.state,
        attemptId: row.attempt_id,
        onLapse: row.on_lapse,
        takeover: row.takeover,
        leaseExpireTime: row.lease_expire_time,
        checkpoint,
      };
    case 'RELEASED':
      return { ...common, state: row.state, attemptId: row.attempt_id, takeover: row.takeover, checkpoint };
    case 'INDETERMINATE':
      return { ...common, state: row.state };
    case 'COMPLETED':
    case 'FAILED':
      return {
        ...common,
        state: row.state,
        finishTime: row.finish_time,
        resultExpireTime: row.result_expire_time,
        resultDigest: row.result_digest,
        result: resultOf(row),
      };
  }
}

function resultOf(row: RecordRow): Result | undefined {
  if (row.result_envelope == null) return undefined;
  return {
    payload: row.result_payload ?? undefined,
    payloadOmitted: row.result_payload_omitted,
    code: row.result_code,
    envelope: row.result_envelope,
  };
}

function lastErrorOf(row: RecordRow): LastError | undefined {
  if (row.last_error_status === null) return undefined;
  return {
    status: row.last_error_status,
    time: row.last_error_time,
    retryAfterMs: row.last_error_retry_after_ms ?? undefined,
  };
}

/** A row of the `namespace` table. */
export function namespaceOf(row: QueryRow): Namespace {
  return {
    name: row['name'] as string,
    policy: {
      onLapse: row['on_lapse'] as OnLapse,
      defaultLeaseMs: row['default_lease_ms'] as number,
      maxLeaseMs: row['max_lease_ms'] as number,
      maxAttempts: (row['max_attempts'] as number | null) ?? undefined,
      resultRetentionMs: row['result_retention_ms'] as number,
      maxResultRetentionMs: row['max_result_retention_ms'] as number,
      tombstoneRetentionMs: row['tombstone_retention_ms'] as number,
      abandonedRetentionMs: row['abandoned_retention_ms'] as number,
      maxResultBytes: row['max_result_bytes'] as number,
      refuseOldKeys: row['refuse_old_keys'] as boolean,
    },
    createTime: row['create_time'] as number,
    updateTime: row['update_time'] as number,
    mintSecret: row['mint_secret'] as Uint8Array,
  };
}
