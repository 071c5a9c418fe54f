/** Powertools' idempotency around a function, in the service's own process, on a Redis. */
import { IdempotencyConfig, makeIdempotent } from '@aws-lambda-powertools/idempotency';
import { CachePersistenceLayer } from '@aws-lambda-powertools/idempotency/cache';
import { createClient } from '@redis/client';
import type { Context } from 'aws-lambda';
import { takeOrders } from '../contestant.js';
import { sample } from '../sample.js';

const [path = ''] = process.argv.slice(2);
const client = await createClient({ socket: { path, tls: false } }).connect();
const config = new IdempotencyConfig({ eventKeyJmesPath: 'key', throwOnNoIdempotencyKey: true });
// Without the time that is left it has no lease, and warns at every call.
config.registerLambdaContext({ getRemainingTimeInMillis: () => 30_000 } as Context);
const body = Buffer.from(sample.result.payload ?? []).toString();
const executed = new Set<string>();
const charge = makeIdempotent(
  ({ key }: { readonly key: string }) => {
    executed.add(key);
    return Promise.resolve(body);
  },
  { persistenceStore: new CachePersistenceLayer({ client }), config },
);

takeOrders(async (key) => {
  if ((await charge({ key })) !== body) throw new Error('another result came back');
  return executed.delete(key) ? 'executed' : 'replayed';
});
