import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { defaults, limits } from '../../src/core/limits.js';

/** The proto is what callers read: the numbers its comments quote are those the code holds to. */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const kibibyte = 1024;
const mebibyte = 1024 * kibibyte;

/** The comment right above the definition of `name` inside `parent`, or above a top-level `parent` alone. */
function commentOn(parent: string, name?: string): string {
  const text = ['record', 'coordinator', 'admin']
    .map((file) => readFileSync(new URL(`../../proto/onceward/v1/${file}.proto`, import.meta.url), 'utf8'))
    .join('\n');
  const parentLine = new RegExp(`^(message|service|enum) ${parent} \\{`, 'm');
  const start = text.search(parentLine);
  if (start < 0) throw new Error(`no ${parent} in the protos`);
  const lines =
    name === undefined
      ? text.slice(0, start).split('\n')
      : linesUpTo(text.slice(start, text.indexOf('\n}', start)), name);
  lines.pop();
  const comment: string[] = [];
  for (let line = lines.pop()?.trim(); line?.startsWith('//'); line = lines.pop()?.trim()) {
    comment.unshift(line.slice(2).trim());
  }
  return comment.join(' ');
}

function linesUpTo(body: string, name: string): string[] {
  const at = body.search(new RegExp(`(\\s${name} = \\d+;|rpc ${name}\\()`));
  if (at < 0) throw new Error(`no ${name}`);
  const end = body.indexOf('\n', at + 1);
  return body.slice(0, end < 0 ? undefined : end).split('\n');
}

test.each<[string, string | undefined, string, number, number]>([
  // message, field, text with % for the number, unit, the number in the code
  ['KeyRef', 'namespace', '1 to % characters', 1, limits.namespaceLength],
  ['KeyRef', 'scope', '0 to % visible ASCII characters', 1, limits.scopeLength],
  ['KeyRef', 'key', '1 to % visible ASCII characters', 1, limits.keyLength],
  ['Fingerprint', 'version', '0 to %.', 1, limits.fingerprintVersion],
  ['Fingerprint', 'digest', '1 to % bytes', 1, limits.fingerprintBytes],
  ['Status', 'message', 'At most % bytes of UTF-8', 1, limits.statusMessageBytes],
  ['Status', 'details', 'At most % KiB', kibibyte, limits.statusDetailsBytes],
  ['MetadataEntry', 'name', '1 to % characters', 1, limits.metadataNameLength],
  ['MetadataEntry', 'value', 'At most % KiB', kibibyte, limits.metadataValueBytes],
  ['Result', 'payload', '(default % MiB)', mebibyte, defaults.maxResultBytes],
  ['Result', 'content_type', '0 to % visible ASCII characters', 1, limits.contentTypeLength],
  ['Result', 'initial_metadata', 'at most % entries', 1, limits.metadataEntries],
  ['Result', 'initial_metadata', 'and % KiB of names and values', kibibyte, limits.metadataBytes],
  ['Retention', 'duration', 'at most % days', day, limits.retentionMaxMs],
  ['Retention', 'duration', 'at least % s for results', second, limits.resultRetentionMinMs],
  ['Retention', 'duration', '% min for abandoned', minute, limits.abandonedRetentionMinMs],
  ['Record', 'children', 'at most % and', 1, limits.children],
  ['Coordinator', 'Session', 'At most % calls', 1, limits.callsPerSession],
  ['BeginRequest', 'operation', '1 to % visible ASCII characters', 1, limits.operationLength],
  ['BeginRequest', 'attempt_id', '1 to % visible ASCII characters', 1, limits.attemptIdLength],
  ['BeginRequest', 'lease', '% ms to', 1, limits.leaseMinMs],
  ['BeginRequest', 'wait', '0 to % s,', second, limits.waitMaxMs],
  ['BeginRequest', 'labels', 'at most %,', 1, limits.labelCount],
  ['BeginRequest', 'labels', '{1,%}', 1, limits.labelNameLength],
  ['BeginRequest', 'labels', 'up to % bytes', 1, limits.labelValueBytes],
  ['FailRequest', 'retry_after', '0 to % h', hour, limits.retryAfterMaxMs],
  ['HeartbeatRequest', 'lease', '% ms to', 1, limits.leaseMinMs],
  ['HeartbeatRequest', 'checkpoint', 'at most % KiB', kibibyte, limits.checkpointBytes],
  ['MintKeyRequest', 'client_request_id', '1 to % bytes', 1, limits.keyLength],
  ['BatchRequest', 'calls', '1 to %.', 1, limits.callsPerFrame],
  ['SessionRequest', 'calls', '0 to %.', 1, limits.callsPerFrame],
  ['Policy', 'default_lease', '% ms to', 1, limits.leaseMinMs],
  ['Policy', 'default_lease', 'Default % s', second, defaults.leaseMs],
  ['Policy', 'max_lease', '% ms to', 1, limits.leaseMinMs],
  ['Policy', 'max_lease', 'to % h.', hour, limits.leaseMaxMs],
  ['Policy', 'max_lease', 'Default % h', hour, defaults.maxLeaseMs],
  ['Policy', 'max_attempts', '1 to %.', 1, limits.maxAttempts],
  ['Policy', 'result_retention', 'Default % h', hour, defaults.resultRetentionMs],
  ['Policy', 'max_result_retention', 'Default % days', day, defaults.maxResultRetentionMs],
  ['Policy', 'tombstone_retention', 'Default %:', 1, defaults.tombstoneRetentionMs],
  ['Policy', 'abandoned_retention', 'Default % days', day, defaults.abandonedRetentionMs],
  ['Policy', 'max_result_bytes', '0 to % MiB', mebibyte, limits.resultBytes],
  ['Policy', 'max_result_bytes', 'Default % MiB', mebibyte, defaults.maxResultBytes],
  ['ListRecordsRequest', 'key_prefix', '0 to % visible', 1, limits.keyLength],
  ['ListRecordsRequest', 'page_size', '1 to %.', 1, limits.pageSize],
  ['ListRecordsRequest', 'page_size', 'Default (0): %.', 1, defaults.pageSize],
  ['ListAuditRequest', 'page_size', '1 to %.', 1, limits.pageSize],
  ['ListAuditRequest', 'page_size', 'Default (0): %.', 1, defaults.pageSize],
  ['ResolveRequest', 'reason', '1 to % bytes', 1, limits.reasonBytes],
  ['ForgetRequest', 'reason', '1 to % bytes', 1, limits.reasonBytes],
])('%s.%s says "%s"', (parent, name, text, unit, value) => {
  expect(commentOn(parent, name)).toContain(text.replace('%', String(value / unit)));
});

test('the reading finds a comment, and only the one it was asked for', () => {
  expect(commentOn('LookupRequest', 'with_result')).toBe('Include the result.');
  expect(commentOn('Fingerprint')).toMatch(/^A digest of the canonical request/);
  expect(() => commentOn('KeyRef', 'attempt_id')).toThrow();
  expect(() => commentOn('Nobody')).toThrow();
});
