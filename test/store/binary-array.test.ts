import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { binaryArray, isArrayType, type ArrayType } from '../../src/store/binary-array.js';
import { createDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let client: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  client = new pg.Client(database.url);
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

/** Each value as it is sent, and as Postgres writes it. */
const values: { readonly [Type in ArrayType]: readonly (readonly [sent: unknown, text: string | null])[] } = {
  text: [
    ['', ''],
    ['order-1', 'order-1'],
    ['NULL', 'NULL'],
    ['a"b\\c,{d}', 'a"b\\c,{d}'],
    ['Zürich 東京 🙂', 'Zürich 東京 🙂'],
    [null, null],
  ],
  bytea: [
    [new Uint8Array(), '\\x'],
    [Uint8Array.of(0, 255, 34), '\\x00ff22'],
    // A view of something larger.
    [Buffer.from('abcdef').subarray(2, 4), '\\x6364'],
    [null, null],
  ],
  boolean: [
    [true, 'true'],
    [false, 'false'],
    [null, null],
  ],
  smallint: [
    [-32_768, '-32768'],
    [32_767, '32767'],
    [null, null],
  ],
  integer: [
    [-2_147_483_648, '-2147483648'],
    [2_147_483_647, '2147483647'],
    [null, null],
  ],
  bigint: [
    [-(2n ** 63n), '-9223372036854775808'],
    [2n ** 63n - 1n, '9223372036854775807'],
    [7, '7'],
    [null, null],
  ],
  float8: [
    [0.1, '0.1'],
    [Infinity, 'Infinity'],
    [-Infinity, '-Infinity'],
    [86_400_000, '86400000'],
    [null, null],
  ],
};

test.each(Object.keys(values) as ArrayType[])('%s arrives as it was sent', async (type) => {
  const given = values[type];
  const array = binaryArray(
    type,
    given.map(([sent]) => sent),
  );
  const { rows } = await client.query<{ value: string | null }>(
    `SELECT value::text FROM unnest($1::${type}[]) value`,
    [array],
  );
  expect(rows.map(({ value }) => value)).toEqual(given.map(([, text]) => text));
});

test('nothing is an array too', async () => {
  const { rows } = await client.query('SELECT FROM unnest($1::text[])', [binaryArray('text', [])]);
  expect(rows).toEqual([]);
});

test.each(['jsonb', 'timestamptz', 'onceward.on_lapse', 'toString'])('%s is sent as text', (type) => {
  expect(isArrayType(type)).toBe(false);
});

test.each([
  ['smallint', 32_768],
  ['integer', 2_147_483_648],
  ['bigint', 2n ** 63n],
] as const)('a number too large for %s is refused here', (type, value) => {
  expect(() => binaryArray(type, [value])).toThrow(RangeError);
});
