import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { type CallKind, callKinds, holds } from '../support/call-kinds.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.js';
import { commits, proxyDatabase, runsStatement } from '../support/proxied-database.js';

let setup: TestSetup;
/** Its way to Postgres can fail. */
let coordinator: TestCoordinator;
let toPostgres: FaultProxy;
/** Between the caller and the coordinator. */
let toCoordinator: FaultProxy;
let caller: CoordinatorConnection;

beforeAll(async () => {
  setup = await startSetup();
  const { url, proxy } = await proxyDatabase(setup.database.url);
  toPostgres = proxy;
  coordinator = await startCoordinator(url);
  toCoordinator = await startFaultProxy({ target: coordinator.address, protocol: 'http2' });
  caller = connectCoordinator({ address: toCoordinator.address });
});
afterAll(async () => {
  caller.close();
  await toCoordinator.close();
  await coordinator.stop();
  await toPostgres.close();
  await setup.stop();
});

const lines: Readonly<Record<string, string>> = {
  Begin: 'Begin committed, answer lost; caller resends: same grant (attempt_id)',
  Complete: 'Complete committed, answer lost; caller resends: OK, already',
};

describe.each(callKinds)('$name', (kind) => {
  const line = lines[kind.name] ?? `${kind.name} committed, answer lost; caller resends: the same answer`;

  test(`${kind.name} lost before the commit; caller resends: as if sent once`, async () => {
    const key = `${kind.name}-before-commit`.replaceAll(' ', '-');
    const call = await kind.prepare(key, coordinator, setup.database);
    const lost = toPostgres.loseNextRequest(carries(kind));
    await expectUnavailable(call.send(caller));
    await lost;
    expect(await holds(setup.database, key, call.committed)).toBe(false);

    expect(await call.send(caller)).toMatchObject(call.answer(false));
    expect(await holds(setup.database, key, call.committed)).toBe(true);
  });

  test(`${line} (lost after the commit)`, async () => {
    const key = `${kind.name}-after-commit`.replaceAll(' ', '-');
    const call = await kind.prepare(key, coordinator, setup.database);
    const lost = toPostgres.loseNextAnswer(carries(kind));
    await expectUnavailable(call.send(caller));
    await lost;
    expect(await holds(setup.database, key, call.committed)).toBe(true);
    const token = await tokenIn(key);

    expect(await call.send(caller)).toMatchObject(call.answer(true));
    expect(await tokenIn(key)).toBe(token);
  });

  test(`${line} (lost before the reply)`, async () => {
    const key = `${kind.name}-before-reply`.replaceAll(' ', '-');
    const call = await kind.prepare(key, coordinator, setup.database);
    const lost = toCoordinator.loseNextAnswer();
    await expect(call.send(caller)).rejects.toMatchObject({ fromCoordinator: false });
    await lost;
    expect(await holds(setup.database, key, call.committed)).toBe(true);
    const token = await tokenIn(key);

    const again = await call.send(caller);
    expect(again).toMatchObject(call.answer(true));
    expect(await tokenIn(key)).toBe(token);
    if (kind.name.startsWith('Begin')) {
      expect(again).toMatchObject({ outcome: { value: { fencingToken: token } } });
    }
  });
});

/** What on the way to Postgres decides over the call's effect. */
function carries(kind: CallKind): (chunk: Buffer) => boolean {
  return kind.statement === undefined ? commits : runsStatement(kind.statement);
}

async function expectUnavailable(call: Promise<unknown>): Promise<void> {
  await expect(call).rejects.toMatchObject({
    code: 14,
    reason: 'STORE_UNAVAILABLE',
    retryAfterMs: expect.any(Number) as number,
  });
}

async function tokenIn(key: string): Promise<bigint | undefined> {
  const [row] = await setup.database.query<{ token: string }>(
    'SELECT fencing_token AS token FROM onceward.record WHERE key = $1',
    [key],
  );
  return row && BigInt(row.token);
}
