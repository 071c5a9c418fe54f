/** Rows of one namespace on one page, as they were found. */
export interface PageCount {
  readonly page: number;
  readonly namespace: string;
  readonly live: number;
  readonly expired: number;
  /** Of the live ones: those whose result is expired and still there. */
  readonly strippable: number;
  /** Bytes of the rows, with TOAST and without indexes. */
  readonly liveBytes: number;
  readonly expiredBytes: number;
  /** How long ago the oldest of the expired ones expired; 0 when there are none. */
  readonly oldestExpiredMs: number;
}

/** What random pages of a partition showed; kept as JSON. */
export interface Sample {
  /** When, on the database's clock, ms since the epoch. */
  readonly time: number;
  /** Pages of the partition, and how many of them were drawn. */
  readonly pageCount: number;
  readonly drawnPages: number;
  /** Pages that were visited in the same tick altogether. */
  readonly visitedPages: number;
  /** Most rows that a drawn page had. */
  readonly pageRows: number;
  readonly oldestExpiredMs: number;
  readonly all: Tallies;
  /** The most frequent ones, and the others as one. */
  readonly namespaces: readonly (Tallies & { readonly namespace: string })[];
}

/** Of the rows of all namespaces, or of one. */
export interface Tallies {
  readonly live: Tally;
  readonly expired: Tally;
  /** Expired rows removed in the tick, on the drawn pages and on others. */
  readonly removed: number;
}

/** Over the drawn pages: enough for a mean and its error. */
export interface Tally {
  readonly rows: number;
  /** Sum of the squares of the rows of each page. */
  readonly squares: number;
  readonly bytes: number;
}

/** Namespaces that are told by name where there may be any number; the others are told together. */
export const namedNamespaces = 100;
export const otherNamespaces = '_other';

/** Pages that were drawn at random, and what was on them; the first three as in the sample. */
export interface DrawnPages extends Pick<Sample, 'time' | 'pageCount' | 'drawnPages' | 'visitedPages'> {
  readonly counts: readonly PageCount[];
}

/** Makes the sample of pages that were drawn at random. `removed`: by namespace, in the whole tick. */
export function sampleOf(drawn: DrawnPages, removed: ReadonlyMap<string, number>): Sample {
  const { counts, ...pages } = drawn;
  const named = namedOf(counts);
  const groups = new Map([...named, otherNamespaces].map((namespace) => [namespace, [] as PageCount[]]));
  for (const count of counts) groupOf(groups, count.namespace).push(count);
  const removedOf = (namespace: string) =>
    [...removed].filter(([from]) => (named.has(from) ? from : otherNamespaces) === namespace);
  return {
    ...pages,
    pageRows: Math.max(0, ...sumsByPage(counts, ({ live, expired }) => live + expired).values()),
    oldestExpiredMs: counts.reduce((oldest, count) => Math.max(oldest, count.oldestExpiredMs), 0),
    all: talliesOf(counts, total(removed)),
    namespaces: [...groups]
      .map(([namespace, group]) => ({ namespace, ...talliesOf(group, total(removedOf(namespace))) }))
      .filter(({ live, expired, removed }) => live.rows + expired.rows + removed > 0),
  };
}

function namedOf(counts: readonly PageCount[]): ReadonlySet<string> {
  const rows = new Map<string, number>();
  for (const { namespace, live, expired } of counts) {
    rows.set(namespace, (rows.get(namespace) ?? 0) + live + expired);
  }
  const most = [...rows].sort(([, a], [, b]) => b - a).slice(0, namedNamespaces);
  return new Set(most.map(([namespace]) => namespace));
}

function groupOf(groups: ReadonlyMap<string, PageCount[]>, namespace: string): PageCount[] {
  return groups.get(namespace) ?? groups.get(otherNamespaces) ?? [];
}

function talliesOf(counts: readonly PageCount[], removed: number): Tallies {
  return {
    live: tallyOf(
      counts,
      ({ live }) => live,
      ({ liveBytes }) => liveBytes,
    ),
    expired: tallyOf(
      counts,
      ({ expired }) => expired,
      ({ expiredBytes }) => expiredBytes,
    ),
    removed,
  };
}

function tallyOf(
  counts: readonly PageCount[],
  rowsOf: (count: PageCount) => number,
  bytesOf: (count: PageCount) => number,
): Tally {
  let rows = 0;
  let squares = 0;
  for (const ofPage of sumsByPage(counts, rowsOf).values()) {
    rows += ofPage;
    squares += ofPage * ofPage;
  }
  return { rows, squares, bytes: counts.reduce((sum, count) => sum + bytesOf(count), 0) };
}

function sumsByPage(
  counts: readonly PageCount[],
  rowsOf: (count: PageCount) => number,
): ReadonlyMap<number, number> {
  const sums = new Map<number, number>();
  for (const count of counts) sums.set(count.page, (sums.get(count.page) ?? 0) + rowsOf(count));
  return sums;
}

function total(counts: Iterable<readonly [string, number]>): number {
  let sum = 0;
  for (const [, count] of counts) sum += count;
  return sum;
}
