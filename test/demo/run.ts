import { once } from 'node:events';
import pg from 'pg';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { startChild, startServe, type Child, type ServeProcess } from '../support/child.js';
import { createNamedDatabase } from '../support/named-database.js';
import { putNamespace } from '../support/namespaces.js';
import { startFaultProxy, type FaultProxy } from '../support/fault-proxy.js';
import { countLedger, ledgerSchema, type LedgerCount } from './ledger.js';
import type { ShopReport } from './shop.js';

export interface RunOptions {
  readonly withOnceward: boolean;
  readonly orders: number;
  readonly seed: number;
  /** Of a server where the run may create databases. */
  readonly postgresUrl: string;
  readonly onProgress: (progress: Progress) => void;
}

export interface Progress {
  readonly done: number;
  readonly kills: number;
}

/** Counted in the ledger and by the coordinator, not by the caller. */
export interface RunCount extends LedgerCount {
  readonly lostOrders: number;
  /** Counters of the coordinator; undefined without one. */
  readonly replays: number | undefined;
  readonly waits: number | undefined;
  readonly takeovers: number | undefined;
  readonly faults: number;
  readonly kills: number;
  readonly tries: number;
}

/** Chances a request: lost before it arrived, or its answer lost after the effect. */
const faults = { cut: 0.02, loseAnswer: 0.03 };
/** The payment service dies so often in a run. */
const kills = 6;

/** One run of the shop, with everything it needs as processes of their own; all of it is gone afterwards. */
export async function runShop(options: RunOptions): Promise<RunCount> {
  const undo: (() => Promise<unknown>)[] = [];
  try {
    return await run(options, undo);
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

async function run(options: RunOptions, undo: (() => Promise<unknown>)[]): Promise<RunCount> {
  const name = options.withOnceward ? 'with_onceward' : 'without_onceward';
  const ledgerUrl = await createNamedDatabase(options.postgresUrl, `payments_${name}`);
  const ledger = new pg.Client(ledgerUrl);
  await ledger.connect();
  undo.push(() => ledger.end());
  await ledger.query(ledgerSchema);

  const store = options.withOnceward ? await Coordinator.start(options.postgresUrl) : undefined;
  undo.push(() => store?.stop() ?? Promise.resolve());
  const payment = await Payment.start(ledgerUrl, store?.address);
  undo.push(() => payment.kill());
  const proxy = await startFaultProxy({
    target: `127.0.0.1:${payment.port}`,
    protocol: 'http2',
    random: { seed: options.seed, ...faults },
  });
  undo.push(() => proxy.close());

  const report = await sell(options, proxy, payment, store, undo);
  const counters = await store?.counters();
  const counted = await countLedger(ledger);
  return {
    ...counted,
    lostOrders: options.orders - counted.ordersCharged,
    replays: counters?.get('begin.replay'),
    waits: counters?.get('begin.waited'),
    takeovers: counters?.get('begin.execute.takeover'),
    faults: proxy.counts.cut + proxy.counts.answersLost,
    kills: payment.kills,
    tries: report.tries,
  };
}

/** Lets the shop sell; kills the payment service along the way, and the coordinator once. */
async function sell(
  { orders, onProgress }: RunOptions,
  proxy: FaultProxy,
  payment: Payment,
  store: Coordinator | undefined,
  undo: (() => Promise<unknown>)[],
): Promise<ShopReport> {
  const shop = startChild(['test/demo/shop.ts', proxy.address, String(orders)], { ipc: true });
  undo.push(() => shop.kill());
  let last: ShopReport = { paid: 0, givenUp: 0, tries: 0 };
  let replacing: Promise<void> = Promise.resolve();
  let coordinatorKilled = false;
  shop.process.on('message', (report: ShopReport) => {
    last = report;
    const done = report.paid + report.givenUp;
    if (payment.kills < kills && done > (orders * (payment.kills + 1)) / (kills + 1)) {
      replacing = replacing.then(() => payment.replace());
      payment.kills += 1;
    }
    if (store !== undefined && !coordinatorKilled && done > orders / 2) {
      coordinatorKilled = true;
      replacing = replacing.then(() => store.replace());
    }
    onProgress({ done, kills: payment.kills });
  });
  await shop.ended;
  await replacing;
  return last;
}

/** The payment service; killed and replaced on the same port. */
class Payment {
  kills = 0;
  readonly #args: readonly string[];
  #child: Child;

  private constructor(
    child: Child,
    args: readonly string[],
    readonly port: number,
  ) {
    this.#child = child;
    this.#args = args;
  }

  static async start(ledgerUrl: string, coordinatorAddress: string | undefined): Promise<Payment> {
    const args = [ledgerUrl, ...(coordinatorAddress === undefined ? [] : [coordinatorAddress])];
    const { child, port } = await startPayment(0, args);
    return new Payment(child, args, port);
  }

  async replace(): Promise<void> {
    await this.#child.kill();
    this.#child = (await startPayment(this.port, this.#args)).child;
  }

  kill(): Promise<void> {
    return this.#child.kill();
  }
}

async function startPayment(port: number, args: readonly string[]): Promise<{ child: Child; port: number }> {
  const child = startChild(['test/demo/payment.ts', String(port), ...args], { ipc: true });
  const [said] = (await once(child.process, 'message')) as [{ port: number }];
  return { child, port: said.port };
}

/** The coordinator; its counters survive its death here. */
class Coordinator {
  readonly #databaseUrl: string;
  readonly #earlier = new Map<string, number>();
  #process: ServeProcess;
  #connection: CoordinatorConnection;

  private constructor(databaseUrl: string, started: ServeProcess, connection: CoordinatorConnection) {
    this.#databaseUrl = databaseUrl;
    this.#process = started;
    this.#connection = connection;
  }

  static async start(postgresUrl: string): Promise<Coordinator> {
    const databaseUrl = await createNamedDatabase(postgresUrl, 'onceward_demo');
    const started = await startServe(databaseUrl);
    const connection = connectCoordinator(started);
    await putNamespace(connection, 'payments');
    return new Coordinator(databaseUrl, started, connection);
  }

  get address(): string {
    return this.#process.address;
  }

  /** What this process and its predecessor counted. */
  async counters(): Promise<ReadonlyMap<string, number>> {
    const { counters } = await this.#connection.admin.getStats({});
    return new Map(
      Object.entries(counters).map(([name, count]) => [name, Number(count) + (this.#earlier.get(name) ?? 0)]),
    );
  }

  async replace(): Promise<void> {
    for (const [name, count] of await this.counters()) this.#earlier.set(name, count);
    this.#connection.close();
    await this.#process.kill();
    this.#process = await startServe(this.#databaseUrl, { port: this.#process.port });
    this.#connection = connectCoordinator(this.#process);
  }

  stop(): Promise<void> {
    this.#connection.close();
    return this.#process.stop();
  }
}
