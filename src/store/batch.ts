import type { KeyRef } from '../core/key.js';
import { classify, toOncewardError } from './failure.js';
import type { Query } from './pool.js';
import type { Row, Statement } from './statement.js';
import type { QueryRow } from './values.js';

/** A statement's parameters for one record. */
export type RecordRow = Row & KeyRef;

/** The row a record got back, undefined when the statement left it alone, or why it alone failed. */
export type RowAnswer = QueryRow | Error | undefined;

const tries = 3;

/**
 * Runs a statement over many records in one go; answers are in the order of `rows`. Rows go in key order, so that two
 * batches lock in one order. Deadlocks and serialisation failures are tried again. When the data of one row spoils the
 * statement, nothing was committed and each row goes alone, so that only the poisoned one fails.
 */
export async function runBatch(
  query: Query,
  statement: Statement,
  rows: readonly RecordRow[],
): Promise<readonly RowAnswer[]> {
  const [only] = rows;
  if (rows.length === 1 && only !== undefined) return [await runOne(query, statement, only)];
  const order = [...rows.keys()].sort((a, b) => byIdentity(rows[a] as KeyRef, rows[b] as KeyRef));
  const sorted = order.map((i) => rows[i] as RecordRow);
  let found: readonly QueryRow[];
  try {
    found = await tryAgain(() => query(statement.many(sorted)));
  } catch (error) {
    if (classify(error) !== 'row') throw error;
    const answers: RowAnswer[] = [];
    for (const row of rows) answers.push(await runOne(query, statement, row).catch(toOncewardError));
    return answers;
  }
  const answers = new Array<RowAnswer>(rows.length).fill(undefined);
  for (const [i, answer] of matched(sorted, found).entries()) answers[order[i] as number] = answer;
  return answers;
}

/** What was found for each row. Postgres answers in the order it is asked; in any other the search only takes longer. */
function matched(rows: readonly KeyRef[], found: readonly QueryRow[]): readonly (QueryRow | undefined)[] {
  const answers = new Array<QueryRow | undefined>(rows.length).fill(undefined);
  let next = 0;
  for (const answer of found) {
    const ref = answer as unknown as KeyRef;
    for (let looked = 0; looked < rows.length; looked += 1) {
      const at = next;
      next = (next + 1) % rows.length;
      if (byIdentity(rows[at] as KeyRef, ref) !== 0) continue;
      answers[at] = answer;
      break;
    }
  }
  return answers;
}

async function runOne(query: Query, statement: Statement, row: Row): Promise<QueryRow | undefined> {
  const [found] = await tryAgain(() => query(statement.one(row)));
  return found;
}

async function tryAgain<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (classify(error) !== 'again' || attempt === tries) throw error;
    }
  }
}

function byIdentity(a: KeyRef, b: KeyRef): number {
  return compare(a.namespace, b.namespace) || compare(a.scope, b.scope) || compare(a.key, b.key);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
