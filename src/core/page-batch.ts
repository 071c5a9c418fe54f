/** Pages of one batch of cleanup: milliseconds of work, with some thousand rows to remove, and enough for an estimate. */
export const batchPages = 32;

/** So many pages from one on, or what is left of all. */
export function pageBatch(fromPage: number, count: number, pageCount: number): readonly number[] {
  const length = Math.max(0, Math.min(count, pageCount - fromPage));
  return Array.from({ length }, (_, i) => fromPage + i);
}
