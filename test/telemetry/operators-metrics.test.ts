import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FailRequest_Kind, type BeginRequest } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { durationOf } from '../../src/rpc/duration.js';
import { counterNames } from '../../src/telemetry/counters.js';
import { counterMetrics } from '../../src/telemetry/names.js';
import { beginRequest, expectOutcome, refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import { startChildCoordinator } from '../support/child-coordinator.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { freePort } from '../support/free-port.js';
import { putNamespace } from '../support/namespaces.js';
import { withoutDatabase } from '../support/outage.js';
import { type Sample, scrape, sumOf } from '../support/prometheus.js';
import { proxyDatabase } from '../support/proxied-database.js';
import { lapse } from '../support/time-travel.js';
import { until } from '../support/until.js';

const namespaces = ['billing', 'orders'] as const;
let setup: TestSetup;
/** A coordinator that only its own test calls. */
let one: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup({ coordinators: 0 });
  const first = await startCoordinator(setup.database.url);
  for (const name of namespaces) await putNamespace(first, name);
  await first.stop();
});
afterAll(() => setup.stop());

async function withFresh(work: () => Promise<void>): Promise<void> {
  one = await startCoordinator(setup.database.url);
  try {
    await work();
  } finally {
    await one.stop();
  }
}

const inNamespace = (namespace: string) => ({ onceward_namespace: namespace });
const outcome = (name: string) => ({ onceward_outcome: name });

function begin(namespace: string, key: string, more: Partial<BeginRequest> = {}) {
  return one.coordinator.begin(beginRequest(key, { ref: refOf(key, namespace), ...more }), {
    deadlineMs: 20_000,
  });
}

async function grant(namespace: string, key: string, more: Partial<BeginRequest> = {}): Promise<bigint> {
  return expectOutcome(await begin(namespace, key, more), 'execute').fencingToken;
}

function complete(namespace: string, key: string, fencingToken: bigint, payload = key) {
  return one.coordinator.complete({ ref: refOf(key, namespace), fencingToken, result: result(payload) });
}

describe('counts by namespace', () => {
  test('everything that tells whether effects are safe', async () => {
    await withFresh(async () => {
      for (const [namespace, times] of [
        ['billing', 1],
        ['orders', 3],
      ] as const) {
        for (let i = 0; i < times; i += 1) {
          const key = `${namespace}-safe-${i}`;
          const parked = `${namespace}-parked-${i}`;
          const first = await grant(namespace, key);
          await caught(begin(namespace, key, { operation: 'refund' }));
          await begin(namespace, key, { operation: 'charge', attemptId: 'again' });
          await lapse(setup.database, key);
          const second = await grant(namespace, key);
          await caught(complete(namespace, key, first));
          await complete(namespace, key, second);
          await caught(complete(namespace, key, second, 'another'));

          await grant(namespace, parked, { onLapse: OnLapse.PARK });
          await lapse(setup.database, parked);
          for (let asked = 0; asked < 2; asked += 1) {
            expectOutcome(await begin(namespace, parked), 'indeterminate');
          }
        }
        const samples = await scrape(one);
        const count = (name: string, labels = {}) =>
          sumOf(samples, `onceward_${name}_total`, { ...inNamespace(namespace), ...labels });
        expect(count('begin_mismatches')).toBe(times);
        expect(count('begin_takeovers')).toBe(times);
        expect(count('lost_leases')).toBe(times);
        expect(count('result_conflicts')).toBe(times);
        expect(count('begin_parks')).toBe(times);
        expect(count('begin_outcomes', outcome('indeterminate'))).toBe(2 * times);
        expect(count('begin_outcomes', outcome('execute'))).toBe(3 * times);
        expect(count('complete_outcomes', outcome('done'))).toBe(times);
        const refused = (reason: string) =>
          sumOf(samples, 'rpc_server_call_duration_count', { error_type: reason });
        expect(refused('KEY_MISMATCH')).toBe(sumOf(samples, 'onceward_begin_mismatches_total'));
        expect(refused('LEASE_LOST')).toBe(sumOf(samples, 'onceward_lost_leases_total'));
      }
    });
  });

  test('from 0, so that the first of an event is seen to happen', async () => {
    await withFresh(async () => {
      const samples = await scrape(one);
      for (const name of counterNames) {
        const { name: metric, outcome: of } = counterMetrics[name];
        const exported = `${metric.replaceAll('.', '_')}_total`;
        const of0 = samples.filter(
          (sample) =>
            sample.name === exported && (of === undefined || sample.labels['onceward_outcome'] === of),
        );
        expect(of0.map(({ labels }) => labels['onceward_namespace']).sort()).toEqual(['billing', 'orders']);
        expect(of0.map(({ value }) => value)).toEqual([0, 0]);
      }
    });
  });

  test('nothing for a namespace that does not exist', async () => {
    await withFresh(async () => {
      await caught(begin('nowhere', 'key'));
      await caught(complete('nowhere', 'key', 1n));
      const told = (await scrape(one)).map(({ labels }) => labels['onceward_namespace']);
      expect(told).not.toContain('nowhere');
    });
  });
});

