import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Call } from '../gen/onceward/v1/coordinator.js';

/** A writer that grew beyond this is not kept, bytes. */
const keptBytes = 64 * 1024;

/** One for all calls: its buffer is dear to make, and stays when `finish` has copied out of it. */
let kept: BinaryWriter | undefined;

export function encodeCall(call: Call): Uint8Array {
  const writer = kept ?? new BinaryWriter();
  // One that throws in the middle stays half written.
  kept = undefined;
  const bytes = Call.encode(call, writer).finish();
  if (bytes.length <= keptBytes) kept = writer;
  return bytes;
}
