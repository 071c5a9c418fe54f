import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Operation } from '../../src/client/operation.js';
import { counterOf, refOf } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import { gate, proxied, service, type Run } from '../support/sdk.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

const leaseLost = { reason: 'LEASE_LOST' };

describe('a long execution', () => {
  test('is kept alive by heartbeats', async () => {
    const before = await counterOf(one, 'heartbeat.extended');
    const { charge } = service([one.address]);
    const leaseMs = 1000;
    const value = await charge(
      'long',
      async ({ signal }) => {
        const extended = async () => (await counterOf(one, 'heartbeat.extended')) - before;
        // As many as reach beyond two leases.
        await until('it lived long', async () => signal.aborted || (await extended()) >= 7n);
        expect(signal.aborted).toBe(false);
        const other = service([two.address]).charge('long', () => 'second');
        await expect(other).rejects.toMatchObject({ reason: 'IN_PROGRESS' });
        return 'first';
      },
      { leaseMs },
    );
    expect(value).toBe('first');
    expect(await one.coordinator.lookup({ ref: refOf('long') })).toMatchObject({ attempt: 1 });
  });

  test('has its heartbeats ended with it', async () => {
    const { charge } = service([one.address]);
    await charge('ended', () => 'done', { leaseMs: 100 });
    const before = await counterOf(one, 'heartbeat.extended');
    const lost = await counterOf(one, 'lease_lost');
    // Several times as long as their interval.
    await pause(200);
    expect(await counterOf(one, 'heartbeat.extended')).toBe(before);
    expect(await counterOf(one, 'lease_lost')).toBe(lost);
  });

  test('gets its heartbeats through beside a stalled coordinator', async () => {
    const proxy = await proxied(one.address);
    const { onceward, charge } = service([proxy.address, two.address]);
    const value = await charge(
      'beside-stalled',
      async ({ signal }) => {
        await onceward.calls.lookup({ ref: refOf('beside-stalled') });
        proxy.stall();
        const before = await counterOf(two, 'heartbeat.extended');
        const extended = async () => (await counterOf(two, 'heartbeat.extended')) - before;
        await until('it lived long', async () => signal.aborted || (await extended()) >= 4n);
        expect(signal.aborted).toBe(false);
        return 'first';
      },
      { leaseMs: 1500 },
    );
    expect(value).toBe('first');
  });
});

describe('a busy event loop', () => {
  test('of half a lease is survived', async () => {
    const run: Run<string> = async ({ signal }) => {
      // Shortly before a heartbeat is due, which is the worst time.
      await pause(900);
      block(750);
      await turn();
      expect(signal.aborted).toBe(false);
      return 'first';
    };
    const { charge } = service([one.address]);
    expect(await charge('busy-half', run, { leaseMs: 1500 })).toBe('first');
    expect(await one.coordinator.lookup({ ref: refOf('busy-half') })).toMatchObject({ attempt: 1 });
  });

  test('of more than a lease is not: the signal fires, and the answer is the winner’s', async () => {
    const { charge } = service([one.address]);
    const run: Run<string> = async (operation) => {
      block(700);
      expect(() => operation.assertHeld()).toThrow('the lease may have lapsed');
      expect(operation.signal.aborted).toBe(true);
      expect(await charge('busy-long', () => 'second')).toBe('second');
      return 'first';
    };
    expect(await charge('busy-long', run, { leaseMs: 500 })).toBe('second');
  });

  test('of more than a lease, and nobody took over: its own answer counts', async () => {
    const { charge } = service([one.address]);
    const run: Run<string> = async ({ signal }) => {
      block(700);
      await turn();
      expect(signal.aborted).toBe(true);
      return 'first';
    };
    expect(await charge('busy-alone', run, { leaseMs: 500 })).toBe('first');
    expect(await charge('busy-alone', () => 'second')).toBe('first');
  });
});

describe('the watchdog', () => {
  test('fires before the lease ends when the coordinator is stalled', async () => {
    const proxy = await proxied(one.address);
    const { charge } = service([proxy.address]);
    const run: Run<string> = async ({ signal }) => {
      proxy.stall();
      await once(signal, 'abort');
      const abortTime = Date.now();
      // Of this machine too, so the same clock.
      const [row] = await setup.database.query<{ ms: number }>(
        `SELECT (extract(epoch FROM lease_expire_time) * 1000)::float8 AS ms FROM onceward.record WHERE key = 'watchdog'`,
      );
      expect(abortTime).toBeLessThan(row!.ms);
      expect(signal.reason).toMatchObject(leaseLost);
      return 'first';
    };
    const ended = charge('watchdog', run, { leaseMs: 1500, finishTimeoutMs: 100 });
    await expect(ended).rejects.toMatchObject({ reason: 'RESULT_NOT_STORED' });
  });
});

