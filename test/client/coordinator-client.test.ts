import { afterEach, describe, expect, it } from 'vitest';
import { CallError, codeName, codeOf } from '../../src/client/call-error.js';
import { connectCoordinator, type CoordinatorConnection } from '../../src/client/coordinator-client.js';
import {
  errorWith,
  startScriptedCoordinator,
  type ErrorScript,
  type Script,
} from '../support/scripted-coordinator.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function connected(
  scripts: Record<string, Script>,
  deadlineMs = 10_000,
): Promise<CoordinatorConnection> {
  const server = await startScriptedCoordinator(scripts);
  const connection = connectCoordinator({ address: server.address, deadlineMs });
  closers.push(
    () => {
      connection.close();
    },
    () => {
      server.stop();
    },
  );
  return connection;
}

async function failureOf(call: Promise<unknown>): Promise<CallError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CallError)) throw new Error(`expected a CallError, got ${String(error)}`);
  return error;
}

describe('methods', () => {
  it('are every unary one of both services', async () => {
    const { coordinator, admin } = await connected({});
    expect(Object.keys(coordinator).sort()).toEqual([
      'batch',
      'begin',
      'complete',
      'fail',
      'getServerInfo',
      'heartbeat',
      'lookup',
      'mintKey',
    ]);
    expect(Object.keys(admin).sort()).toEqual([
      'forget',
      'getNamespace',
      'getStats',
      'listAudit',
      'listNamespaces',
      'listRecords',
      'putNamespace',
      'resolve',
      'sweep',
    ]);
  });

  it('send what is given and the defaults of the rest', async () => {
    const seen: object[] = [];
    const { coordinator } = await connected({
      mintKey: (request: object) => {
        seen.push(request);
        return { key: 'k1' };
      },
    });
    await expect(coordinator.mintKey({ namespace: 'orders' })).resolves.toEqual({ key: 'k1' });
    expect(seen).toEqual([{ namespace: 'orders', scope: '', clientRequestId: '' }]);
  });
});

describe('errors', () => {
  const failing = async (script: ErrorScript) => {
    const { coordinator } = await connected({
      mintKey: () => Promise.reject(errorWith(script)),
    });
    return failureOf(coordinator.mintKey({}));
  };

  it('carry the reason, metadata, violations and retry hint of the coordinator', async () => {
    const violations = [{ field: 'namespace', description: 'must have 1 to 63 characters, has 0' }];
    const error = await failing({
      code: 3,
      message: 'bad',
      reason: 'REQUEST_INVALID',
      metadata: { state: 'FAILED' },
      violations,
      retryAfterMs: 1500,
    });
    expect(error).toMatchObject({
      code: 3,
      reason: 'REQUEST_INVALID',
      message: 'bad',
      fromCoordinator: true,
      violations,
      retryAfterMs: 1500,
      metadata: { state: 'FAILED' },
    });
  });

  it('of anyone else are named by their code', async () => {
    const plain = await failing({ code: 12, message: 'no' });
    expect(plain).toMatchObject({
      reason: 'UNIMPLEMENTED',
      fromCoordinator: false,
      violations: [],
      metadata: {},
    });
    const foreign = await failing({ code: 13, message: 'no', reason: 'LEASE_LOST', domain: 'proxy.example' });
    expect(foreign).toMatchObject({ reason: 'INTERNAL', fromCoordinator: false });
  });

  it('survive details that are no message', async () => {
    const { coordinator } = await connected({
      mintKey: () => {
        const error = errorWith({ code: 10, message: 'lost' });
        error.metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff, 0xff]));
        return Promise.reject(error);
      },
    });
    expect(await failureOf(coordinator.mintKey({}))).toMatchObject({
      code: 10,
      message: 'lost',
      reason: 'ABORTED',
    });
  });

  it('include the deadline, of the connection and of one call', async () => {
    const never = { mintKey: () => new Promise<object>(() => undefined) };
    const impatient = await connected(never, 50);
    expect(await failureOf(impatient.coordinator.mintKey({}))).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    const patient = await connected(never);
    const call = patient.coordinator.mintKey({}, { deadlineMs: 50 });
    expect(await failureOf(call)).toMatchObject({ reason: 'DEADLINE_EXCEEDED', fromCoordinator: false });
  });

  it('include leaving: before the call, and while it runs', async () => {
    let arrive = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const { coordinator } = await connected({
      mintKey: () => {
        arrive();
        return new Promise<object>(() => undefined);
      },
    });
    expect(await failureOf(coordinator.mintKey({}, { signal: AbortSignal.abort() }))).toMatchObject({
      reason: 'CANCELLED',
    });
    const leaving = new AbortController();
    const call = failureOf(coordinator.mintKey({}, { signal: leaving.signal }));
    await reached;
    leaving.abort();
    expect(await call).toMatchObject({ reason: 'CANCELLED' });
  });

  it('include an address nobody listens on', async () => {
    const server = await startScriptedCoordinator({});
    server.stop();
    const connection = connectCoordinator({ address: server.address });
    closers.push(() => {
      connection.close();
    });
    expect(await failureOf(connection.coordinator.begin({}))).toMatchObject({
      reason: 'UNAVAILABLE',
      fromCoordinator: false,
    });
  });
});

describe('health', () => {
  it.each([
    [[0x08, 0x01], 'SERVING'],
    [[0x08, 0x02], 'NOT_SERVING'],
    [[], 'UNKNOWN'],
  ] as const)('reads %j as %s', async (bytes, expected) => {
    const connection = await connected({ health: () => Buffer.from(bytes) });
    expect(await connection.health('')).toBe(expected);
  });

  it('asks about the service it is given', async () => {
    const asked: string[] = [];
    const connection = await connected({
      health: (request: Buffer) => {
        asked.push(request.toString('latin1'));
        return Buffer.from([0x08, 0x01]);
      },
    });
    await connection.health('');
    await connection.health('onceward.v1.Coordinator');
    expect(asked).toEqual(['', '\n\x17onceward.v1.Coordinator']);
  });
});

describe('codes', () => {
  it('have names and numbers', () => {
    expect(codeName(5)).toBe('NOT_FOUND');
    expect(codeName(99)).toBe('CODE_99');
    expect(codeOf('NOT_FOUND')).toBe(5);
    expect(codeOf('not_found')).toBe(5);
    expect(codeOf('5')).toBe(5);
    expect(codeOf('17')).toBeUndefined();
    expect(codeOf('NOPE')).toBeUndefined();
  });
});
