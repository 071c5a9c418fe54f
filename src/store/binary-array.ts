/**
 * A column of a batch as Postgres takes arrays in binary. As text, which node-postgres would send, each value is quoted here
 * and parsed there, which was most of what a batch cost this process.
 */
export type ArrayType = keyof typeof encodings;

type Scalar = string | number | bigint | boolean | Uint8Array;

interface Encoding<Value extends Scalar> {
  readonly oid: number;
  readonly bytesOf: (value: Value) => number;
  /** Writes exactly so many bytes. */
  readonly write: (target: Buffer, value: Value, offset: number) => void;
}

/** Of the types that have one encoding everywhere; an enum's number, for one, differs from database to database. */
const encodings = {
  text: {
    oid: 25,
    bytesOf: (value: string) => Buffer.byteLength(value),
    write: (target, value, offset) => target.write(value, offset),
  } satisfies Encoding<string>,
  bytea: {
    oid: 17,
    bytesOf: (value: Uint8Array) => value.length,
    write: (target, value, offset) => target.set(value, offset),
  } satisfies Encoding<Uint8Array>,
  boolean: {
    oid: 16,
    bytesOf: () => 1,
    write: (target, value, offset) => target.writeUInt8(value ? 1 : 0, offset),
  } satisfies Encoding<boolean>,
  smallint: {
    oid: 21,
    bytesOf: () => 2,
    write: (target, value, offset) => target.writeInt16BE(value, offset),
  } satisfies Encoding<number>,
  integer: {
    oid: 23,
    bytesOf: () => 4,
    write: (target, value, offset) => target.writeInt32BE(value, offset),
  } satisfies Encoding<number>,
  bigint: {
    oid: 20,
    bytesOf: () => 8,
    write: (target, value, offset) => target.writeBigInt64BE(BigInt(value), offset),
  } satisfies Encoding<bigint | number>,
  float8: {
    oid: 701,
    bytesOf: () => 8,
    write: (target, value, offset) => target.writeDoubleBE(value, offset),
  } satisfies Encoding<number>,
};

const headerBytes = 20;
const lengthBytes = 4;
const absent = -1;

export function isArrayType(type: string): type is ArrayType {
  return Object.hasOwn(encodings, type);
}

/** One dimension, from 1; null where there is no value. */
export function binaryArray(type: ArrayType, values: readonly unknown[]): Buffer {
  const { oid, bytesOf, write } = encodings[type] as unknown as Encoding<Scalar>;
  let bytes = headerBytes + values.length * lengthBytes;
  let hasNull = 0;
  for (const value of values as readonly (Scalar | null)[]) {
    if (value === null) hasNull = 1;
    else bytes += bytesOf(value);
  }
  const array = Buffer.allocUnsafe(bytes);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(hasNull, 4);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(values.length, 12);
  array.writeInt32BE(1, 16);
  let offset = headerBytes;
  for (const value of values as readonly (Scalar | null)[]) {
    const length = value === null ? absent : bytesOf(value);
    array.writeInt32BE(length, offset);
    offset += lengthBytes;
    if (value === null) continue;
    write(array, value, offset);
    offset += length;
  }
  return array;
}
