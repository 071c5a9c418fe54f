/**
 * The load generator, a process of its own: told over IPC how many cycles to keep in flight and for how long, it answers
 * what it measured. A cycle is a Begin on a new key and the Complete of its grant, by the plain generated unary client
 * over one channel, as a caller without the SDK would.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { credentials } from '@grpc/grpc-js';
import * as hdr from 'hdr-histogram-js';
import {
  BeginRequest,
  CompleteRequest,
  CoordinatorClient,
  type BeginResponse,
  type CompleteResponse,
} from '../../src/gen/onceward/v1/coordinator.js';
import { sample } from './sample.js';

export interface LoadOrder {
  readonly inFlight: number;
  readonly durationMs: number;
}

export interface LoadReport {
  readonly cyclesPerSecond: number;
  readonly cycles: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the Begins alone. */
  readonly beginP50Ms: number;
  readonly beginP99Ms: number;
  /** CPU of this process, ms. */
  readonly cpuMs: number;
}

const [address = ''] = process.argv.slice(2);
const client = new CoordinatorClient(address, credentials.createInsecure());
const emptyBegin = BeginRequest.decode(Buffer.alloc(0));
const emptyComplete = CompleteRequest.decode(Buffer.alloc(0));

process.on('message', (order: LoadOrder) => {
  void run(order).then((report) => process.send?.(report));
});
// The bench ended, in whatever way.
process.on('disconnect', () => process.exit());

async function run({ inFlight, durationMs }: LoadOrder): Promise<LoadReport> {
  const histogram = newHistogram();
  const begins = newHistogram();
  const cpu = process.cpuUsage();
  const startTime = performance.now();
  const endTime = startTime + durationMs;
  const lane = async () => {
    while (performance.now() < endTime) {
      const sentTime = performance.now();
      await cycle(() => {
        begins.recordValue(Math.round((performance.now() - sentTime) * 1000));
      });
      histogram.recordValue(Math.round((performance.now() - sentTime) * 1000));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  const elapsedMs = performance.now() - startTime;
  const { user, system } = process.cpuUsage(cpu);
  return {
    cycles: histogram.totalCount,
    cyclesPerSecond: (histogram.totalCount / elapsedMs) * 1000,
    p50Ms: histogram.getValueAtPercentile(50) / 1000,
    p99Ms: histogram.getValueAtPercentile(99) / 1000,
    beginP50Ms: begins.getValueAtPercentile(50) / 1000,
    beginP99Ms: begins.getValueAtPercentile(99) / 1000,
    cpuMs: (user + system) / 1000,
  };
}

function newHistogram(): hdr.Histogram {
  return hdr.build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
}

async function cycle(onBegun: () => void): Promise<void> {
  // 63 random bits in decimal, like the keys pgbench draws.
  const key = String(randomBytes(8).readBigUInt64BE() >> 1n);
  const ref = { namespace: sample.namespace, scope: sample.scope, key };
  const { operation, fingerprint } = sample;
  const begun = await begin({ ...emptyBegin, ref, operation, fingerprint, attemptId: randomUUID() });
  onBegun();
  if (begun.outcome?.$case !== 'execute') throw new Error(`a new key was answered ${begun.outcome?.$case}`);
  const { fencingToken } = begun.outcome.value;
  await complete({ ...emptyComplete, ref, fencingToken, result: sample.result });
}

function begin(request: BeginRequest): Promise<BeginResponse> {
  return new Promise((resolve, reject) => {
    client.begin(request, (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}

function complete(request: CompleteRequest): Promise<CompleteResponse> {
  return new Promise((resolve, reject) => {
    client.complete(request, (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}
