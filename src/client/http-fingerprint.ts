import type { Fingerprint } from '../core/fingerprint.js';
import { digestOf, sorted } from './canonical.js';
import type { HttpBody } from './http-message.js';

/** To be raised when what goes into the digest changes. */
const version = 1;

/** Over method, path with query, and body. Of JSON neither the order of members nor the space between them counts. */
export function httpFingerprint(
  method: string,
  target: string,
  body: HttpBody,
  { contentType, contentEncoding }: { readonly contentType: string; readonly contentEncoding: string },
): Fingerprint {
  const json = jsonType.test(contentType) && contentEncoding === '';
  const bytes = 'parsed' in body ? parsedBytes(body.parsed) : json ? canonicalJson(body.bytes) : body.bytes;
  // Each part with its length in front, so that no two requests read the same.
  const head = `${method.length}:${method}${Buffer.byteLength(target)}:${target}`;
  return { version, digest: digestOf(Buffer.concat([Buffer.from(head), bytes])) };
}

const jsonType = /^application\/(?:[\w.+-]+\+)?json\b/i;

/** The bytes themselves where parsing would make one of two requests: a number that a double can't hold is another number. */
function canonicalJson(bytes: Uint8Array): Uint8Array {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (inexact.test(text.replace(strings, '""'))) return bytes;
    return Buffer.from(JSON.stringify(sorted(JSON.parse(text))));
  } catch {
    return bytes;
  }
}

const strings = /"(?:[^"\\]|\\.)*"/g;
const inexact = /[\d.]{16}|\d[eE]/;

function parsedBytes(parsed: unknown): Uint8Array {
  if (parsed instanceof Uint8Array) return parsed;
  return Buffer.from(typeof parsed === 'string' ? parsed : JSON.stringify(sorted(parsed)));
}
