import { open } from 'node:fs/promises';
import { credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  BeginRequest,
  CoordinatorClient,
  type SessionResponse,
} from '../../src/gen/onceward/v1/coordinator.js';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, counterOf, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { type ChildCoordinator, serve, startChildCoordinator } from '../support/child-coordinator.js';
import { said } from '../support/child.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { freePort } from '../support/free-port.js';
import { proxyDatabase } from '../support/proxied-database.js';
import { until } from '../support/until.js';

const longWait = { wait: durationOf(25_000) };
let setup: TestSetup;
let other: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup();
  [other] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

test('SIGTERM drains: waiters get in_progress, calls under way their answer, Sessions end in order, exit code 0', async () => {
  const child = await startChildCoordinator(setup.database.url);
  await execute(other, 'held', { lease: durationOf(60_000) });
  const unary = child.coordinator.begin(beginRequest('held', longWait), { deadlineMs: 25_000 });
  const { answers, ended } = openSession(child, 'held');
  await until('both wait', async () => (await counterOf(child, 'begin.waited')) === 2n);

  child.signal('SIGTERM');
  expectOutcome(await unary, 'inProgress');
  expect(await ended).toBe('ended in order');
  expect(answers).toMatchObject([{ id: 1n, response: { value: { outcome: { $case: 'inProgress' } } } }]);
  expect(await child.ended).toBe(0);
  await said(child, 'errors', /"msg":"stopped"/);
});

test('a drain ends within its bound, also when the database no longer answers: what is left is UNAVAILABLE', async () => {
  const { child, stall, finishing } = await startStalled(['--drain-timeout-ms', '300']);
  stall();
  const { answer } = await finishing();
  const { ended, begun } = openSession(child, 'unanswered');
  await begun;
  const startTime = performance.now();
  child.signal('SIGTERM');
  expect(await child.ended).toBe(0);
  // The bound, a statement's own, and what a busy machine adds.
  expect(performance.now() - startTime).toBeLessThan(12_000);
  await expect(answer).rejects.toMatchObject({
    code: 14,
    reason: 'STORE_UNAVAILABLE',
    fromCoordinator: true,
  });
  expect(await ended).toMatch(/^14 UNAVAILABLE: the coordinator stopped/);
});

test('a second SIGINT ends it at once', async () => {
  const { child, stall, finishing } = await startStalled(['--drain-timeout-ms', '60000']);
  stall();
  const { answer } = await finishing();
  child.signal('SIGINT');
  await said(child, 'errors', /draining; once more to stop at once/);
  expect(child.hasEnded()).toBe(false);
  child.signal('SIGINT');
  expect(await child.ended).toBe(130);
  await expect(answer).rejects.toMatchObject({ fromCoordinator: false });
});

test("a log that can't be written, as on a full disk, holds up neither calls nor SIGTERM", async () => {
  const readOnly = await open(import.meta.filename);
  onTestFinished(() => readOnly.close());
  const httpPort = String(await freePort());
  const args = ['--database-url', setup.database.url, '--http-port', httpPort];
  const child = serve(args, { stderr: readOnly.fd });
  await until('it is ready', async () => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok);
  child.signal('SIGTERM');
  expect(await child.ended).toBe(0);
});

/** A coordinator whose database falls silent, with an owner that wants to finish. */
async function startStalled(args: readonly string[]) {
  const { url, proxy } = await proxyDatabase(setup.database.url);
  onTestFinished(() => proxy.close());
  const child = await startChildCoordinator(url, args, { env: { ONCEWARD_STATEMENT_TIMEOUT_MS: '5000' } });
  const key = `stalled-${proxy.port}`;
  const granted = expectOutcome(await child.coordinator.begin(beginRequest(key)), 'execute');
  const { fencingToken } = granted;
  const request = { ref: refOf(key), fencingToken, result: result('done') };
  return {
    child,
    stall: () => {
      proxy.stall();
    },
    finishing: async () => {
      const answer = child.coordinator.complete(request, { deadlineMs: 20_000 });
      answer.catch(() => undefined);
      // On one connection calls arrive in order.
      await child.coordinator.getServerInfo({});
      return { answer };
    },
  };
}

/** A stream with one waiting Begin. */
function openSession(child: ChildCoordinator, key: string) {
  const client = new CoordinatorClient(child.address, credentials.createInsecure());
  onTestFinished(() => {
    client.close();
  });
  const session = client.session();
  const answers: SessionResponse['answers'] = [];
  session.on('data', (frame: SessionResponse) => answers.push(...frame.answers));
  const ended = new Promise<string>((resolve) => {
    session.on('end', () => {
      resolve('ended in order');
    });
    session.on('error', (error) => {
      resolve(error.message);
    });
  });
  const begin = { ...BeginRequest.fromPartial({}), ...beginRequest(key, longWait) };
  session.write({ calls: [{ id: 1n, request: { $case: 'begin', value: begin } }] });
  const begun = new Promise((resolve) => client.getServerInfo({}, resolve));
  return { answers, ended, begun };
}
