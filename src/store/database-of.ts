import type { Database } from '../telemetry/statement-observer.js';

/** Where the URL leads, without what it authenticates with. */
export function databaseOf(url: string): Database {
  // The driver accepts an empty host after a user, and lets the `host` and `port` parameters win.
  const { hostname, port, pathname, username, searchParams } = new URL(url.replace('@/', '@localhost/'));
  const address = searchParams.get('host') ?? decodeURIComponent(hostname);
  const isSocket = address === '' || address.startsWith('/');
  return {
    // Without a database it is the one that is named like the user.
    name: decodeURIComponent(pathname.slice(1) || username),
    address: isSocket ? undefined : address,
    port: isSocket ? undefined : Number(searchParams.get('port') ?? (port || 5432)),
  };
}
