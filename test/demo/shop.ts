/**
 * The shop, a process of its own: `shop.ts <payment address> <orders>`. It mints one key an order before the first try,
 * and tries again until it is told that the order is paid.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { chargeMethod, keyHeader, type ChargeRequest, type ChargeResponse } from './payment-service.js';

/** Sent to the demo as orders are paid or given up. */
export interface ShopReport {
  readonly paid: number;
  readonly givenUp: number;
  readonly tries: number;
}

const channels = 8;
const ordersPerChannel = 4;
const deadlineMs = 5000;
const maxTries = 200;

const [address = '', orders = '0'] = process.argv.slice(2);
const clients = new Map<number, Client>();
let next = 0;
let paid = 0;
let givenUp = 0;
let tries = 0;

// The demo ended, in whatever way.
process.on('disconnect', () => process.exit());
await Promise.all(Array.from({ length: channels * ordersPerChannel }, (_, i) => sell(clientOf(i))));
report();
process.exit();

async function sell(client: Client): Promise<void> {
  while (next < Number(orders)) {
    next += 1;
    const request = { orderId: `order-${next}`, amountCents: 1000 };
    if (await pay(client, request)) paid += 1;
    else givenUp += 1;
    report();
  }
}

async function pay(client: Client, request: ChargeRequest): Promise<boolean> {
  const key = randomUUID();
  for (let attempt = 0; attempt < maxTries; attempt += 1) {
    tries += 1;
    try {
      await send(client, request, key);
      return true;
    } catch {
      await pause(10 + Math.random() * 40);
    }
  }
  return false;
}

function send(client: Client, request: ChargeRequest, key: string): Promise<ChargeResponse> {
  // While the payment service is being replaced, calls wait for it instead of failing at once.
  const metadata = new Metadata({ waitForReady: true });
  metadata.set(keyHeader, key);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      chargeMethod.path,
      chargeMethod.requestSerialize,
      chargeMethod.responseDeserialize,
      request,
      metadata,
      { deadline: Date.now() + deadlineMs },
      (error, response) => {
        if (error) reject(error);
        else resolve(response as ChargeResponse);
      },
    );
  });
}

/** Several channels, so that a cut connection hits some orders and not all. */
function clientOf(i: number): Client {
  const channel = i % channels;
  const known = clients.get(channel);
  if (known !== undefined) return known;
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
  });
  clients.set(channel, client);
  return client;
}

function report(): void {
  process.send?.({ paid, givenUp, tries } satisfies ShopReport);
}