test('waits are counted and timed by how they ended, and are no part of what a Begin took itself', async () => {
  await withFresh(async () => {
    const lease = durationOf(60_000);
    const wait = durationOf(15_000);
    const fencingToken = await grant('orders', 'replayed', { lease });
    const freed = await grant('orders', 'freed', { lease });
    await grant('orders', 'held', { lease });
    const startTime = performance.now();
    const leaving = new AbortController();
    const waiting = [
      begin('orders', 'replayed', { wait }),
      begin('orders', 'freed', { wait }),
      begin('orders', 'held', { wait: durationOf(400) }),
    ];
    const left = one.coordinator.begin(beginRequest('held', { ref: refOf('held', 'orders'), wait }), {
      deadlineMs: 20_000,
      signal: leaving.signal,
    });
    left.catch(() => undefined);
    await until('all wait', async () => sumOf(await scrape(one), 'onceward_begin_waits_total') === 4);
    // They wait for at least so long.
    await waiting[2];
    await complete('orders', 'replayed', fencingToken);
    await one.coordinator.fail({
      ref: refOf('freed', 'orders'),
      fencingToken: freed,
      kind: FailRequest_Kind.RETRYABLE,
      status: { code: 14, message: 'unreachable', details: Buffer.alloc(0) },
    });
    await Promise.all(waiting);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ reason: 'CANCELLED' });
    const samples = await until('the one that left is counted', async () => {
      const now = await scrape(one);
      return sumOf(now, 'onceward_begin_wait_duration_count', outcome('left')) === 1 ? now : undefined;
    });
    const tookS = (performance.now() - startTime) / 1000;
    for (const ended of ['replay', 'execute', 'in_progress', 'left']) {
      expect([ended, sumOf(samples, 'onceward_begin_wait_duration_count', outcome(ended))]).toEqual([
        ended,
        1,
      ]);
      const waitedS = sumOf(samples, 'onceward_begin_wait_duration_sum', outcome(ended));
      expect(waitedS).toBeGreaterThan(0.3);
      expect(waitedS).toBeLessThanOrEqual(tookS);
    }
    expect(sumOf(samples, 'onceward_begin_wait_duration_count')).toBe(4);
    expect(sumOf(samples, 'onceward_begin_check_duration_count')).toBe(3 + 4);
    // The waits alone were more than four times 300 ms.
    const waitedS = sumOf(samples, 'onceward_begin_wait_duration_sum');
    const checkedS = sumOf(samples, 'onceward_begin_check_duration_sum');
    const begins = { rpc_method: 'onceward.v1.Coordinator/Begin' };
    const calledS = sumOf(samples, 'rpc_server_call_duration_sum', begins);
    expect(checkedS).toBeGreaterThan(0);
    expect(checkedS).toBeLessThan(calledS - waitedS);
  });
});

