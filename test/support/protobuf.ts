import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** Protobuf by hand, for what no generated encoder would write. */
export type Field = readonly [number: number, value: bigint | Uint8Array | readonly Field[]];

/** A message of fields in the order given: integers as varints, bytes as they are, lists of fields as messages. */
export function message(...fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [number, value] of fields) {
    if (typeof value === 'bigint') writer.uint32((number << 3) | 0).uint64(value);
    else writer.uint32((number << 3) | 2).bytes(value instanceof Uint8Array ? value : message(...value));
  }
  return writer.finish();
}

export const text = (value: string): Uint8Array => Buffer.from(value);
/** A negative int32 or int64 as protobuf writes it. */
export const negative = (value: bigint): bigint => BigInt.asUintN(64, value);
