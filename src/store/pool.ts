import pg from 'pg';
import { execute } from './execution.js';
import { classify, isReadOnly } from './failure.js';
import type { PreparedQuery } from './statement.js';
import { valueParsers, type ParseValue, type QueryRow } from './values.js';

export interface PoolOptions {
  readonly url: string;
  /** Appears in pg_stat_activity. */
  readonly name: string;
  readonly maxConnections: number;
  /** Bound of one statement, ms; a client that hits it is destroyed, since its answer may still come. */
  readonly statementTimeoutMs: number;
  /** Bound of opening a connection or waiting for a free one, ms. */
  readonly connectTimeoutMs: number;
  /** Of every session, e.g. `{ jit: 'off' }`. Default: none. */
  readonly settings?: SessionSettings;
  readonly onIdleError: (error: Error) => void;
}

/** Settings of Postgres, given as a connection is opened: SET would leak through a pooler. */
export type SessionSettings = Readonly<Record<string, string>>;

/** Runs one statement on a connection that is ours for the time being. */
export type Query = (query: PreparedQuery | string) => Promise<readonly QueryRow[]>;

/** A bounded set of connections to one Postgres. */
export class Pool {
  readonly #pool: pg.Pool;

  constructor(options: PoolOptions) {
    this.#pool = new pg.Pool({
      ...connectionConfig(options.url, options.settings),
      application_name: options.name,
      max: options.maxConnections,
      connectionTimeoutMillis: options.connectTimeoutMs,
      query_timeout: options.statementTimeoutMs,
      keepAlive: true,
      idleTimeoutMillis: 60_000,
    });
    // Without a listener an idle connection that Postgres closes would end the process.
    this.#pool.on('error', options.onIdleError);
    // The pool listens only to idle clients. One may break while it is lent, or by what it read when it was opened, before who asked for
    // it has it; the statement that is run on it gets the failure.
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  /** Lends a connection to `work`; errors of the driver and of Postgres come through as they are. */
  async use<T>(work: (query: Query) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    // A synchronous-replication wait that was cancelled ends in success and this warning: the commit is only local.
    let warned = false;
    const onNotice = (notice: { code?: string | undefined }) => {
      warned ||= notice.code === '01000';
    };
    client.on('notice', onNotice);
    // Also when `work` gets over it: what is still to come on this connection is not for the next one.
    let broken = false;
    const query: Query = async (statement) => {
      try {
        const rows =
          typeof statement === 'string'
            ? (await client.query<QueryRow>(statement)).rows
            : await execute(client, statement);
        if (warned) throw new Error('committed locally, but perhaps not replicated');
        return rows;
      } catch (error) {
        // A connection to a primary that was demoted stays read-only for ever; a new one finds the new primary.
        broken ||= classify(error) === 'unknown' || isReadOnly(error);
        throw error;
      }
    };
    try {
      return await work(query);
    } catch (error) {
      broken ||= classify(error) === 'unknown';
      throw error;
    } finally {
      client.off('notice', onNotice);
      client.release(broken);
    }
  }

  /** Runs `work` in a transaction. */
  transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return this.use(async (query) => {
      await query('BEGIN');
      try {
        const answer = await work(query);
        await query('COMMIT');
        return answer;
      } catch (error) {
        if (classify(error) !== 'unknown') await query('ROLLBACK');
        throw error;
      }
    });
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}

/** How every connection of ours is opened: sslmode as libpq means it, and values as the core wants them. */
export function connectionConfig(url: string, settings: SessionSettings = {}): pg.ClientConfig {
  const libpq = /[?&]sslmode=/.test(url) && !/[?&]uselibpqcompat=/.test(url);
  return {
    connectionString: withSettings(libpq ? `${url}&uselibpqcompat=true` : url, settings),
    types: {
      getTypeParser: (oid, format) =>
        valueParsers.get(oid) ?? (pg.types.getTypeParser(oid, format) as ParseValue),
    },
  };
}

/** Settings that the URL itself names come last, and win. */
function withSettings(url: string, settings: SessionSettings): string {
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  if (flags.length === 0) return url;
  const ours = encodeURIComponent(flags.join(' '));
  if (/[?&]options=/.test(url)) return url.replace(/([?&]options=)/, `$1${ours}%20`);
  return `${url}${url.includes('?') ? '&' : '?'}options=${ours}`;
}