describe('a takeover', () => {
  test('the loser answers what the winner stored', async () => {
    const done = gate<string>();
    const losing = gate<Operation>();
    const run: Run<string> = (operation) => {
      losing.open(operation);
      return done.passed;
    };
    const first = service([one.address]).charge('taken', run);
    const loser = await losing.passed;
    await lapse(setup.database, 'taken');
    const winning = gate<Operation>();
    const second = await service([two.address]).charge('taken', (operation) => {
      winning.open(operation);
      return 'second';
    });
    expect(second).toBe('second');
    const winner = await winning.passed;
    expect(winner).toMatchObject({ attempt: 2, takeover: true });
    expect(winner.fencingToken).toBeGreaterThan(loser.fencingToken);
    done.open('first');
    expect(await first).toBe('second');
  });

  test('a loser that failed answers what the winner stored', async () => {
    const done = gate();
    const started = gate();
    const first = service([one.address]).charge('taken-failed', async () => {
      started.open();
      await done.passed;
      throw new Error('socket hang up');
    });
    await started.passed;
    await lapse(setup.database, 'taken-failed');
    await service([two.address]).charge('taken-failed', () => 'second');
    done.open();
    expect(await first).toBe('second');
  });

  test.each([
    ['waits for the winner as long as it may', 20_000],
    ['has no answer before the winner has one', 0],
  ])('the loser %s', async (name, waitMs) => {
    const key = name.replaceAll(' ', '-');
    const started = gate();
    const done = gate<string>();
    const first = service([one.address]).charge(key, () => (started.open(), done.passed), { waitMs });
    await started.passed;
    await lapse(setup.database, key);
    const took = gate();
    const finish = gate<string>();
    const second = service([two.address]).charge(key, () => (took.open(), finish.passed));
    await took.passed;
    done.open('first');
    if (waitMs === 0) {
      await expect(first).rejects.toMatchObject(leaseLost);
      finish.open('second');
    } else {
      const looked = await counterOf(one, 'lease_lost');
      await until('the loser knows', async () => (await counterOf(one, 'lease_lost')) >= looked);
      finish.open('second');
      expect(await first).toBe('second');
    }
    expect(await second).toBe('second');
  });

  test('a heartbeat that finds it fires the signal, and no checkpoint is saved', async () => {
    const { charge } = service([one.address]);
    const run: Run<string> = async (operation) => {
      await lapse(setup.database, 'found');
      await service([two.address]).charge('found', () => 'second');
      await expect(operation.saveCheckpoint(Buffer.from('1'))).rejects.toMatchObject(leaseLost);
      expect(operation.signal.reason).toMatchObject({ ...leaseLost, message: 'another attempt took over' });
      expect(() => operation.assertHeld()).toThrow('another attempt took over');
      return 'first';
    };
    expect(await charge('found', run)).toBe('second');
  });
});

describe('a grant that came late', () => {
  test('is extended before anything is executed', async () => {
    let stalled = false;
    const proxy = await startFaultProxy({
      target: one.address,
      protocol: 'http2',
      // The Begin arrives, its answer does not.
      onServerData: () => (stalled ? 'stall' : 'pass'),
    });
    const { onceward, charge } = service([proxy.address, two.address]);
    await onceward.calls.lookup({ ref: refOf('late') }).catch(() => undefined);
    await onceward.calls.lookup({ ref: refOf('late') }).catch(() => undefined);
    stalled = true;
    const run: Run<string> = async ({ signal, attempt }) => {
      await turn();
      expect([signal.aborted, attempt]).toEqual([false, 1]);
      return 'first';
    };
    // The second try is made after half of the time there is to begin: by then little is left of the lease.
    expect(await charge('late', run, { leaseMs: 1000, beginTimeoutMs: 1600 })).toBe('first');
    expect(await counterOf(two, 'begin.execute.repeated')).toBe(1n);
    await proxy.close();
  });
});

/** Holds the event loop up, as a long computation does. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Until everything that was due has run. */
async function turn(): Promise<void> {
  for (let i = 0; i < 3; i += 1) await pause(10);
}
