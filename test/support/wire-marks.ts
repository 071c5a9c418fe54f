/** What the proxied bytes are, which decides what counts as a request and as its answer. */
export type WireProtocol = 'raw' | 'http2' | 'postgres';

/** Follows one direction of one connection; tells of each chunk whether a message lies in it. */
export type Mark = (chunk: Buffer) => boolean;

export const requestMarks: Readonly<Record<WireProtocol, () => Mark>> = {
  raw: () => () => true,
  http2: () => http2Messages(24),
  postgres: () => () => true,
};

export const answerMarks: Readonly<Record<WireProtocol, () => Mark>> = {
  raw: () => () => true,
  http2: () => http2Messages(0),
  postgres: () => endsReady,
};

const dataFrame = 0;
const headersFrame = 1;
const endStream = 1;
const frameHeaderBytes = 9;

/**
 * Window updates, settings and pings aren't answers: a cut at one of them could come before the call had any effect. A
 * message is a DATA frame with something in it, or the HEADERS that end a stream (an error).
 */
function http2Messages(prefaceBytes: number): Mark {
  let skip = prefaceBytes;
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    let found = false;
    let bytes = Buffer.concat([pending, chunk]);
    for (;;) {
      const skipped = Math.min(skip, bytes.length);
      skip -= skipped;
      bytes = bytes.subarray(skipped);
      if (bytes.length < frameHeaderBytes) break;
      const length = bytes.readUIntBE(0, 3);
      const type = bytes.readUInt8(3);
      const flags = bytes.readUInt8(4);
      if (type === dataFrame && length > 0) found = true;
      if (type === headersFrame && (flags & endStream) !== 0) found = true;
      skip = frameHeaderBytes + length;
    }
    pending = Buffer.from(bytes);
    return found;
  };
}

/** ReadyForQuery follows the commit; rows and CommandComplete may leave the server before it. */
function endsReady(chunk: Buffer): boolean {
  return chunk.length >= 6 && chunk.subarray(-6, -1).equals(readyForQuery);
}

const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5]);
