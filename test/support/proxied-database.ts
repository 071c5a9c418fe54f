import { type FaultProxy, type FaultProxyOptions, startFaultProxy } from './fault-proxy.js';

/** A way to a database that can fail; `proxy` stands between a coordinator and its Postgres. */
export async function proxyDatabase(
  databaseUrl: string,
  options: Partial<FaultProxyOptions> = {},
): Promise<{ readonly url: string; readonly proxy: FaultProxy }> {
  const url = new URL(databaseUrl);
  const folder = url.searchParams.get('host');
  const port = url.searchParams.get('port') ?? url.port;
  const target = folder === null ? `${url.hostname}:${port || '5432'}` : `${folder}/.s.PGSQL.${port}`;
  const proxy = await startFaultProxy({ target, protocol: 'postgres', ...options });
  url.search = '';
  url.host = proxy.address;
  return { url: url.href, proxy };
}

/**
 * Whether a prepared statement, in its form for one row or for many, is being run. Its name stands in Bind behind the
 * NUL that ends the portal's; in Parse a length is before it.
 */
export function runsStatement(name: string): (chunk: Buffer) => boolean {
  return (chunk) => chunk.includes(`\0${name}\0`) || chunk.includes(`\0${name}-many\0`);
}

/** Whether a transaction is being committed. */
export function commits(chunk: Buffer): boolean {
  return chunk.includes('COMMIT\0');
}
