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
 * What is in the partitions these samples are of, as of the ticks that took them. Unbiased: the pages were drawn at
 * random before it was known what is on them, and what the tick removed afterwards is known exactly.
 */
export function estimateStore(samples: readonly Sample[]): StoreEstimates {
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
  const parts = samples.map((sample) => {
    const { live = nothing, expired = nothing, removed = 0 } = talliesOf(sample) ?? {};
    return { live: estimateOf(sample, live), expired: minus(estimateOf(sample, expired), removed, sample) };
  });
  return { live: sum(parts.map(({ live }) => live)), expired: sum(parts.map(({ expired }) => expired)) };
}

const nothing: Tally = { rows: 0, squares: 0, bytes: 0 };

/** Of one partition, before anything was removed: the mean of the drawn pages for every page. */
function estimateOf(sample: Sample, tally: Tally): Estimate {
  const { pageCount, drawnPages, pageRows } = sample;
  if (drawnPages === 0) return { rows: 0, low: 0, high: 0, bytes: 0 };
  const scale = pageCount / drawnPages;
  const [low, high] = intervalOfMean(sample, tally);
  const most = pageCount * pageRows;
  return { rows: scale * tally.rows, low: low * most, high: high * most, bytes: scale * tally.bytes };
}

/** The tick removed some of them; pages it visited have none left, and the others hold no more than pages do. */
function minus(before: Estimate, removed: number, sample: Sample): Estimate {
  const most = (sample.pageCount - sample.visitedPages) * sample.pageRows;
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
 * Partitions are drawn from independently: errors add up in squares. Half the width of each interval is taken for both sides,
 * since a sum is nearly symmetric where its parts are not: those that found little lie far from their upper bound.
 */
function sum(parts: readonly Estimate[]): Estimate {
  const [only, ...others] = parts;
  if (only !== undefined && others.length === 0) return only;
  const add = (of: (part: Estimate) => number) => parts.reduce((total, part) => total + of(part), 0);
  const rows = add((part) => part.rows);
  const error = Math.sqrt(add((part) => ((part.high - part.low) / 2) ** 2));
  return { rows, low: Math.max(0, rows - error), high: rows + error, bytes: add((part) => part.bytes) };
}

/**
 * The interval of the mean share of a page that the rows take, as Wilson's score interval with continuity correction has
 * it for a share: it stays honest where few pages or none have such rows, and a mean and its error would say "exactly
 * none". Pages are clusters (rows that came together expire together), so their number counts, not that of the rows; where
 * pages are alike, fewer would have told as much.
 */
function intervalOfMean(sample: Sample, { rows, squares }: Tally): readonly [low: number, high: number] {
  const { pageCount, drawnPages: drawn, pageRows } = sample;
  if (pageRows === 0) return [0, 0];
  const mean = rows / drawn / pageRows;
  if (drawn >= pageCount) return [mean, mean];
  const variance = drawn > 1 ? (squares / pageRows ** 2 - drawn * mean ** 2) / (drawn - 1) : Infinity;
  const asBinomial = variance > 0 ? (mean * (1 - mean)) / variance : mean * (1 - mean) > 0 ? pageRows : 1;
  const unseen = 1 - drawn / pageCount;
  const n = (drawn * Math.min(pageRows, Math.max(1, asBinomial))) / unseen;
  return wilson(mean, n, quantile(drawn));
}

function wilson(mean: number, n: number, z: number): readonly [number, number] {
  const bound = (sign: 1 | -1) => {
    const spread = z * z - 1 / n + 4 * n * mean * (1 - mean) - sign * (4 * mean - 2);
    const half = z * Math.sqrt(Math.max(0, spread)) + 1;
    return (2 * n * mean + z * z + sign * half) / (2 * (n + z * z));
  };
  return [mean === 0 ? 0 : Math.max(0, bound(-1)), mean === 1 ? 1 : Math.min(1, bound(1))];
}

/** Of Student's distribution for 95 %, near enough: the error is itself taken from few pages. */
function quantile(drawn: number): number {
  return 1.96 + 2.4 / Math.max(1, drawn - 1);
}
