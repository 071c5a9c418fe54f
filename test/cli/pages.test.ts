import { describe, expect, it } from 'vitest';
import { pages } from '../../src/cli/pages.js';

/** Reads pages of a list of numbers as the coordinator would. */
async function gather(total: number, limit: number) {
  const asked: number[] = [];
  const read = (pageSize: number, pageToken: string) => {
    asked.push(pageSize);
    const from = Number(pageToken);
    const items = Array.from({ length: Math.min(pageSize, total - from) }, (_, i) => from + i);
    const next = from + items.length;
    return Promise.resolve({ items, nextPageToken: next < total ? String(next) : '' });
  };
  const got: number[] = [];
  for await (const page of pages(limit, read)) got.push(...page);
  return { got: got.length, asked };
}

describe('pages', () => {
  it('are followed until there are no more', async () => {
    expect(await gather(2500, 10_000)).toEqual({ got: 2500, asked: [1000, 1000, 1000] });
    expect(await gather(0, 10)).toEqual({ got: 0, asked: [10] });
  });

  it('are followed no further than the limit, and no larger than allowed', async () => {
    expect(await gather(2500, 1200)).toEqual({ got: 1200, asked: [1000, 200] });
    expect(await gather(2500, 5)).toEqual({ got: 5, asked: [5] });
  });
});
