import type { SweepTarget, SweptPages } from '../core/sweep-target.js';
import { rowsOf, type ReceiptHandle } from './receipt-handle.js';

export interface ReceiptTargetOptions {
  readonly retentionMs: number;
  /** How often there is a tick. */
  readonly everyMs: number;
  /** Pages next to each other that are due at once. */
  readonly batchPages: number;
}

/** An expired receipt stays at most so many times `everyMs`. */
export const backstopIntervals = 24;
/** Pages are due in two intervals, so that one tick may fail: they may be met late in the second, and then early in the first. */
const dueIntervals = 2;
const passIntervals = backstopIntervals - dueIntervals;

/**
 * The receipts as what cleanup sweeps. Nothing is kept between two ticks: what the pass has due is read off the database's clock,
 * so that processes which restart often, or sweep at once, need not know of each other.
 */
export function createReceiptTarget(db: ReceiptHandle, options: ReceiptTargetOptions): SweepTarget {
  let due: readonly number[] = [];
  let firstDue = 0;
  return {
    claimTick: () => Promise.resolve(true),

    async readPartitions() {
      const [row] = await rowsOf<TableRow>(db, readTable, []);
      if (row === undefined) throw new Error('the handle answered no row to a query that has one');
      const { page_count: pageCount, total_bytes: totalBytes, now_time: nowTime } = row;
      due = duePages(pageCount, nowTime, options);
      firstDue = pageCount - due.length;
      // To the tick the due pages are the last ones of a pass that is late: neither rows nor the brake hold it up.
      const pass = { startTime: 0, nextPage: firstDue };
      return [{ name: 'onceward_receipt', pageCount, totalBytes, pass, sample: undefined, nowTime }];
    },

    async sweepPages({ pages, pass }) {
      const swept = pass ? pages.map((page) => due[page - firstDue]) : pages;
      const [row] = await rowsOf<SweptRow>(db, sweepPages, [`{${swept.join()}}`, options.retentionMs]);
      return row && sweptOf(row);
    },

    saveSamples: () => Promise.resolve(),

    // A service's role seldom sees the replicas.
    readReplicationLagMs: () => Promise.resolve(undefined),
  };
}

/** Whether a page is due does not hang on how many there are, so that none is missed while the table grows. */
function duePages(
  pageCount: number,
  nowTime: number,
  { everyMs, batchPages }: ReceiptTargetOptions,
): readonly number[] {
  const interval = Math.floor(nowTime / everyMs);
  const pages: number[] = [];
  for (let page = 0; page < pageCount; page += 1) {
    const firstInterval = Math.floor(page / batchPages) % passIntervals;
    if ((interval - firstInterval) % passIntervals < dueIntervals) pages.push(page);
  }
  return pages;
}

interface TableRow {
  readonly page_count: number;
  readonly total_bytes: number;
  readonly now_time: number;
}

// Numbers that every client answers as numbers.
const readTable = `
  SELECT
    (pg_relation_size(t.oid) / current_setting('block_size')::bigint)::float8 AS page_count,
    pg_total_relation_size(t.oid)::float8 AS total_bytes,
    (extract(epoch FROM now()) * 1000)::float8 AS now_time
  FROM (SELECT 'onceward_receipt'::regclass AS oid) t`;

interface SweptRow {
  readonly live: number;
  readonly expired: number;
  readonly removed: number;
  readonly now_time: number;
}

// Pages as text, because clients differ in what they make of a list. OFFSET 0 keeps it a scan of one page alone. Nobody is waited
// for: who holds a receipt's lock may wait for us.
const sweepPages = `
  WITH found AS MATERIALIZED (
    SELECT r.*
    FROM unnest($1::text::bigint[]) p (page)
    CROSS JOIN LATERAL (
      SELECT r.ctid AS tid, r.create_time <= now() - $2::float8 * interval '1 ms' AS expired
      FROM onceward_receipt r
      WHERE r.ctid >= format('(%s,0)', p.page)::tid AND r.ctid < format('(%s,0)', p.page + 1)::tid
      OFFSET 0
    ) r
  ),
  expired AS MATERIALIZED (
    SELECT r.ctid AS tid
    FROM onceward_receipt r
    WHERE r.ctid = ANY (ARRAY(SELECT f.tid FROM found f WHERE f.expired))
      AND r.create_time <= now() - $2::float8 * interval '1 ms'
    FOR UPDATE SKIP LOCKED
  ),
  removed AS (
    DELETE FROM onceward_receipt r
    WHERE r.ctid = ANY (ARRAY(SELECT e.tid FROM expired e))
      AND r.create_time <= now() - $2::float8 * interval '1 ms'
    RETURNING 1
  )
  SELECT
    (count(*) FILTER (WHERE NOT expired))::float8 AS live, (count(*) FILTER (WHERE expired))::float8 AS expired,
    (SELECT count(*) FROM removed)::float8 AS removed, (extract(epoch FROM now()) * 1000)::float8 AS now_time
  FROM found`;

/** As if of one page and one namespace: no sample is kept that would tell them apart. */
function sweptOf({ live, expired, removed, now_time: nowTime }: SweptRow): SweptPages {
  const none = { strippable: 0, liveBytes: 0, expiredBytes: 0, oldestExpiredMs: 0 };
  return {
    nowTime,
    counts: [{ page: 0, namespace: '', live, expired, ...none }],
    removed: new Map([['', removed]]),
    stripped: new Map(),
  };
}
