import type { AuditEntry } from '../core/key-store.js';
import { Violations } from '../core/violations.js';
import { decodePageToken, encodePageToken, pageSizeOf } from './page.js';
import type { Parts } from './parts.js';

export interface ListAuditRequest {
  /** Empty: all. */
  readonly namespace: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface AuditPage {
  readonly entries: readonly AuditEntry[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export async function listAudit(parts: Parts, request: ListAuditRequest): Promise<AuditPage> {
  const { namespace } = request;
  const violations = new Violations();
  if (namespace !== '') violations.namespace('namespace', namespace);
  const pageSize = pageSizeOf(request.pageSize, violations);
  const position = decodePageToken(request.pageToken, 1, violations);
  if (position !== undefined && !/^\d{1,18}$/.test(position[0] ?? '')) {
    violations.add('page_token', 'is not one that this call gave');
  }
  violations.throwIfAny();
  const found = await parts.store.listAudit({
    namespace: namespace === '' ? undefined : namespace,
    before: position && BigInt(position[0] ?? ''),
    limit: pageSize + 1,
  });
  const entries = found.slice(0, pageSize);
  const last = entries.at(-1);
  const more = found.length > pageSize && last !== undefined;
  return { entries, nextPageToken: more ? encodePageToken([String(last.revision)]) : '' };
}
