/**
 * What `src/cleanup/README.md` derives for one partition, of `pageCount` pages with `pageRows` rows each, into which rows
 * come at a steady rate.
 */

/** From expiry to removal, in the mean: a tick that comes every `intervalMs` meets a page with the same chance each time. */
export function meanLifetimeMs(pageCount: number, pagesPerTick: number, intervalMs: number): number {
  return intervalMs * (Math.max(1, pageCount / pagesPerTick) - 1 / 2);
}

/** Share of rows that are still there so many ticks after their expiry. */
export function survival(pageCount: number, pagesPerTick: number, ticks: number): number {
  return (1 - Math.min(1, pagesPerTick / pageCount)) ** ticks;
}

/** Rows that come between two ticks by rows that one batch looks at: also the share of expired ones it then finds. */
export function loadOf(arrivals: number, intervalMs: number, batchPages: number, pageRows: number): number {
  return (arrivals * intervalMs) / 1000 / (batchPages * pageRows);
}

/** Expired rows there may be right before a tick: what the last one may leave of so many live ones, and what expired since. */
export function overhangBound(live: number, arrivedRows: number, threshold: number): number {
  return (threshold / (1 - threshold)) * live + arrivedRows;
}

/**
 * The share of expired rows that a tick goes on at, but for 3 standard deviations of bad luck: of the pages of a first
 * batch no more than the threshold are expired, if pages expire as wholes, which is the worst. Wilson's upper bound.
 */
export function unluckyThreshold(threshold: number, drawnPages: number): number {
  const z = 3;
  const half = z * Math.sqrt((threshold * (1 - threshold)) / drawnPages + z ** 2 / (4 * drawnPages ** 2));
  return (threshold + z ** 2 / (2 * drawnPages) + half) / (1 + z ** 2 / drawnPages);
}
