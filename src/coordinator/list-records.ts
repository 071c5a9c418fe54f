import { limits } from '../core/limits.js';
import type { Seen, State } from '../core/record.js';
import { Violations } from '../core/violations.js';
import { fitting } from './fit.js';
import { decodePageToken, encodePageToken, pageSizeOf } from './page.js';
import type { Parts } from './parts.js';

export interface ListRecordsRequest {
  /** Empty: all. */
  readonly namespace: string;
  readonly state: State | undefined;
  readonly keyPrefix: string;
  readonly minAgeMs: number | undefined;
  readonly maxAgeMs: number | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface RecordPage {
  readonly records: readonly Seen[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export async function listRecords(parts: Parts, request: ListRecordsRequest): Promise<RecordPage> {
  const { namespace, state, keyPrefix, minAgeMs, maxAgeMs } = request;
  const violations = new Violations();
  if (namespace !== '') violations.namespace('namespace', namespace);
  violations.ascii('key_prefix', keyPrefix, 0, limits.keyLength);
  for (const [field, ms] of [
    ['min_age', minAgeMs],
    ['max_age', maxAgeMs],
  ] as const) {
    if (ms !== undefined) violations.range(field, ms, 0, limits.retentionMaxMs, ' ms');
  }
  const pageSize = pageSizeOf(request.pageSize, violations);
  const position = decodePageToken(request.pageToken, 3, violations);
  violations.throwIfAny();
  const [afterNamespace = '', scope = '', key = ''] = position ?? [];
  const found = await parts.store.listRecords({
    namespace: namespace === '' ? undefined : namespace,
    state,
    keyPrefix,
    minAgeMs,
    maxAgeMs,
    after: position && { namespace: afterNamespace, scope, key },
    limit: pageSize + 1,
  });
  // One record always fits: without its result it is far smaller than a message.
  const records = fitting(found.slice(0, pageSize), limits.answerBytes);
  const last = records.at(-1)?.record.ref;
  const more = found.length > records.length && last !== undefined;
  return { records, nextPageToken: more ? encodePageToken([last.namespace, last.scope, last.key]) : '' };
}
