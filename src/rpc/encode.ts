import { BinaryWriter } from '@bufbuild/protobuf/wire';

interface Encoder<Message> {
  encode(message: Message, writer: BinaryWriter): BinaryWriter;
}

/** A writer that grew beyond this is not kept, bytes: the frames of a busy session are below it. */
const keptBytes = 256 * 1024;

/** One for all messages: its buffer is dear to make, and stays when `finish` has copied out of it. */
let kept: BinaryWriter | undefined;

export function encode<Message>(encoder: Encoder<Message>, message: Message): Uint8Array<ArrayBuffer> {
  const writer = kept ?? new BinaryWriter();
  // One that throws in the middle stays half written.
  kept = undefined;
  const bytes = encoder.encode(message, writer).finish();
  if (bytes.length <= keptBytes) kept = writer;
  return bytes;
}
