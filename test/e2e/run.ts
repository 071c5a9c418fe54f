import { once } from 'node:events';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SpanKind, context, trace } from '@opentelemetry/api';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { keyed } from '../../src/index.js';
import { startChild, startServe, type Child } from '../support/child.js';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { createNamedDatabase, queryOnce } from '../support/named-database.js';
import { putNamespace } from '../support/namespaces.js';
import { seededRandom } from '../support/seeded-random.js';
import { remote, type PlacedOrder, type PlaceOrderRequest } from './example.js';
import { trackSpans, type SeenSpan } from './service.js';

export interface RunOptions {
  readonly orders: number;
  readonly seed: number;
  /** Share of answers that are lost, at each hop. */
  readonly loseAnswer: number;
  /** How often a service is killed, one of them at a time. */
  readonly kills: number;
  /** Of a server where the run may create databases. */
  readonly postgresUrl: string;
  readonly onProgress?: (done: number, kills: number) => void;
}

export interface RunResult {
  /** By service: what its database says was done, one entry an effect. */
  readonly effects: ReadonlyMap<ServiceName, readonly Effect[]>;
  readonly orders: readonly Order[];
  /** Spans of guarded operations, of all services. */
  readonly spans: readonly SeenSpan[];
  readonly answersLost: number;
  readonly kills: number;
}

export interface Effect {
  readonly order: string;
  readonly what: string;
}

export interface Order {
  readonly id: string;
  readonly key: string;
  readonly traceId: string;
  readonly answer: PlacedOrder;
}

export type ServiceName = 'ledger' | 'payment' | 'shop';

const ordersAtOnce = 16;
/** A killed owner's keys are free again after this. */
const lease = { seconds: 1n, nanos: 0 };

/** Three services in a chain, each with a lossy network in front of it, and customers who try until they are answered. */
export async function runExample(options: RunOptions): Promise<RunResult> {
  const undo: (() => Promise<unknown>)[] = [];
  try {
    return await run(options, undo);
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

async function run(options: RunOptions, undo: (() => Promise<unknown>)[]): Promise<RunResult> {
  const { postgresUrl, orders, seed } = options;
  const spans: SeenSpan[] = [];
  const coordinator = await startServe(await createNamedDatabase(postgresUrl, 'example_onceward'));
  undo.push(() => coordinator.stop());
  const connection = connectCoordinator(coordinator);
  undo.push(() => {
    connection.close();
    return Promise.resolve();
  });
  for (const namespace of ['shop', 'payments', 'ledger']) {
    await putNamespace(connection, namespace, { defaultLease: lease });
  }
  const chain: Service[] = [];
  for (const name of ['ledger', 'payment', 'shop'] as const) {
    const databaseUrl = await createNamedDatabase(postgresUrl, `example_${name}`, effectSchema);
    const service = new Service(
      name,
      databaseUrl,
      coordinator.address,
      chain.at(-1)?.address ?? '',
      (span) => {
        spans.push(span);
      },
    );
    await service.start(seed, options.loseAnswer);
    undo.push(() => service.stop());
    chain.push(service);
  }
  const placed = await placeOrders(options, chain);
  const effects = new Map<ServiceName, readonly Effect[]>();
  for (const { name, databaseUrl } of chain) effects.set(name, await effectsIn(databaseUrl));
  return {
    effects,
    orders: placed,
    spans,
    answersLost: chain.reduce((sum, { answersLost }) => sum + answersLost, 0),
    kills: orders > 0 ? options.kills : 0,
  };
}

/** Each customer makes one key an order, and tries until there is an answer. */
async function placeOrders(options: RunOptions, chain: readonly Service[]): Promise<Order[]> {
  trackSpans(() => undefined);
  const tracer = trace.getTracer('customer');
  const placeOrder = remote<PlaceOrderRequest, PlacedOrder>(
    chain.at(-1)?.address ?? '',
    'Shop',
    'PlaceOrder',
  );
  const random = seededRandom(options.seed);
  const placed: Order[] = [];
  let next = 0;
  let kills = 0;
  let replacing: Promise<void> = Promise.resolve();
  const customer = async () => {
    while (next < options.orders) {
      next += 1;
      const id = `order-${next}`;
      const key = randomUUID();
      const span = tracer.startSpan('order', { kind: SpanKind.CLIENT });
      const { traceId } = span.spanContext();
      const answer = await context.with(trace.setSpan(context.active(), span), () =>
        untilAnswered(() =>
          placeOrder({ order: id, cents: 1000 }, keyed({ key }, { deadline: Date.now() + 10_000 })),
        ),
      );
      span.end();
      placed.push({ id, key, traceId, answer });
      if (kills < options.kills && placed.length > (options.orders * (kills + 1)) / (options.kills + 1)) {
        kills += 1;
        const victim = chain[Math.trunc(random() * chain.length)];
        replacing = replacing.then(() => victim?.replace());
      }
      options.onProgress?.(placed.length, kills);
    }
  };
  await Promise.all(Array.from({ length: ordersAtOnce }, customer));
  await replacing;
  placeOrder.close();
  return placed;
}

const maxTries = 100;

async function untilAnswered<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      if (tries === maxTries) throw error;
    }
  }
}

/** A service behind its lossy network; killed and started again on the same port. */
class Service {
  readonly #coordinator: string;
  readonly #next: string;
  readonly #see: (span: SeenSpan) => void;
  #child: Child | undefined;
  #port = 0;
  #proxy: FaultProxy | undefined;

  constructor(
    readonly name: ServiceName,
    readonly databaseUrl: string,
    coordinator: string,
    next: string,
    see: (span: SeenSpan) => void,
  ) {
    this.#coordinator = coordinator;
    this.#next = next;
    this.#see = see;
  }

  get address(): string {
    return this.#proxy?.address ?? '';
  }

  get answersLost(): number {
    return this.#proxy?.counts.answersLost ?? 0;
  }

  async start(seed: number, loseAnswer: number): Promise<void> {
    await this.#spawn();
    this.#proxy = await startFaultProxy({
      target: `127.0.0.1:${this.#port}`,
      protocol: 'http2',
      random: { seed, loseAnswer },
    });
  }

  async replace(): Promise<void> {
    await this.#child?.kill();
    await this.#spawn();
  }

  async stop(): Promise<void> {
    await this.#proxy?.close();
    await this.#child?.kill();
  }

  async #spawn(): Promise<void> {
    const args = [String(this.#port), this.databaseUrl, this.#coordinator, this.#next];
    const child = startChild([`test/e2e/${this.name}.ts`, ...args], { ipc: true });
    this.#child = child;
    const [said] = (await once(child.process, 'message')) as [{ port: number }];
    this.#port = said.port;
    child.process.on('message', ({ span }: { span: SeenSpan }) => {
      this.#see(span);
    });
  }
}

const receipts = readFileSync(new URL('../../src/client/receipts.sql', import.meta.url), 'utf8');
// No unique key: that an effect is there once is what the run has to show.
const effectSchema = `${receipts}; CREATE TABLE effect (order_id text NOT NULL, what text NOT NULL)`;

async function effectsIn(databaseUrl: string): Promise<Effect[]> {
  const rows = await queryOnce<{ order_id: string; what: string }>(
    databaseUrl,
    'SELECT order_id, what FROM effect',
  );
  return rows.map(({ order_id: order, what }) => ({ order, what }));
}
