import type { Sample, Tallies, Tally } from './sample.js';

/** Rows that random pages tell of, with the 95 % confidence interval. */
export interface Estimate {
  readonly rows: number;
  readonly low: number;
  readonly high: number;
  /** With TOAST, without indexes. */
  readonly bytes: number;
}

export interface Estimates {
  readonly live: Estimate;
  /** Expired and still there. */
  readonly expired: Estimate;
}

export interface StoreEstimates extends Estimates {
  readonly namespaces: ReadonlyMap<string, Estimates>;
  readonly oldestExpiredMs: number;
  /** When the oldest of the samples was taken, ms since the epoch; undefined before the first. */
  readonly time: number | undefined;
}

/**
 * What is in the partitions these samples are of, as of the ticks that took them. Unbiased up to the cut at what is
 * possible: the pages were drawn at random before it was known what is on them, and what the tick removed afterwards is known
 * exactly. A partition that was not sampled yet adds nothing.
 */
export function estimateStore(partitions: readonly (Sample | undefined)[]): StoreEstimates {
  const samples = partitions.filter((sample) => sample !== undefined);
  const namespaces = new Set(
    samples.flatMap((sample) => sample.namespaces.map(({ namespace }) => namespace)),
  );
  const ofNamespace = (name: string) => (sample: Sample) =>
    sample.namespaces.find(({ namespace }) => namespace === name);
  return {
    ...estimateAll(samples, ({ all }) => all),
    namespaces: new Map(
      [...namespaces].sort().map((name) => [name, estimateAll(samples, ofNamespace(name))]),
    ),
    oldestExpiredMs: samples.reduce((oldest, sample) => Math.max(oldest, sample.oldestExpiredMs), 0),
    time: samples.length === 0 ? undefined : Math.min(...samples.map(({ time }) => time)),
  };
}

function estimateAll(
  samples: readonly Sample[],
  talliesOf: (sample: Sample) => Tallies | undefined,
): Estimates {
  const of = (kind: keyof Estimates) =>
    estimateOf(samples.map((sample) => ({ sample, tally: talliesOf(sample)?.[kind] ?? nothing })));
  const removed = samples.reduce((sum, sample) => sum + (talliesOf(sample)?.removed ?? 0), 0);
  return { live: of('live'), expired: minus(of('expired'), removed, samples) };
}

const nothing: Tally = { rows: 0, squares: 0, bytes: 0 };

/**
 * Of all partitions as they were before anything was removed: of each the mean of the drawn pages, for every page.
 *
 * Pages are clusters (rows that came together expire together), so the interval counts pages, not rows: as many as were
 * drawn, if each were full of such rows or without any, and more the more alike they are, up to their rows.
 */
function estimateOf(parts: readonly { readonly sample: Sample; readonly tally: Tally }[]): Estimate {
  const sums = { rows: 0, bytes: 0, pages: 0, variance: 0, unitVariance: 0, degrees: 0 };
  let pageRows = 0;
  for (const { sample, tally } of parts) {
    const { pageCount, drawnPages: drawn } = sample;
    if (pageCount === 0) continue;
    const scale = pageCount / drawn;
    const ofPage = drawn > 1 ? (tally.squares - tally.rows ** 2 / drawn) / (drawn - 1) : Infinity;
    sums.rows += scale * tally.rows;
    sums.bytes += scale * tally.bytes;
    sums.pages += pageCount;
    pageRows = Math.max(pageRows, sample.pageRows);
    if (drawn >= pageCount) continue;
    sums.variance += scale * (pageCount - drawn) * ofPage;
    sums.unitVariance += scale * (pageCount - drawn);
    sums.degrees += drawn - 1;
  }
  const { rows, bytes, pages, variance, unitVariance, degrees } = sums;
  if (unitVariance === 0) return { rows, low: rows, high: rows, bytes };
  // A page that was not drawn may hold a row more than those that were.
  const most = pages * (pageRows + 1);
  const mean = rows / most;
  const clusters = pages ** 2 / unitVariance;
  // As if one page more had been drawn, without such rows: of pages that are few, none may have been drawn.
  const spread = variance + (unitVariance * (rows / pages) ** 2) / Math.max(1, degrees);
  const asBinomial = spread > 0 ? (mean * (1 - mean) * most ** 2) / spread : clusters;
  const n = Math.max(clusters, Math.min(clusters * (pageRows + 1), asBinomial));
  const [low, high] = wilson(mean, n, quantile(degrees));
  return { rows, low: low * most, high: high * most, bytes };
}

/** The tick removed some of them; pages that it visited have none left, and the others hold no more than pages do. */
function minus(before: Estimate, removed: number, samples: readonly Sample[]): Estimate {
  const most = samples.reduce(
    (sum, { pageCount, visitedPages, pageRows }) => sum + (pageCount - visitedPages) * pageRows,
    0,
  );
  const within = (rows: number) => Math.max(0, Math.min(most, rows - removed));
  const rows = within(before.rows);
  return {
    rows,
    low: within(before.low),
    high: within(before.high),
    bytes: before.rows === 0 ? 0 : (before.bytes * rows) / before.rows,
  };
}

/**
 * Wilson's score interval with continuity correction, for a mean share of so many independent looks: it stays honest where
 * few pages or none have such rows, and a mean and its error would say "exactly none".
 */
function wilson(mean: number, n: number, z: number): readonly [low: number, high: number] {
  const bound = (sign: 1 | -1) => {
    const spread = z * z - 1 / n + 4 * n * mean * (1 - mean) - sign * (4 * mean - 2);
    const half = z * Math.sqrt(Math.max(0, spread)) + 1;
    return (2 * n * mean + z * z + sign * half) / (2 * (n + z * z));
  };
  return [mean === 0 ? 0 : Math.max(0, bound(-1)), Math.min(1, bound(1))];
}

/**
 * Of Student's distribution for 95 %, near enough, since the error is itself taken from few pages; and a little more, since
 * what pages have is not distributed evenly to both sides.
 */
function quantile(degrees: number): number {
  return 2.1 + 2.4 / Math.max(1, degrees);
}
