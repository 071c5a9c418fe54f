import type { AuditEntry, KeyStore, SyncAnswer } from '../core/key-store.js';
import type { Policy } from '../core/policy.js';
import { translated } from './failure.js';
import { channels } from './listener.js';
import type { Pool, Query } from './pool.js';
import { namespaceOf, refOf, seenOf } from './row.js';
import { loadStatement, type PreparedQuery, type Row, type Statement } from './statement.js';
import type { QueryRow } from './values.js';

const queries = {
  read: loadStatement('read'),
  readChildren: loadStatement('read-children'),
  listRecords: loadStatement('list-records'),
  resolve: loadStatement('resolve'),
  forget: loadStatement('forget'),
  nextRevision: loadStatement('next-revision'),
  writeAudit: loadStatement('write-audit'),
  listAudit: loadStatement('list-audit'),
  sync: loadStatement('sync'),
  insertNamespace: loadStatement('insert-namespace'),
  updateNamespace: loadStatement('update-namespace'),
  readNamespaces: loadStatement('read-namespaces'),
  notify: loadStatement('notify'),
};

type Reads = Pick<
  KeyStore,
  'readChildren' | 'listRecords' | 'readNamespace' | 'listNamespaces' | 'listAudit' | 'sync'
>;

/** What operators and background work read: no lanes, pools of their own. */
export function operatorReads(pools: Readonly<Record<'operator' | 'sync' | 'namespace', Pool>>): Reads {
  const rows = (query: PreparedQuery, pool: Pool = pools.operator) =>
    translated(pool.use((run) => run(query)));
  return {
    async readChildren(ref, limit) {
      const found = await rows(queries.readChildren.one({ ...ref, row_limit: limit }));
      return found.map(seenOf);
    },

    async listRecords(filter) {
      const found = await rows(
        queries.listRecords.one({
          namespace: filter.namespace ?? null,
          state: filter.state ?? null,
          key_prefix: filter.keyPrefix,
          min_age_ms: filter.minAgeMs ?? null,
          max_age_ms: filter.maxAgeMs ?? null,
          after_namespace: filter.after?.namespace ?? null,
          after_scope: filter.after?.scope ?? null,
          after_key: filter.after?.key ?? null,
          row_limit: filter.limit,
        }),
      );
      return found.map(seenOf);
    },

    async readNamespace(name) {
      const [row] = await rows(queries.readNamespaces.one({ name }), pools.namespace);
      return row === undefined ? undefined : namespaceOf(row);
    },

    async listNamespaces() {
      return (await rows(queries.readNamespaces.one({ name: null }))).map(namespaceOf);
    },

    async listAudit({ namespace, before, limit }) {
      const filter = { namespace: namespace ?? null, before: before ?? null, row_limit: limit };
      return (await rows(queries.listAudit.one(filter))).map(auditEntryOf);
    },

    async sync(revision): Promise<SyncAnswer> {
      const found = await rows(queries.sync.one({ revision }), pools.sync);
      const [first] = found;
      if (first === undefined) throw new Error('the store instance has no row');
      const actions = found
        .filter((row) => row['action'] !== null)
        .map((row) => ({ action: row['action'] as AuditEntry['action'], ref: refOf(row) }));
      return {
        revision: first['revision'] as bigint,
        nowTime: first['now_time'] as number,
        fencingToken: first['fencing_token'] as bigint,
        actions,
      };
    },
  };
}

type Actions = Pick<KeyStore, 'resolve' | 'forget' | 'putNamespace'>;

