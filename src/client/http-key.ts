import { limits } from '../core/limits.js';
import { HttpRefusal } from './http-refusal.js';

/**
 * The key in the value of `Idempotency-Key`: a String of RFC 9651, `"8e03…"`, whose parameters are ignored, or bare, as most clients send
 * it. Both forms of one key are one key.
 */
export function keyIn(value: string): string {
  const text = value.trim();
  const key = text.startsWith('"') ? quoted(text) : text;
  // Header lines of one name are joined with ", ", so a second key is refused here too.
  if (!visible.test(key))
    throw badKey('must be one key of visible ASCII characters, bare or a quoted string');
  if (key.length > limits.keyLength) {
    throw badKey(`must have 1 to ${limits.keyLength} characters, has ${key.length}`);
  }
  return key;
}

/** The key as the structured field that the draft asks for. */
export function formatKey(key: string): string {
  return `"${key.replace(/["\\]/g, '\\$&')}"`;
}

const visible = /^[\x21-\x7e]+$/;
const string = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?: *;[^,]*)?$/;

function quoted(text: string): string {
  const [, inner] = string.exec(text) ?? [];
  if (inner === undefined) throw badKey('must be one string in quotes, with only " and \\ escaped by \\');
  return inner.replace(/\\(.)/g, '$1');
}

function badKey(description: string): HttpRefusal {
  return new HttpRefusal(400, 'KEY_INVALID', `Idempotency-Key ${description}`);
}
