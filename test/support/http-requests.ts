let keys = 0;

export function newHttpKey(): string {
  keys += 1;
  return `http-${process.pid}-${keys}`;
}

/** Posts JSON to `/orders`, with a key in quotes unless there is to be none. */
export function order(
  url: string,
  key: string | undefined,
  body: unknown = { amount: 10 },
  init: RequestInit & { readonly path?: string } = {},
): Promise<Response> {
  return fetch(url + (init.path ?? '/orders'), {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...init,
    headers: {
      'content-type': 'application/json',
      ...(key !== undefined && { 'idempotency-key': `"${key}"` }),
      ...(init.headers as Record<string, string> | undefined),
    },
  });
}

/** What a replay must have in common with the original: all but its mark, and what belongs to the sending. */
export async function essenceOf(response: Response) {
  const own = new Set(['date', 'idempotency-replayed', 'connection', 'keep-alive']);
  const headers = [...response.headers].filter(([name]) => !own.has(name));
  return {
    status: response.status,
    headers,
    body: Buffer.from(await response.arrayBuffer()).toString('hex'),
  };
}

export async function problemIn(response: Response) {
  const body = (await response.json()) as { title: string; status: number; detail: string; reason: string };
  return { type: response.headers.get('content-type'), ...body };
}

export function isReplay(response: Response): boolean {
  return response.headers.get('idempotency-replayed') === 'true';
}
