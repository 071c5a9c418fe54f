/** `@node-idempotency/core` in the service's own process, on a Redis; its store's durability is that of the Redis. */
import { Idempotency } from '@node-idempotency/core';
import { RedisStorageAdapter } from '@node-idempotency/storage-adapter-redis';
import { takeOrders } from '../contestant.js';
import { sample } from '../sample.js';

const [path = ''] = process.argv.slice(2);
const storage = new RedisStorageAdapter({ socket: { path } });
await storage.connect();
const idempotency = new Idempotency(storage, { enforceIdempotency: true });
const body = Buffer.from(sample.result.payload ?? []).toString();

takeOrders(async (key) => {
  const request = {
    method: 'POST',
    path: sample.operation,
    headers: { 'idempotency-key': key },
    body: { cents: 1000 },
  };
  const stored = await idempotency.onRequest<string, unknown>(request);
  if (stored !== undefined) {
    if (stored.body !== body) throw new Error('another result was replayed');
    return 'replayed';
  }
  await idempotency.onResponse(request, { body });
  return 'executed';
});
