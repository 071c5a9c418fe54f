import type { IncomingMessage } from 'node:http';
import type { HttpBody } from './http-message.js';
import { HttpRefusal } from './http-refusal.js';

interface Parsed {
  readonly rawBody?: unknown;
  readonly body?: unknown;
}

/** The body of a request to node:http. What is read here is put back, so a body parser or the handler finds it unread. */
export async function receivedBody(request: IncomingMessage, maxBytes: number): Promise<HttpBody> {
  const { rawBody, body } = request as Parsed;
  if (rawBody instanceof Uint8Array) return { bytes: rawBody };
  if (typeof rawBody === 'string') return { bytes: Buffer.from(rawBody) };
  if (!request.readableEnded && !request.destroyed) return { bytes: await unreadBytes(request, maxBytes) };
  if (body !== undefined) return { parsed: body };
  throw new Error('the body was read before, and there is neither a rawBody nor a body of the request');
}

export function tooLarge(maxBytes: number): HttpRefusal {
  return new HttpRefusal(413, 'REQUEST_TOO_LARGE', `the request's body must have at most ${maxBytes} bytes`);
}

function unreadBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    const end = () => {
      request.off('readable', read).off('close', left).off('error', left);
    };
    const left = () => {
      end();
      reject(new HttpRefusal(400, 'REQUEST_INVALID', "the request's body ended early"));
    };
    const read = () => {
      while (request.readableLength > 0) {
        const chunk = request.read() as Buffer | null;
        if (chunk === null) break;
        chunks.push(chunk);
        bytes += chunk.length;
      }
      if (bytes > maxBytes) {
        end();
        // Node reads off a body only where nobody began to; the rest of this one would block its connection. A stream can be resumed when it
        // has noticed, in the tick before, that nobody waits for `readable`.
        process.nextTick(() => request.resume());
        reject(tooLarge(maxBytes));
      } else if (request.complete && request.readableLength === 0) {
        end();
        const body = Buffer.concat(chunks);
        // Before the tick in which the stream would say that it has ended.
        if (body.length > 0) request.unshift(body);
        resolve(body);
      }
    };
    request.on('close', left).on('error', left);
    read();
    if (!request.complete || request.readableLength > 0) request.on('readable', read);
  });
}
