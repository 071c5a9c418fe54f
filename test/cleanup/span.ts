/** When something is, as far as the caller knows: ms since the epoch, on the database's clock. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

export const never: Span = { from: Infinity, to: Infinity };

/** Answers carry times cut to milliseconds. */
const wireMs = 1;

export function later({ from, to }: Span, ms: number): Span {
  return { from: from + ms, to: to + ms };
}

export function latest(a: Span, b: Span): Span {
  return { from: Math.max(a.from, b.from), to: Math.max(a.to, b.to) };
}

export function exactly(time: number): Span {
  return { from: time, to: time + wireMs };
}

export function covers({ from, to }: Span, time: number): boolean {
  return time >= from - wireMs && time <= to + wireMs;
}

export function spanText({ from, to }: Span, at: Span): string {
  return `${from - at.from} to ${to - at.from} ms from the call`;
}
