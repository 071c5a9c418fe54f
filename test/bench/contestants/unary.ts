/** The plain generated client over one channel, built, as a service in any language has it: two unary calls a cycle. */
import { randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import type * as coordinator from '../../../src/gen/onceward/v1/coordinator.js';
import { takeOrders } from '../contestant.js';
import { importBuilt } from '../import-built.js';
import { sample } from '../sample.js';

const { BeginRequest, CompleteRequest, CoordinatorClient } = await importBuilt<typeof coordinator>(
  'gen/onceward/v1/coordinator.js',
);
const [address = ''] = process.argv.slice(2);
const client = new CoordinatorClient(address, credentials.createInsecure());
const emptyBegin = BeginRequest.decode(Buffer.alloc(0));
const emptyComplete = CompleteRequest.decode(Buffer.alloc(0));
const { namespace, scope, operation, fingerprint, result } = sample;

takeOrders(async (key, onChecked) => {
  const ref = { namespace, scope, key };
  const begun = await new Promise<coordinator.BeginResponse>((resolve, reject) => {
    client.begin(
      { ...emptyBegin, ref, operation, fingerprint, attemptId: randomUUID() },
      (error, response) => (error === null ? resolve(response) : reject(error)),
    );
  });
  onChecked();
  if (begun.outcome?.$case === 'replay') return 'replayed';
  if (begun.outcome?.$case !== 'execute') throw new Error(`answered ${begun.outcome?.$case}`);
  const { fencingToken } = begun.outcome.value;
  await new Promise<coordinator.CompleteResponse>((resolve, reject) => {
    client.complete({ ...emptyComplete, ref, fencingToken, result }, (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
  });
  return 'executed';
});
