import type { Random } from '../../src/cleanup/pages.js';
import { gap, type SyntheticTable } from './synthetic-table.js';

/** How the rows of a table may lie on its pages. */
export interface Population {
  readonly partitions: number;
  readonly fill: (table: SyntheticTable, nowTime: number, random: Random) => void;
}

/** So many pages of 40 rows; whether a row is expired may depend on its page. */
function pages(
  pageCount: number,
  expired: (random: Random) => (random: Random) => boolean,
  namespaceOf: (random: Random) => number = (random) => Math.floor(random() * 3),
): Population['fill'] {
  return (table, nowTime, random) => {
    for (let page = 0; page < pageCount; page += 1) {
      const isExpired = expired(random);
      for (let i = 0; i < 40; i += 1) {
        table.insert(isExpired(random) ? nowTime - 1 : nowTime + 1, namespaceOf(random));
      }
    }
  };
}

const each = (share: number) => () => (random: Random) => random() < share;
const together = (share: number) => (random: Random) => {
  const all = random() < share;
  return () => all;
};
/** A few pages with a large part of what is expired. */
const clumps = (share: number, others: number) => (random: Random) => {
  const most = random() < share ? 0.9 : others;
  return (each: Random) => each() < most;
};

/** Tables of up to so many pages, also of none. */
function small(mostPages: number, expired: number): Population['fill'] {
  return (table, nowTime, random) => {
    pages(Math.floor(random() * (mostPages + 1)), each(expired))(table, nowTime, random);
  };
}

const between = (low: number, high: number) => (random: Random) =>
  low + Math.floor(random() * (high - low + 1));
const rarely = (share: number, rows: number, others: number) => (random: Random) =>
  random() < share ? rows : others;

/** Some are frequent, some are rare: the n-th has about a (n + 1)-th of the rows of the first. */
function skewed(random: Random): number {
  return Math.floor(Math.exp(random() * Math.log(30))) - 1;
}

/** Pages with another number of rows each, as rows of other sizes make them. */
function uneven(pageCount: number, rowsOf: (random: Random) => number, expired: number): Population['fill'] {
  return (table, nowTime, random) => {
    for (let page = 0; page < pageCount; page += 1) {
      const rows = rowsOf(random);
      for (let i = 0; i < 40; i += 1) {
        if (i >= rows) table.insert(gap, 0);
        else table.insert(random() < expired ? nowTime - 1 : nowTime + 1, Math.floor(random() * 3));
      }
    }
  };
}

export const populations = {
  'rows expire alike, one partition': { partitions: 1, fill: pages(300, each(0.05)) },
  'rows expire alike': { partitions: 8, fill: pages(80, each(0.05)) },
  'pages expire as wholes, one partition': { partitions: 1, fill: pages(300, together(0.08)) },
  'pages expire as wholes': { partitions: 8, fill: pages(80, together(0.08)) },
  'pages expire as wholes, above the threshold': { partitions: 8, fill: pages(80, together(0.2)) },
  'a few rows expired, one partition': { partitions: 1, fill: pages(300, each(0.0003)) },
  'a few rows expired': { partitions: 8, fill: pages(80, each(0.0003)) },
  'a page or two expired, one partition': { partitions: 1, fill: pages(300, together(0.005)) },
  'a page or two expired': { partitions: 8, fill: pages(80, together(0.005)) },
  'a few pages with most of what is expired': { partitions: 8, fill: pages(80, clumps(0.05, 0.02)) },
  'nothing expired': { partitions: 8, fill: pages(80, each(0)) },
  'most expired': { partitions: 8, fill: pages(80, each(0.9)) },
  'rows of many sizes, one partition': { partitions: 1, fill: uneven(300, between(10, 40), 0.05) },
  'rows of many sizes': { partitions: 8, fill: uneven(80, between(10, 40), 0.05) },
  'a row more on a few pages': { partitions: 8, fill: uneven(80, rarely(0.02, 40, 39), 0.05) },
  'some pages empty, one partition': { partitions: 1, fill: uneven(300, rarely(0.05, 0, 40), 0.05) },
  'some pages empty': { partitions: 8, fill: uneven(80, rarely(0.05, 0, 40), 0.05) },
  'half of the pages empty': { partitions: 8, fill: uneven(80, rarely(0.5, 0, 40), 0.05) },
  'small tables': { partitions: 8, fill: small(45, 0.05) },
  'frequent namespaces and rare ones': { partitions: 4, fill: pages(100, each(0.05), skewed) },
  'the same, and pages expire as wholes': { partitions: 4, fill: pages(100, together(0.08), skewed) },
} satisfies Readonly<Record<string, Population>>;

/** What a single partition's interval can't know: pages that are one in twenty are on none of the drawn ones too often. */
export const tooRare: Population = { partitions: 1, fill: pages(300, clumps(0.05, 0.02)) };
