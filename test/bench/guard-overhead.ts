/**
 * `tsx test/bench/guard-overhead.ts [calls]`: one unary call through a guarded method against the same call through the same
 * method unguarded, in turns, with a new key each time. Coordinator and Postgres are processes of their own; service and
 * caller share this one.
 */
import { Client, credentials, Metadata, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { build as buildHistogram, type Histogram } from 'hdr-histogram-js';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { connectOnceward, idempotentService, keyed, propagate } from '../../src/index.js';
import { startServe } from '../support/child.js';
import { putNamespace } from '../support/namespaces.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import {
  shopMethod,
  shopService,
  startServer,
  type ChargeReply,
  type ChargeRequest,
} from '../support/shop-service.js';

const calls = Number(process.argv[2] ?? 2000);
const warmUpCalls = 300;
/** Switching in the run spreads what else the machine does over both. */
const turns = 10;

const undo: (() => unknown)[] = [];
try {
  const postgres = await startScratchPostgres();
  undo.push(() => postgres.stop());
  const coordinator = await startServe(postgres.url);
  undo.push(() => coordinator.stop());
  const admin = connectCoordinator(coordinator);
  undo.push(() => admin.close());
  await putNamespace(admin, 'bench');
  const onceward = connectOnceward({ addresses: [coordinator.address], namespace: 'bench' });
  undo.push(() => onceward.close());

  const handlers = {
    Charge: (_: ServerUnaryCall<ChargeRequest, ChargeReply>, callback: sendUnaryData<ChargeReply>) => {
      callback(null, { charge: 'c'.repeat(240), number: 1 });
    },
  };
  const unguarded = callerOf(await startServer(shopService, handlers));
  const guarded = callerOf(await startServer(...idempotentService(onceward, shopService, handlers)));
  for (const inFlight of [1, 16]) {
    const [without, withGuard] = [buildHistogram(), buildHistogram()];
    for (const call of [unguarded, guarded]) await measure(call, warmUpCalls, inFlight, buildHistogram());
    for (let turn = 0; turn < turns; turn += 1) {
      await measure(unguarded, calls / turns, inFlight, without);
      await measure(guarded, calls / turns, inFlight, withGuard);
    }
    for (const percent of [50, 99]) {
      const [a, b] = [without, withGuard].map((histogram) => histogram.getValueAtPercentile(percent) / 1000);
      process.stdout.write(
        `${inFlight} in flight, p${percent}: ${a?.toFixed(2)} ms unguarded, ${b?.toFixed(2)} ms guarded, ` +
          `${((b ?? 0) - (a ?? 0)).toFixed(2)} ms more\n`,
      );
    }
  }
} finally {
  for (const step of undo.reverse()) await step();
}

type CallOnce = () => Promise<void>;

function callerOf(server: { readonly address: string; readonly stop: () => void }): CallOnce {
  undo.push(() => server.stop());
  const { path, requestSerialize, responseDeserialize } = shopMethod('Charge');
  const client = new Client(server.address, credentials.createInsecure(), { interceptors: [propagate()] });
  undo.push(() => client.close());
  const request = { order: 'order-1', cents: 1000 };
  let count = 0;
  return () =>
    new Promise((resolve, reject) => {
      count += 1;
      const options = keyed({ key: `${server.address}-${count}` }, { deadline: Date.now() + 10_000 });
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        options,
        (error) => {
          if (error) reject(error);
          else resolve();
        },
      );
    });
}

async function measure(call: CallOnce, count: number, inFlight: number, histogram: Histogram): Promise<void> {
  let left = count;
  const caller = async () => {
    while (left > 0) {
      left -= 1;
      const startTime = performance.now();
      await call();
      histogram.recordValue(Math.round((performance.now() - startTime) * 1000));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
}
