import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Codec } from '../../src/client/codec.js';
import type { Operation } from '../../src/client/operation.js';
import type { ReceiptHandle } from '../../src/client/receipt-handle.js';
import { withReceipt } from '../../src/client/with-receipt.js';
import { refOf } from '../support/calls.js';
import { said } from '../support/child.js';
import { runChild } from '../support/child-coordinator.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { gate, proxied, service } from '../support/sdk.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
let pool: pg.Pool;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  pool = new pg.Pool({ connectionString: setup.database.url, max: 4 });
  const receipts = await readFile(new URL('../../src/client/receipts.sql', import.meta.url), 'utf8');
  await pool.query('CREATE TABLE charge (key text NOT NULL)');
  await pool.query(receipts);
  // Run again by the next deployment.
  await pool.query(receipts);
});
afterAll(async () => {
  await pool.end();
  await setup.stop();
});

let key: string;
beforeEach(() => {
  key = randomUUID();
});

type Owner = Pick<Operation, 'ref' | 'fencingToken'>;
const owner = (fencingToken = 1n): Owner => ({ ref: refOf(key), fencingToken });

/** Runs in a transaction, as a service does. */
async function inTransaction<T>(work: (client: pg.PoolClient) => Promise<T>, begin = 'BEGIN'): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query(begin);
    const value = await work(client);
    await client.query('COMMIT');
    return value;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function insertCharge(client: ReceiptHandle, value: string): Promise<string> {
  await client.query('INSERT INTO charge (key) VALUES ($1)', [key]);
  return value;
}

const chargeOnce = (value: string, by = owner(), begin = 'BEGIN') =>
  inTransaction((client) => withReceipt(client, by, () => insertCharge(client, value)), begin);

async function charges(): Promise<number> {
  return (await setup.database.query('SELECT FROM charge WHERE key = $1', [key])).length;
}
async function receipts(): Promise<number> {
  return (await setup.database.query('SELECT FROM onceward_receipt WHERE key = $1', [key])).length;
}

describe('between the commit and Complete', () => {
  test('the service is killed: the next execution answers from the receipt', async () => {
    const args = ['test/support/guarded-process.ts', one.address, key, '60000', setup.database.url];
    const child = runChild(args);
    await said(child, 'out', /^running$/);
    await child.kill();
    expect(await charges()).toBe(1);

    await lapse(setup.database, key);
    const { charge, runs } = service([one.address]);
    const value = await charge(key, (operation) =>
      inTransaction((client) => withReceipt(client, operation, () => insertCharge(client, 'charged again'))),
    );
    expect(value).toBe('charged by the child');
    expect(runs).toMatchObject([{ attempt: 2, takeover: true }]);
    expect(await charges()).toBe(1);
    expect(await charge(key, () => 'again')).toBe('charged by the child');
  });

  test('without a receipt it is charged twice', async () => {
    const { charge } = service([one.address]);
    const proxy = await proxied(one.address);
    const first = service([proxy.address]).charge(
      key,
      async () => {
        await inTransaction((client) => insertCharge(client, 'first'));
        proxy.stall();
        return 'first';
      },
      { finishTimeoutMs: 100 },
    );
    await expect(first).rejects.toMatchObject({ reason: 'RESULT_NOT_STORED' });
    await lapse(setup.database, key);
    await charge(key, () => inTransaction((client) => insertCharge(client, 'second')));
    expect(await charges()).toBe(2);
  });

  test('the answer of Complete never comes: a retry completes with the same value', async () => {
    const proxy = await proxied(one.address);
    const work = (value: string) => (operation: Operation) =>
      inTransaction(async (client) => {
        const given = await withReceipt(client, operation, () => insertCharge(client, value));
        if (value === 'first') proxy.stall();
        return given;
      });
    const first = service([proxy.address]).charge(key, work('first'), { finishTimeoutMs: 100 });
    await expect(first).rejects.toMatchObject({ reason: 'RESULT_NOT_STORED' });
    await lapse(setup.database, key);
    expect(await service([one.address]).charge(key, work('second'))).toBe('first');
    expect(await charges()).toBe(1);
  });
});

describe('a zombie', () => {
  test('that comes after the winner’s commit gets the stored value, and does nothing', async () => {
    const woken = gate();
    const { charge, runs } = service([one.address]);
    const zombie = charge(key, async (operation) => {
      await woken.passed;
      return inTransaction((client) => withReceipt(client, operation, () => insertCharge(client, 'zombie')));
    });
    await until('it runs', () => runs.length === 1);
    await lapse(setup.database, key);
    await charge(key, (operation) =>
      inTransaction((client) => withReceipt(client, operation, () => insertCharge(client, 'winner'))),
    );
    woken.open();
    expect(await zombie).toBe('winner');
    expect(await charges()).toBe(1);
  });

  test('that commits first is the one whose value counts', async () => {
    await chargeOnce('zombie', owner(1n));
    expect(await chargeOnce('later', owner(2n))).toBe('zombie');
    expect(await charges()).toBe(1);
  });
});