test('a refused Begin was a check too', async () => {
  await withFresh(async () => {
    await grant('orders', 'refused');
    await caught(begin('orders', 'refused', { operation: 'refund' }));
    const samples = await scrape(one);
    expect(sumOf(samples, 'onceward_begin_check_duration_count', outcome('refused'))).toBe(1);
    expect(sumOf(samples, 'onceward_begin_check_duration_count', outcome('execute'))).toBe(1);
  });
});

test('the replay cache tells what it holds', async () => {
  await withFresh(async () => {
    const keys = ['cached-1', 'cached-2', 'cached-3'];
    for (const key of keys) {
      await complete('orders', key, await grant('orders', key), 'x'.repeat(1000));
      for (let i = 0; i < 3; i += 1) expectOutcome(await begin('orders', key), 'replay');
    }
    await caught(begin('orders', 'cached-1', { operation: 'refund' }));
    const before = await scrape(one);
    expect(sumOf(before, 'onceward_replay_cache_entries')).toBe(3);
    expect(sumOf(before, 'onceward_replay_cache_size')).toBeGreaterThan(3000);
    expect(sumOf(before, 'onceward_replay_cache_size')).toBeLessThan(6000);
    // What was finished here is in it from the first replay on, and a mismatch is no replay.
    expect(sumOf(before, 'onceward_begin_cached_replays_total', inNamespace('orders'))).toBe(9);
    await one.admin.forget({ ref: refOf('cached-1', 'orders'), reason: 'test', evenIfLeased: false });
    const after = await scrape(one);
    expect(sumOf(after, 'onceward_replay_cache_entries')).toBe(2);
  });
});

/** The one sample of a gauge that has no labels. */
function gaugeOf(samples: readonly Sample[], name: string): number | undefined {
  return samples.find((sample) => sample.name === name)?.value;
}

describe('the store', () => {
  test('is told to be reachable, or not', async () => {
    await withFresh(async () => {
      const reachable = async () => gaugeOf(await scrape(one), 'onceward_store_reachable');
      expect(await reachable()).toBe(1);
      await withoutDatabase(setup.database, async () => {
        await until('it is told to be gone', async () => (await reachable()) === 0);
      });
      await until('it is told to be back', async () => (await reachable()) === 1);
    });
  });

  test('is told to be unreachable by a coordinator that waits for it at its start', async ({
    onTestFinished,
  }) => {
    const { url, proxy } = await proxyDatabase(setup.database.url);
    onTestFinished(() => proxy.close());
    proxy.refuse();
    const httpPort = await freePort();
    const starting = startCoordinator(url, { httpPort });
    const reachable = async () => gaugeOf(await scrape({ server: { httpPort } }), 'onceward_store_reachable');
    await until('it is told to be unreachable', async () => (await reachable()) === 0);
    proxy.pass();
    const started = await starting;
    onTestFinished(() => started.stop());
    expect(await reachable()).toBe(1);
  });

  test('has a clock of its own, and the offset to ours is told', async () => {
    await withFresh(async () => {
      expect(Math.abs(gaugeOf(await scrape(one), 'onceward_store_clock_offset') ?? Infinity)).toBeLessThan(1);
    });
    for (const shiftS of [7200, -7200]) {
      const { httpPort } = await startChildCoordinator(setup.database.url, [], {
        imports: ['./test/support/shifted-clock.ts'],
        env: { ONCEWARD_TEST_CLOCK_SHIFT_MS: String(shiftS * 1000) },
      });
      const samples = await scrape({ server: { httpPort } });
      const offsetS = gaugeOf(samples, 'onceward_store_clock_offset') ?? Infinity;
      expect(Math.abs(offsetS + shiftS)).toBeLessThan(1);
    }
  });
});