/** What operators change, each with its audit entry. */
export function operatorActions(pool: Pool, drawTokens: Statement): Actions {
  /** One operator action: its change and its audit entry commit together; other processes are told afterwards. */
  const act = async <T>(change: (query: Query) => Promise<Acted<T>>): Promise<T> => {
    const { answer, revision } = await translated(
      pool.transaction(async (query) => {
        const acted = await change(query);
        return { answer: acted.answer, revision: acted.audit && (await audit(query, acted.audit)) };
      }),
    );
    if (revision !== undefined) {
      // Without it other processes still learn of the action by their next poll.
      const notification = { channel: channels.revision, payload: String(revision) };
      await pool.use((query) => query(queries.notify.one(notification))).catch(() => undefined);
    }
    return answer;
  };

  return {
    resolve: ({ ref, principal, reason, state, result, resultDigest, policy }) =>
      act(async (query) => {
        const [drawn] = await query(drawTokens.one({ count: 1 }));
        const [resolved] = await query(
          queries.resolve.one({
            ...ref,
            new_token: drawn?.['fencing_token'] as bigint,
            state,
            result_code: result?.code ?? null,
            result_digest: resultDigest ?? null,
            result_envelope: result?.envelope ?? null,
            result_payload: result?.payload ?? null,
            result_payload_omitted: result?.payloadOmitted ?? false,
            result_retention_ms: policy.resultRetentionMs,
            tombstone_retention_ms: policy.tombstoneRetentionMs,
            abandoned_retention_ms: policy.abandonedRetentionMs,
          }),
        );
        if (resolved === undefined) return { answer: false };
        const detail = JSON.stringify({ state });
        return { answer: true, audit: { ...ref, principal, action: 'resolve', reason, detail } };
      }),

    forget: ({ ref, principal, reason, evenIfLeased }) =>
      act<'forgotten' | 'absent' | 'leased'>(async (query) => {
        const [gone] = await query(queries.forget.one({ ...ref, even_if_leased: evenIfLeased }));
        if (gone === undefined) {
          const [row] = await query(queries.read.one({ ...ref }));
          if (row === undefined) return { answer: 'absent' };
          const { record, nowTime } = seenOf(row);
          return { answer: record.recordExpireTime <= nowTime ? 'absent' : 'leased' };
        }
        const detail = JSON.stringify(gone);
        return { answer: 'forgotten', audit: { ...ref, principal, action: 'forget', reason, detail } };
      }),

    putNamespace: (name, policy, mintSecret, principal) =>
      act(async (query) => {
        const row = policyRow(name, policy);
        const [inserted] = await query(queries.insertNamespace.one({ ...row, mint_secret: mintSecret }));
        const [put] = inserted === undefined ? await query(queries.updateNamespace.one(row)) : [inserted];
        if (put === undefined) throw new Error('the namespace vanished while it was put');
        const ref = { namespace: name, scope: '', key: '' };
        // JSON has no Infinity; a retention for ever reads as "forever".
        const detail = JSON.stringify(policy, (_, value: unknown) =>
          value === Infinity ? 'forever' : value,
        );
        return {
          answer: namespaceOf(put),
          audit: { ...ref, principal, action: 'put-namespace', reason: '', detail },
        };
      }),
  };
}

interface Acted<T> {
  readonly answer: T;
  /** Absent when nothing was changed. */
  readonly audit?: AuditRow;
}

interface AuditRow extends Row {
  readonly principal: string;
  readonly action: AuditEntry['action'];
  readonly namespace: string;
  readonly scope: string;
  readonly key: string;
  readonly reason: string;
  readonly detail: string;
}

async function audit(query: Query, row: AuditRow): Promise<bigint> {
  const [next] = await query(queries.nextRevision.one({}));
  const revision = next?.['revision'] as bigint;
  await query(queries.writeAudit.one({ ...row, revision }));
  return revision;
}

function policyRow(name: string, policy: Policy): Row {
  return {
    name,
    on_lapse: policy.onLapse,
    default_lease_ms: policy.defaultLeaseMs,
    max_lease_ms: policy.maxLeaseMs,
    max_attempts: policy.maxAttempts ?? null,
    result_retention_ms: policy.resultRetentionMs,
    max_result_retention_ms: policy.maxResultRetentionMs,
    tombstone_retention_ms: policy.tombstoneRetentionMs,
    abandoned_retention_ms: policy.abandonedRetentionMs,
    max_result_bytes: policy.maxResultBytes,
    refuse_old_keys: policy.refuseOldKeys,
  };
}

function auditEntryOf(row: QueryRow): AuditEntry {
  return {
    revision: row['revision'] as bigint,
    time: row['time'] as number,
    principal: row['principal'] as string,
    action: row['action'] as AuditEntry['action'],
    ref: refOf(row),
    reason: row['reason'] as string,
    detail: row['detail'] as string,
  };
}
