import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connectionConfig } from './pool.js';

/** Channels of LISTEN and NOTIFY. */
export const channels = { finished: 'onceward_finished', revision: 'onceward_revision' } as const;
export type Channel = (typeof channels)[keyof typeof channels];

/** How long the end of a connection is waited for, ms. */
const goodbyeMs = 500;
const retryMs = { first: 50, most: 2000 };

/**
 * Hears notifications on a connection of its own, and comes back by itself when that breaks. Nothing relies on it: what
 * is missed is found by polling.
 */
export class Listener {
  readonly #config: pg.ClientConfig;
  readonly #listeners = new Map<Channel, ((payload: string) => void)[]>();
  #client: pg.Client | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryMs = retryMs.first;
  #stopped = false;

  constructor(url: string, connectTimeoutMs: number) {
    this.#config = {
      ...connectionConfig(url),
      application_name: 'onceward listener',
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
    };
  }

  on(channel: Channel, listener: (payload: string) => void): void {
    this.#listeners.set(channel, [...(this.#listeners.get(channel) ?? []), listener]);
  }

  /** Resolves after the first try to connect, successful or not. */
  async start(): Promise<void> {
    const client = new pg.Client(this.#config);
    this.#client = client;
    client.on('notification', ({ channel, payload }) => {
      for (const listener of this.#listeners.get(channel as Channel) ?? []) listener(payload ?? '');
    });
    client.on('error', () => {
      this.#comeBack(client);
    });
    client.on('end', () => {
      this.#comeBack(client);
    });
    try {
      await client.connect();
      for (const channel of Object.values(channels)) await client.query(`LISTEN ${channel}`);
      this.#retryMs = retryMs.first;
    } catch {
      this.#comeBack(client);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    // A server that is no longer there would never say goodbye.
    await Promise.race([
      this.#client?.end().catch(() => undefined),
      sleep(goodbyeMs, undefined, { ref: false }),
    ]);
  }

  #comeBack(client: pg.Client): void {
    if (this.#stopped || this.#client !== client) return;
    this.#client = undefined;
    client.end().catch(() => undefined);
    this.#timer = setTimeout(() => void this.start(), this.#retryMs);
    this.#retryMs = Math.min(this.#retryMs * 2, retryMs.most);
  }
}