describe('two at once', () => {
  const both = async (end: 'COMMIT' | 'ROLLBACK', begin = 'BEGIN') => {
    const inside = gate();
    const done = gate();
    const first = inTransaction((client) =>
      withReceipt(client, owner(1n), async () => {
        inside.open();
        await done.passed;
        if (end === 'ROLLBACK') throw new Error('card declined');
        return insertCharge(client, 'first');
      }),
    );
    await inside.passed;
    const second = chargeOnce('second', owner(2n), begin);
    const ended = Promise.allSettled([first, second]);
    await until('the second waits', async () => {
      const rows = await setup.database.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return rows.length === 1;
    });
    done.open();
    return ended;
  };

  test('the second waits for the first, and answers its value', async () => {
    expect(await both('COMMIT')).toMatchObject([{ value: 'first' }, { value: 'first' }]);
    expect(await charges()).toBe(1);
  });

  test('the second goes on when the first rolls back', async () => {
    expect(await both('ROLLBACK')).toMatchObject([{ status: 'rejected' }, { value: 'second' }]);
    expect(await charges()).toBe(1);
  });

  test('above READ COMMITTED the second fails, and its retry answers the value', async () => {
    const begin = 'BEGIN ISOLATION LEVEL SERIALIZABLE';
    // Its own snapshot can't see what it waited for: serialization_failure, as for any other statement.
    expect(await both('COMMIT', begin)).toMatchObject([{ value: 'first' }, { reason: { code: '40001' } }]);
    expect(await chargeOnce('third', owner(3n), begin)).toBe('first');
    expect(await charges()).toBe(1);
  });
});

describe('a rollback', () => {
  test('leaves nothing: the next execution runs', async () => {
    const declined = inTransaction((client) =>
      withReceipt(client, owner(), async () => {
        await insertCharge(client, 'never');
        throw new Error('card declined');
      }),
    );
    await expect(declined).rejects.toThrow('card declined');
    expect([await charges(), await receipts()]).toEqual([0, 0]);
    expect(await chargeOnce('second')).toBe('second');
  });
});

describe('misuse', () => {
  test('outside of a transaction it is refused before the function runs', async () => {
    let ran = false;
    const run = async () => {
      ran = true;
      return Promise.resolve('value');
    };
    await expect(withReceipt(pool, owner(), run)).rejects.toThrow(
      'a receipt is committed only after its function has returned, in one transaction',
    );
    expect(ran).toBe(false);
    expect(await receipts()).toBe(0);
    expect(await chargeOnce('in a transaction')).toBe('in a transaction');
  });

  test('an error that is swallowed commits nothing', async () => {
    const swallowed = inTransaction(async (client) => {
      await withReceipt(client, owner(), () => Promise.reject(new Error('half done'))).catch(() => undefined);
      await insertCharge(client, 'anyway');
    });
    await expect(swallowed).rejects.toThrow('a receipt is committed only after its function has returned');
    expect([await charges(), await receipts()]).toEqual([0, 0]);
  });

  test.each([
    ['COMMIT', 'a receipt is committed only after its function has returned'],
    ['ROLLBACK', 'the function ended the transaction that its receipt belongs to'],
  ])('a function that ends the transaction by %s is told so', async (end, message) => {
    const ended = inTransaction((client) =>
      withReceipt(client, owner(), async () => {
        await client.query(end);
        return 'value';
      }),
    );
    await expect(ended).rejects.toThrow(message);
    expect(await receipts()).toBe(0);
  });

  test('inside of its own function it is refused', async () => {
    const nested = inTransaction((client) =>
      withReceipt(client, owner(), () => withReceipt(client, owner(), () => Promise.resolve('inner'))),
    );
    await expect(nested).rejects.toThrow('whose function has not returned in this transaction');
  });
});

describe('a value', () => {
  const bytes: Codec<Uint8Array> = {
    contentType: 'application/octet-stream',
    encode: (value) => value,
    decode: (payload) => payload ?? new Uint8Array(),
  };

  test.each([[undefined], [null], [''], [0], [{ chargeId: 'c-1' }]])('%j is kept', async (value) => {
    const first = (given: unknown) =>
      inTransaction((client) => withReceipt<unknown>(client, owner(), () => Promise.resolve(given)));
    expect(await first(value)).toEqual(value);
    expect(await first('other')).toEqual(value);
  });

  test.each([[[]], [[0]], [[1]], [[0, 255, 10, 13, 92]]])('the bytes %j are kept', async (given) => {
    const keep = (value: Uint8Array) =>
      inTransaction((client) => withReceipt(client, owner(), () => Promise.resolve(value), bytes));
    await keep(Uint8Array.from(given));
    expect([...(await keep(Uint8Array.from([7])))]).toEqual(given);
  });

  test('that can not be encoded rolls back', async () => {
    const run = () => Promise.resolve(1n);
    await expect(inTransaction((client) => withReceipt(client, owner(), run))).rejects.toThrow(TypeError);
    expect(await receipts()).toBe(0);
  });
});

test('a handle may answer an array of rows', async () => {
  const arrays = (client: pg.PoolClient): ReceiptHandle => ({
    query: async (text, values) => (await client.query<object>(text, values)).rows,
  });
  const keep = (value: string) =>
    inTransaction((client) => withReceipt(arrays(client), owner(), () => insertCharge(client, value)));
  expect(await keep('first')).toBe('first');
  expect(await keep('second')).toBe('first');
  expect(await charges()).toBe(1);
});
