import { defaults, limits } from '../core/limits.js';
import type { Violations } from '../core/violations.js';

/** The size of a page: the one asked for, or the default for 0. */
export function pageSizeOf(asked: number, violations: Violations): number {
  violations.range('page_size', asked, 0, limits.pageSize);
  return asked === 0 ? defaults.pageSize : asked;
}

/** Where the next page starts, opaque to callers. */
export function encodePageToken(position: readonly string[]): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** The position in a token of `encodePageToken`; undefined for the empty token. */
export function decodePageToken(
  token: string,
  length: number,
  violations: Violations,
): readonly string[] | undefined {
  if (token === '') return undefined;
  const position = parse(token);
  const valid =
    Array.isArray(position) &&
    position.length === length &&
    position.every((part) => typeof part === 'string' && /^[\x20-\x7e]*$/.test(part));
  if (!valid) {
    violations.add('page_token', 'is not one that this call gave');
    return undefined;
  }
  return position as string[];
}

function parse(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}
