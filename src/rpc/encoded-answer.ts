import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Answer } from '../gen/onceward/v1/coordinator.js';
import { encode } from './encode.js';

/** One of the answers of a frame: encoded once, which also tells what fits into one message. */
export interface EncodedAnswer {
  readonly id: bigint;
  /** An encoded Answer without its id: it is the same for all who are answered so. */
  readonly response: Uint8Array;
}

/** In a frame: id, tags and lengths, at most. */
const overheadBytes = 24;

export function bytesOfAnswer({ response }: EncodedAnswer): number {
  return response.length + overheadBytes;
}

export function encodeResponse(response: Answer['response']): Uint8Array {
  return encode(Answer, { id: 0n, response });
}

/** SessionResponse and BatchResponse are both a list of answers in field 1. */
export function encodeFrame(answers: readonly EncodedAnswer[]): Buffer {
  const bytes = encode(Frame, answers);
  return Buffer.from(bytes.buffer, 0, bytes.length);
}

const tags = { answer: (1 << 3) | 2, id: 1 << 3 };

const Frame = {
  encode(answers: readonly EncodedAnswer[], writer: BinaryWriter): BinaryWriter {
    for (const { id, response } of answers) {
      writer.uint32(tags.answer).fork().uint32(tags.id).uint64(id).raw(response).join();
    }
    return writer;
  },
};
