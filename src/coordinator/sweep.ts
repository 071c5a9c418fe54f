import { setTimeout as sleep } from 'node:timers/promises';
import type { PageBatch, SweptPages, SweptPartition } from '../core/sweep-target.js';
import { Violations } from '../core/violations.js';
import { decodePageToken, encodePageToken } from './page.js';
import type { CallContext, Parts } from './parts.js';

export interface SweepRequest {
  /** Empty: all. */
  readonly namespace: string;
  readonly dryRun: boolean;
  readonly pageToken: string;
}

export interface SweepProgress {
  /** In this call; or what would be. */
  readonly removed: number;
  readonly stripped: number;
  /** Empty when all pages were visited. */
  readonly nextPageToken: string;
  readonly sweptPages: number;
  readonly totalPages: number;
}

/** How long one call works, ms: well within anybody's deadline. */
const callMs = 1000;
/** Milliseconds of it, with some thousand rows to remove. */
const batchPages = 32;
/** Until the partition is asked for again when another process is at it, ms. */
const busyMs = 20;

/** Goes over the pages of all partitions in their order, from where the last call stopped. */
export async function sweep(parts: Parts, request: SweepRequest, call: CallContext): Promise<SweepProgress> {
  const { sweepTarget, namespaces } = parts;
  const violations = new Violations();
  if (request.namespace !== '') violations.namespace('namespace', request.namespace);
  const position = decodePageToken(request.pageToken, 2, violations);
  violations.throwIfAny();
  if (request.namespace !== '') await namespaces.get(request.namespace);
  const partitions = await sweepTarget.readPartitions();
  const [partition = '', page = '0'] = position ?? [];
  let at = startOf(partitions, partition, Number(page), violations);
  const counted = { removed: 0, stripped: 0 };
  const endTime = Math.min(performance.now() + callMs, call.deadlineTime);
  // One batch at least, so that every call gets on.
  for (let more = true; more; more = performance.now() < endTime && !call.signal.aborted) {
    const current = partitions[at.index];
    if (current === undefined) break;
    const swept = await sweepBatch(parts, request, current, at.page);
    if (swept === undefined) continue;
    count(counted, swept, request);
    const done = at.page + batchPages >= current.pageCount;
    at = done ? { index: at.index + 1, page: 0 } : { index: at.index, page: at.page + batchPages };
  }
  return { ...counted, ...progressOf(partitions, at) };
}

interface Place {
  /** Of the partition, in the order of their names. */
  readonly index: number;
  readonly page: number;
}

function startOf(
  partitions: readonly SweptPartition[],
  partition: string,
  page: number,
  violations: Violations,
): Place {
  if (partition === '') return { index: 0, page: 0 };
  const index = partitions.findIndex(({ name }) => name === partition);
  if (index < 0 || !Number.isSafeInteger(page) || page < 0) {
    violations.add('page_token', 'is not one that this call gave');
  }
  violations.throwIfAny();
  return { index, page };
}

async function sweepBatch(
  { sweepTarget, instruments }: Parts,
  { namespace, dryRun }: SweepRequest,
  { name, pageCount }: SweptPartition,
  fromPage: number,
): Promise<SweptPages | undefined> {
  const pages = Array.from(
    { length: Math.max(0, Math.min(batchPages, pageCount - fromPage)) },
    (_, i) => fromPage + i,
  );
  const batch: PageBatch = { partition: name, pages, dryRun, ...(namespace === '' ? {} : { namespace }) };
  const startTime = performance.now();
  const swept = await sweepTarget.sweepPages(batch);
  instruments.sweep.addBatch(swept === undefined ? 'busy' : 'done', performance.now() - startTime);
  if (swept === undefined) await sleep(busyMs);
  else instruments.sweep.addRows(swept.removed, swept.stripped);
  return swept;
}

function count(
  counted: { removed: number; stripped: number },
  swept: SweptPages,
  { namespace, dryRun }: SweepRequest,
): void {
  if (dryRun) {
    const asked = swept.counts.filter((each) => namespace === '' || each.namespace === namespace);
    for (const { expired, strippable } of asked) {
      counted.removed += expired;
      counted.stripped += strippable;
    }
    return;
  }
  for (const rows of swept.removed.values()) counted.removed += rows;
  for (const rows of swept.stripped.values()) counted.stripped += rows;
}

function progressOf(partitions: readonly SweptPartition[], { index, page }: Place) {
  const pagesOf = (some: readonly SweptPartition[]) =>
    some.reduce((sum, { pageCount }) => sum + pageCount, 0);
  const next = partitions[index];
  return {
    nextPageToken: next === undefined ? '' : encodePageToken([next.name, String(page)]),
    sweptPages: pagesOf(partitions.slice(0, index)) + page,
    totalPages: pagesOf(partitions),
  };
}
