import { identityOf } from '../core/key.js';
import type { ObserveStatement, StatementObserver } from '../telemetry/statement-observer.js';
import { runBatch, type RecordRow, type RowAnswer } from './batch.js';
import { translated } from './failure.js';
import { Lane } from './lane.js';
import type { Pool, Query } from './pool.js';
import type { Statement } from './statement.js';
import type { QueryRow } from './values.js';

export type RowLane = Lane<RecordRow, QueryRow | undefined>;

export interface RowLaneOptions {
  readonly name: string;
  readonly pool: Pool;
  readonly observer: StatementObserver;
  readonly statement: Statement;
  /** Statements under way at once. */
  readonly width: number;
  /** Default: 128. Larger ones gain little, and delay their first row and whoever comes next. */
  readonly maxBatch?: number;
  /** Completes the rows on the same connection before the statement. Default: they are complete. */
  readonly prepare?: (query: Query, rows: readonly RecordRow[]) => Promise<readonly RecordRow[]>;
  /** Follows the statement on the same connection. Default: nothing does. */
  readonly after?: (query: Query, answers: readonly RowAnswer[]) => Promise<void>;
}

const mebibyte = 1024 * 1024;
const bounds = { maxWaiting: 20_000, maxWaitingBytes: 128 * mebibyte, maxBatchBytes: 4 * mebibyte };

/** A lane that runs one statement over what rides in it. */
export function rowLane(options: RowLaneOptions): RowLane {
  const { name, pool, observer, statement, width, maxBatch = 128, prepare, after } = options;
  return new Lane<RecordRow, QueryRow | undefined>({
    ...bounds,
    width,
    maxBatch,
    recordOf: identityOf,
    ownerOf: ({ namespace }) => namespace,
    bytesOf: (row) => statement.bytesOf(row),
    run: (rows, riders) => {
      const observe = observer.depart(name, riders);
      return translated(
        pool.use(async (bare) => {
          const query = observed(bare, observe);
          const prepared = prepare === undefined ? rows : await prepare(query, rows);
          const answers = await runBatch(query, statement, prepared);
          await after?.(query, answers);
          return answers;
        }),
      );
    },
  });
}

function observed(query: Query, observe: ObserveStatement): Query {
  return (sent) => {
    if (typeof sent === 'string') return query(sent);
    return observe({ name: sent.statement, rows: sent.rowCount }, () => query(sent));
  };
}
