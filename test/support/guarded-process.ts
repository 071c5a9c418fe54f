/**
 * A service in a process of its own, for tests that stop and kill it. Arguments: coordinator, key, lease in ms, and perhaps a database: then
 * it charges there under a receipt. Prints `running` from inside of its guarded function, then waits for the line `go on` and prints how
 * the call ended.
 */
import { createInterface } from 'node:readline';
import pg from 'pg';
import { guard } from '../../src/client/guard.js';
import { connectOnceward } from '../../src/client/onceward.js';
import type { Operation } from '../../src/client/operation.js';
import { withReceipt } from '../../src/client/with-receipt.js';

const [address = '', key = '', leaseMs = '0', databaseUrl] = process.argv.slice(2);
const onceward = connectOnceward({ addresses: [address], namespace: 'test' });
const orders = createInterface(process.stdin)[Symbol.asyncIterator]();
let signal: AbortSignal | undefined;

async function run(operation: Operation): Promise<string> {
  signal = operation.signal;
  const value = databaseUrl === undefined ? 'by the child' : await charge(operation, databaseUrl);
  console.log('running');
  await orders.next();
  return value;
}

/** Committed when it returns. */
async function charge(operation: Operation, url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query('BEGIN');
  const value = await withReceipt(client, operation, async () => {
    await client.query('INSERT INTO charge (key) VALUES ($1)', [key]);
    return 'charged by the child';
  });
  await client.query('COMMIT');
  await client.end();
  return value;
}

try {
  const value = await guard(onceward, { key, operation: 'charge', leaseMs: Number(leaseMs) }, run);
  console.log(`answer: ${value}`);
} catch (error) {
  console.log(`failed: ${String(error)}`);
}
console.log(`signal: ${signal?.aborted === true ? String(signal.reason) : 'not fired'}`);
onceward.close();
process.exit();
