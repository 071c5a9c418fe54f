import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export const namespaces = ['payments', 'orders', 'mail', 'audit'] as const;

/** Finished records that come at a steady rate into a real store, of namespaces that are there, from frequent to rare. */
export class Arrivals {
  readonly #client: pg.Client;
  readonly #rate: number;
  readonly #retentionMs: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  rows = 0;

  constructor(url: string, rate: number, retentionMs: number) {
    this.#client = new pg.Client(url);
    this.#rate = rate;
    this.#retentionMs = retentionMs;
  }

  async start(): Promise<void> {
    await this.#client.connect();
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#client.end();
  }

  async #run(): Promise<void> {
    const startTime = performance.now();
    while (!this.#stopping.signal.aborted) {
      await sleep(50);
      const due = Math.floor((this.#rate * (performance.now() - startTime)) / 1000) - this.rows;
      if (due > 0) await this.#insert(due);
    }
  }

  async #insert(count: number): Promise<void> {
    // Half of the rows are of the first namespace, a quarter of the second, and so on.
    await this.#client.query(
      `INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time, finish_time,
         result_expire_time, record_expire_time, operation, result_code, result_digest, result_envelope, result_payload)
       SELECT ($2::text[])[least(cardinality($2::text[]), 1 + floor(-log(2, (1 - random())::numeric)))], 'customer-1',
         gen_random_uuid()::text, 'COMPLETED', 'RERUN', 1, nextval('onceward.fencing_token'), now(), now(), expire.time,
         expire.time, '/bench.Payments/Charge', 0, '0123456789abcdef', 'envelope',
         decode(repeat('00', 16 + (128 * random())::int), 'hex')
       FROM generate_series(1, $1::int), (SELECT now() + $3::float8 * interval '1 ms' AS time) expire`,
      [count, namespaces, this.#retentionMs],
    );
    this.rows += count;
  }
}
