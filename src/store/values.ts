import pg from 'pg';

/** A row by the names of its columns. */
export type QueryRow = Record<string, unknown>;

/** Makes of what Postgres writes for a value what the core wants. */
export type ParseValue = (text: string) => unknown;

const { builtins } = pg.types;
const plain = [
  builtins.BOOL,
  builtins.BYTEA,
  builtins.FLOAT8,
  builtins.INT2,
  builtins.INT4,
  builtins.JSON,
  builtins.JSONB,
] as const;

/** By the type's oid; what is not here is text. An int8 becomes a `bigint`, a time ms since the epoch. */
export const valueParsers: ReadonlyMap<number, ParseValue> = new Map<number, ParseValue>([
  ...plain.map((type) => [type, pg.types.getTypeParser(type)] as const),
  [builtins.INT8, BigInt],
  [builtins.TIMESTAMPTZ, parseTime],
]);

/** The rows of a batch share their times, of which there are two: those seen last are most often the next ones. */
let [last, lastButOne] = [infinity(), infinity()];

function infinity() {
  return { text: 'infinity', time: Infinity };
}

function parseTime(text: string): number {
  if (text === last.text) return last.time;
  const found = text === lastButOne.text ? lastButOne : { text, time: timeOf(text) };
  [last, lastButOne] = [found, last];
  return found.time;
}

/** Milliseconds since the epoch with the database's microseconds, which a Date would cut off. */
function timeOf(text: string): number {
  if (text === 'infinity') return Infinity;
  const match = /^(\d{4,6}-\d\d-\d\d) (\d\d:\d\d:\d\d)(\.\d+)?([+-]\d\d)(:?\d\d)?/.exec(text);
  if (match === null) throw new Error('a time that is not ISO; DateStyle must be ISO');
  const [, day = '', time = '', fraction = '', hours = '', minutes = ':00'] = match;
  return Date.parse(`${day}T${time}${hours}${minutes}`) + Number(`0${fraction}`) * 1000;
}
