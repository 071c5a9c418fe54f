/**
 * The payment service, a process of its own: `payment.ts <port> <database URL> [<coordinator address>]`. Without a
 * coordinator it just charges. With one it asks Onceward first, and writes a receipt in the transaction of the charge.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Metadata, Server, ServerCredentials, status, type ServerUnaryCall } from '@grpc/grpc-js';
import pg from 'pg';
import { CallError } from '../../src/client/call-error.js';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { charge, findReceipt, isReceiptTaken, type Receipt } from './ledger.js';
import {
  chargeMethod,
  keyHeader,
  paymentService,
  type ChargeRequest,
  type ChargeResponse,
} from './payment-service.js';

const namespace = 'payments';
const leaseMs = 800;
const waitMs = 3000;

const [port = '0', databaseUrl = '', coordinatorAddress] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 });
const onceward =
  coordinatorAddress === undefined ? undefined : connectCoordinator({ address: coordinatorAddress });

const server = new Server();
server.addService(paymentService, {
  Charge: (
    call: ServerUnaryCall<ChargeRequest, ChargeResponse>,
    answer: (error: object | null, response?: ChargeResponse) => void,
  ) => {
    const [key = ''] = call.metadata.get(keyHeader);
    handle(call.request, String(key)).then(
      (response) => answer(null, response),
      // The caller retries whatever it is told: it can't know what happened.
      (error: unknown) =>
        answer({ code: status.UNAVAILABLE, details: String(error), metadata: new Metadata() }),
    );
  },
});
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
  if (error) throw error;
  process.send?.({ port: bound });
});
// The demo ended, in whatever way.
process.on('disconnect', () => process.exit());

async function handle(request: ChargeRequest, key: string): Promise<ChargeResponse> {
  await cardNetwork();
  if (onceward === undefined) return charge(pool, request);
  return chargeOnce(onceward, request, key);
}

async function chargeOnce(
  { coordinator }: CoordinatorConnection,
  request: ChargeRequest,
  key: string,
): Promise<ChargeResponse> {
  const ref = { namespace, scope: '', key };
  // One id for this attempt, however often its Begin is sent.
  const attemptId = randomUUID();
  const { outcome } = await untilAnswered(() =>
    coordinator.begin({
      ref,
      operation: chargeMethod.path,
      attemptId,
      lease: { seconds: 0n, nanos: leaseMs * 1_000_000 },
      wait: { seconds: BigInt(waitMs / 1000), nanos: 0 },
    }),
  );
  if (outcome?.$case === 'replay') return decode(outcome.value.result?.payload);
  if (outcome?.$case !== 'execute') throw new Error(`not now: ${outcome?.$case ?? 'no outcome'}`);
  const { fencingToken } = outcome.value;
  const response = await chargeWithReceipt(request, { namespace, key, fencingToken });
  // Where the service dies here, the charge is committed and nobody knows: the next attempt finds the receipt.
  await cardNetwork();
  await untilAnswered(() => coordinator.complete({ ref, fencingToken, result: encode(response) }));
  return response;
}

async function chargeWithReceipt(request: ChargeRequest, receipt: Receipt): Promise<ChargeResponse> {
  const earlier = await findReceipt(pool, receipt);
  if (earlier !== undefined) return earlier;
  try {
    return await charge(pool, request, receipt);
  } catch (error) {
    const other = isReceiptTaken(error) ? await findReceipt(pool, receipt) : undefined;
    if (other === undefined) throw error;
    return other;
  }
}

/** Sends a call to the coordinator again while it is not known whether it arrived: every call may be sent again. */
async function untilAnswered<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await send();
    } catch (error) {
      const unknown = error instanceof CallError && retried.includes(error.code);
      if (!unknown || tries === 40) throw error;
      await pause(50);
    }
  }
}

const retried: readonly number[] = [
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.INTERNAL,
];

function encode(response: ChargeResponse) {
  return {
    payload: Buffer.from(JSON.stringify(response)),
    contentType: 'application/json',
    status: undefined,
    initialMetadata: [],
    trailingMetadata: [],
    payloadOmitted: false,
  };
}

function decode(payload: Buffer | undefined): ChargeResponse {
  return JSON.parse(String(payload)) as ChargeResponse;
}

/** The time the world outside takes, in which a process can die. */
function cardNetwork(): Promise<void> {
  return pause(Math.random() * 8);
}
