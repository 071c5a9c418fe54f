/** Draws ranks from 0 below `count`, rank r in proportion to 1 / (r + 1): few are asked for often, most seldom. */
export function zipf(count: number, random: () => number): () => number {
  const upTo = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) upTo[rank] = sum += 1 / (rank + 1);
  return () => {
    const drawn = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((upTo[middle] ?? Infinity) > drawn) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
