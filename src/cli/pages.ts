import { limits } from '../core/limits.js';

/** Follows page tokens until `limit` items were given out or there are no more. */
export async function* pages<Item>(
  limit: number,
  read: (pageSize: number, pageToken: string) => Promise<{ items: readonly Item[]; nextPageToken: string }>,
): AsyncGenerator<readonly Item[]> {
  let left = limit;
  let pageToken = '';
  do {
    const page = await read(Math.min(left, limits.pageSize), pageToken);
    yield page.items.slice(0, left);
    left -= page.items.length;
    pageToken = page.nextPageToken;
  } while (left > 0 && pageToken !== '');
}
