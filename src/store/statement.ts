import { readFileSync } from 'node:fs';
import { binaryArray, isArrayType } from './binary-array.js';

export type Value = string | number | bigint | boolean | Uint8Array | readonly number[] | null;
/** One value for each name in the statement's `-- in:` lines. */
export type Row = Readonly<Record<string, Value>>;

export interface PreparedQuery {
  readonly name: string;
  readonly text: string;
  readonly values: Value[];
  /** Name of its file. */
  readonly statement: string;
  readonly rowCount: number;
}

/** One SQL file in its two forms. */
export interface Statement {
  /** For one row: its values stand in the statement itself, which Postgres plans for one key of one partition. */
  one(row: Row): PreparedQuery;
  /** For many rows: a column an array, joined by unnest; far dearer than `one` for a single row. */
  many(rows: readonly Row[]): PreparedQuery;
  /** Of the columns that may be large. */
  bytesOf(row: Row): number;
}

const recordColumns = withoutComments(readSql('record-columns'));

/**
 * Reads `queries/<name>.sql`. Its `-- in: name type, …` lines name the parameters in order, and `:in` in the text stands
 * for the relation that holds them, so that one text serves a single row and a batch. `:record` stands for the columns of
 * `record-columns.sql`, `:partition` for the table `partition`.
 */
export function loadStatement(name: string, partition?: string): Statement {
  const file = readSql(`queries/${name}`);
  const inputs = [...file.matchAll(/^-- in: (.*)$/gm)]
    .flatMap((line) => (line[1] ?? '').split(','))
    .map((input) => input.trim().split(' '))
    .map(([column = '', type = '']) => ({ column, type }));
  const text = withoutComments(file)
    .replace(':record', recordColumns)
    .replaceAll(':partition', `onceward.${partition}`);
  const prepared = partition === undefined ? name : `${name} ${partition}`;
  const single = inputs.map(({ column, type }, i) => `$${i + 1}::${type} AS ${column}`).join(', ');
  const sent = inputs.map(({ column, type }) => ({
    column,
    type: isArrayType(type) ? type : ('text' as const),
  }));
  const arrays = inputs
    .map(({ type }, i) => (isArrayType(type) ? `$${i + 1}::${type}[]` : `$${i + 1}::text[]::${type}[]`))
    .join(', ');
  const columns = inputs.map(({ column }) => column);
  const large = inputs.filter(({ type }) => type === 'bytea').map(({ column }) => column);
  const oneText = text.replaceAll(':in i', `(SELECT ${single}) i`);
  const manyText = text.replaceAll(':in i', `unnest(${arrays}) i (${columns.join(', ')})`);
  return {
    one: (row) => ({
      name: prepared,
      text: oneText,
      values: columns.map((column) => valueOf(row, column)),
      statement: name,
      rowCount: 1,
    }),
    many: (rows) => ({
      name: `${prepared}-many`,
      text: manyText,
      values: sent.map(({ column, type }) => {
        const values = rows.map((row) => valueOf(row, column));
        // To unnest NULL is as long as the other columns.
        return values.every((value) => value === null) ? null : binaryArray(type, values);
      }),
      statement: name,
      rowCount: rows.length,
    }),
    bytesOf: (row) => {
      let bytes = 0;
      for (const column of large) bytes += (row[column] as Uint8Array | null)?.length ?? 0;
      return bytes;
    },
  };
}

function readSql(name: string): string {
  return readFileSync(new URL(`${name}.sql`, import.meta.url), 'utf8');
}

function withoutComments(sql: string): string {
  return sql.replace(/^ *--.*\n/gm, '').trim();
}

function valueOf(row: Row, column: string): Value {
  const value = row[column];
  if (value === undefined) throw new Error(`no value for ${column}`);
  return value;
}
