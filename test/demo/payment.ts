/**
 * The payment service, a process of its own: `payment.ts <port> <database URL> [<coordinator address>]`. Without a
 * coordinator it just charges. With one its methods are idempotent, and a receipt is written in the transaction of the charge.
 */
import { setTimeout as pause } from 'node:timers/promises';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import pg from 'pg';
import { connectOnceward, currentOperation, idempotentService, withReceipt } from '../../src/index.js';
import { inTransaction, insertCharge } from './ledger.js';
import { paymentService, type ChargeRequest, type ChargeResponse } from './payment-service.js';

const [port = '0', databaseUrl = '', coordinator] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });

const handlers = {
  Charge: (
    { request }: ServerUnaryCall<ChargeRequest, ChargeResponse>,
    answer: sendUnaryData<ChargeResponse>,
  ) => {
    charge(request).then(
      (response) => answer(null, response),
      // The caller retries whatever it is told: it can't know what happened.
      (error: unknown) =>
        answer({ code: status.UNAVAILABLE, details: String(error), metadata: new Metadata() }),
    );
  },
};

const server = new Server();
if (coordinator === undefined) server.addService(paymentService, handlers);
else {
  const onceward = connectOnceward({ addresses: [coordinator], namespace: 'payments' });
  server.addService(...idempotentService(onceward, paymentService, handlers, { leaseMs: 800, waitMs: 3000 }));
}
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
  if (error) throw error;
  process.send?.({ port: bound });
});
// The demo ended, in whatever way.
process.on('disconnect', () => process.exit());

async function charge(request: ChargeRequest): Promise<ChargeResponse> {
  await cardNetwork();
  const operation = currentOperation();
  const response = await inTransaction(pool, (tx) =>
    operation === undefined
      ? insertCharge(tx, request)
      : withReceipt(tx, operation, () => insertCharge(tx, request)),
  );
  // Where the service dies here, the charge is committed and nobody knows: with Onceward the next attempt finds the receipt.
  await cardNetwork();
  return response;
}

/** The time the world outside takes, in which a process can die. */
function cardNetwork(): Promise<void> {
  return pause(Math.random() * 8);
}
