import pg from 'pg';

/** A database on a server of the run's own, with a schema of statements; answers its URL. */
export async function createNamedDatabase(postgresUrl: string, name: string, schema = ''): Promise<string> {
  await queryOnce(postgresUrl, `CREATE DATABASE ${name}`);
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  await queryOnce(url.href, schema);
  return url.href;
}

/** One query on a connection of its own. */
export async function queryOnce<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}
