/** How far counts are from being equal: above the 0.1 % point of their degrees of freedom they are not. */
export function chiSquare(counts: readonly number[]): number {
  const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / mean;
}
