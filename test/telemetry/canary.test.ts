import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BeginRequest } from '../../src/gen/onceward/v1/coordinator.js';
import { beginRequest, expectOutcome } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startCollector, type Collector } from '../support/collector.js';
import { startCoordinator, type TestCoordinator } from '../support/coordinator.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { putNamespace } from '../support/namespaces.js';
import { begin, rawClient } from '../support/raw-call.js';
import { openSession } from '../support/session.js';

/** In everything a caller can say. */
const canary = 'canary-7e3f';
/** Where tokens go on from; in decimal and as bytes it looks like nothing else. */
const firstToken = 7_301_942_650_123_777n;
const tokenDigits = /73019426501237\d\d/;

let collector: Collector;
let database: TestDatabase;
let one: TestCoordinator;
beforeAll(async () => {
  collector = await startCollector();
  database = await createDatabase();
  // Before the start: the number of tokens drawn since then is told, and must not look like one.
  await database.query(`ALTER SEQUENCE onceward.fencing_token RESTART WITH ${firstToken}`);
  one = await startCoordinator(database.url, { otlpEndpoint: collector.url, statementTimeoutMs: 1000 });
  await putNamespace(one, 'test');
});
afterAll(async () => {
  await database.drop();
  await collector.close();
});

const ref = { namespace: 'test', scope: `scope-${canary}`, key: `key-${canary}` };
const bytes = Buffer.from(`payload-${canary}`);
const status = { code: 9, message: `message-${canary}`, details: bytes };
const entry = { name: `x-${canary}`, value: bytes };
const result = {
  payload: bytes,
  contentType: `text/${canary}`,
  status: undefined,
  initialMetadata: [entry],
  trailingMetadata: [entry],
  payloadOmitted: false,
};

function request(more: Partial<BeginRequest> = {}): Partial<BeginRequest> {
  return beginRequest('', {
    ref,
    operation: `/shop.v1/${canary}`,
    attemptId: `attempt-${canary}`,
    fingerprint: { version: 1, digest: bytes },
    parent: { ...ref, key: `parent-${canary}` },
    labels: { [canary]: canary },
    ...more,
  });
}

/** Every kind of call, answered well and badly. */
async function callEverything(): Promise<void> {
  const { coordinator, admin } = one;
  const token = async (more: Partial<BeginRequest> = {}) =>
    expectOutcome(await coordinator.begin(request(more)), 'execute').fencingToken;
  const fencingToken = await token();
  expect(String(fencingToken)).toMatch(tokenDigits);
  const held = { ref, fencingToken };
  await coordinator.heartbeat({ ...held, lease: undefined, checkpoint: bytes, checkpointSequence: 1n });
  await coordinator.begin(request({ attemptId: `other-${canary}` }));
  await caught(coordinator.complete({ ref, fencingToken: fencingToken + 1n, result }));
  await coordinator.complete({ ...held, result });
  await caught(coordinator.complete({ ...held, result: { ...result, payload: Buffer.from(canary) } }));
  await coordinator.begin(request());
  await caught(coordinator.begin(request({ operation: `/shop.v1/Other-${canary}` })));
  await coordinator.lookup({ ref, withResult: true, withLineage: true });

  const failed = { ...ref, key: `failed-${canary}` };
  const fail = { kind: 1, status, trailingMetadata: [entry], retryAfter: undefined };
  await coordinator.fail({ ref: failed, fencingToken: await token({ ref: failed }), ...fail });
  const mint = { namespace: 'test', scope: `scope-${canary}`, clientRequestId: `id-${canary}` };
  await coordinator.mintKey(mint);

  const bad = { namespace: canary, scope: canary, key: `${canary} with spaces` };
  await caught(coordinator.begin(request({ ref: bad })));
  await caught(coordinator.begin(request({ ref: { ...ref, namespace: canary } })));
  await caught(coordinator.begin(request({ ref: { ...ref, namespace: `${canary} with spaces` } })));
  await caught(admin.getNamespace({ name: `${canary} with spaces` }));
  await admin.listRecords({ namespace: 'test', keyPrefix: `key-${canary}` });
  await admin.forget({ ref: failed, reason: `reason-${canary}`, evenIfLeased: false });
  await caught(admin.resolve({ ref, reason: `reason-${canary}`, decision: undefined }));
  await admin.listAudit({});

  const raw = rawClient(one.address);
  await raw.call(begin, Buffer.from(`not protobuf ${canary}`));
  raw.close();
  const value = BeginRequest.fromPartial(request({ ref: { ...ref, key: `framed-${canary}` } }));
  await coordinator.batch({ calls: [{ id: 1n, request: { $case: 'begin', value } }] });
  const session = openSession(one.address);
  session.send({ id: 1n, request: { $case: 'begin', value } });
  await session.answersTo([1n]);
  session.close();
}

test('no key, scope, payload, token or text of a caller is in what is exported', async () => {
  await putNamespace(one, 'test');
  await callEverything();
  const scraped = await (await fetch(`http://127.0.0.1:${one.server.httpPort}/metrics`)).text();
  await one.stop();

  expect(collector.spans().length).toBeGreaterThan(30);
  expect(collector.metrics().length).toBeGreaterThan(10);
  const exported = [scraped, ...collector.bodies.map((body) => Buffer.from(body).toString('latin1'))].join(
    '\n',
  );
  expect(exported.toLowerCase().indexOf(canary)).toBe(-1);
  expect(exported).not.toMatch(tokenDigits);
  for (const body of collector.bodies) {
    for (let token = firstToken; token < firstToken + 10n; token += 1n) {
      for (const form of [fixed(token), varint(token)]) expect(Buffer.from(body).includes(form)).toBe(false);
    }
  }
});

function fixed(token: bigint): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(token);
  return buffer;
}

function varint(token: bigint): Buffer {
  return Buffer.from(new BinaryWriter().uint64(token).finish());
}
