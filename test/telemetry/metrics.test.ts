import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { otherNamespaces } from '../../src/core/sample.js';
import { counterNames, Counters } from '../../src/telemetry/counters.js';
import { counterMetrics, metricNames } from '../../src/telemetry/names.js';
import { beginRequest, counterOf, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { caught } from '../support/caught.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { putNamespace } from '../support/namespaces.js';
import { scrape, sumOf } from '../support/prometheus.js';
import { openSession } from '../support/session.js';
import { collectorOfTest } from '../support/traced.js';
import { until } from '../support/until.js';

let setup: TestSetup;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 0 });
  const first = await startCoordinator(setup.database.url);
  for (const name of ['test', 'other']) await putNamespace(first, name);
  await first.stop();
});
afterAll(() => setup.stop());

/** A coordinator that nobody else calls. */
async function withFresh(work: (one: TestCoordinator) => Promise<void>, flags = {}): Promise<void> {
  const one = await startCoordinator(setup.database.url, flags);
  try {
    await work(one);
  } finally {
    await one.stop();
  }
}

describe('GET /metrics', () => {
  test('counts what the callers count', async () => {
    await withFresh(async (one) => {
      const keys = Array.from({ length: 7 }, (_, i) => `truth-${i}`);
      for (const key of keys) {
        const { fencingToken } = await execute(one, key);
        await one.coordinator.complete({ ref: refOf(key), fencingToken, result: result(key) });
      }
      for (const key of keys.slice(0, 3)) {
        for (let i = 0; i < 2; i += 1)
          expectOutcome(await one.coordinator.begin(beginRequest(key)), 'replay');
      }
      const { fencingToken } = await execute(one, 'elsewhere', { ref: refOf('elsewhere', 'other') });
      const lost = { ref: refOf('elsewhere', 'other'), fencingToken: fencingToken + 1n, result: result('') };
      await caught(one.coordinator.complete(lost));
      expectOutcome(
        await one.coordinator.begin(beginRequest('elsewhere', { ref: refOf('elsewhere', 'other') })),
        'inProgress',
      );

      const samples = await scrape(one);
      const begins = (outcome: string, namespace: string) =>
        sumOf(samples, 'onceward_begin_outcomes_total', {
          onceward_outcome: outcome,
          onceward_namespace: namespace,
        });
      expect(begins('execute', 'test')).toBe(7);
      expect(begins('execute', 'other')).toBe(1);
      expect(begins('replay', 'test')).toBe(6);
      expect(begins('in_progress', 'other')).toBe(1);
      expect(sumOf(samples, 'onceward_begin_outcomes_total')).toBe(15);
      expect(sumOf(samples, 'onceward_complete_outcomes_total', { onceward_outcome: 'done' })).toBe(7);
      expect(sumOf(samples, 'onceward_lost_leases_total')).toBe(1);
      const calls = (method: string, code: string) =>
        sumOf(samples, 'rpc_server_call_duration_count', {
          rpc_method: `onceward.v1.Coordinator/${method}`,
          rpc_status_code: code,
        });
      expect(calls('Begin', 'OK')).toBe(15);
      expect(calls('Complete', 'OK')).toBe(7);
      expect(calls('Complete', 'ABORTED')).toBe(1);
      expect(sumOf(samples, 'rpc_server_call_duration_count', { error_type: 'LEASE_LOST' })).toBe(1);
      // Every item of a lane was in one batch, and each batch is a statement.
      const claims = { onceward_lane: 'claim' };
      const claimed = 15 - sumOf(samples, 'onceward_begin_cached_replays_total');
      expect(sumOf(samples, 'onceward_lane_batch_size_sum', claims)).toBe(claimed);
      const batches = sumOf(samples, 'onceward_lane_batch_size_count', claims);
      expect(sumOf(samples, 'onceward_lane_queue_duration_count', claims)).toBe(batches);
      expect(sumOf(samples, 'db_client_operation_duration_count', { db_operation_name: 'claim-new' })).toBe(
        batches,
      );
    });
  });

  test('has every counter, with the number that GetStats has', async () => {
    await withFresh(async (one) => {
      await execute(one, 'stats');
      const samples = await scrape(one);
      for (const name of counterNames) {
        const { name: metric, outcome } = counterMetrics[name];
        const exported = `${metric.replaceAll('.', '_')}_total`;
        expect(samples.map((sample) => sample.name)).toContain(exported);
        const labels = outcome === undefined ? {} : { onceward_outcome: outcome };
        expect([name, sumOf(samples, exported, labels)]).toEqual([name, Number(await counterOf(one, name))]);
      }
    });
  });

  test('counts calls in frames as what they are', async () => {
    await withFresh(async (one) => {
      const session = openSession(one.address);
      const ref = refOf('in-session');
      const value = { ref, withResult: false, withLineage: false };
      session.send({ id: 1n, request: { $case: 'lookup', value } });
      await session.answersTo([1n]);
      session.close();
      const labels = {
        rpc_method: 'onceward.v1.Coordinator/Lookup',
        onceward_carrier: 'session',
        rpc_status_code: 'NOT_FOUND',
      };
      expect(sumOf(await scrape(one), 'rpc_server_call_duration_count', labels)).toBe(1);
    });
  });

  test('shows who waits', async () => {
    await withFresh(async (one) => {
      const { fencingToken } = await execute(one, 'waited-for');
      const waiting = one.coordinator.begin(
        beginRequest('waited-for', { wait: { seconds: 20n, nanos: 0 } }),
        { deadlineMs: 20_000 },
      );
      await until('it waits', async () => sumOf(await scrape(one), 'onceward_waiters') === 1);
      expect(sumOf(await scrape(one), 'onceward_calls_in_flight')).toBe(1);
      await one.coordinator.complete({ ref: refOf('waited-for'), fencingToken, result: result('') });
      expectOutcome(await waiting, 'replay');
      const samples = await scrape(one);
      expect(sumOf(samples, 'onceward_waiters')).toBe(0);
      expect(sumOf(samples, 'onceward_calls_in_flight')).toBe(0);
      expect(sumOf(samples, 'onceward_begin_waits_total')).toBe(1);
    });
  });

  test('is not there when it is switched off', async () => {
    await withFresh(
      async (one) => {
        await expect(scrape(one)).rejects.toThrow('404');
        await execute(one, 'unmeasured');
      },
      { prometheus: false },
    );
  });
});

test('the collector gets the same metrics, the last of them at the stop', async () => {
  const collector = await collectorOfTest();
  const work = async (one: TestCoordinator) => {
    await execute(one, 'sent');
    // A histogram is sent once it has something.
    await one.coordinator.begin(beginRequest('sent', { wait: { seconds: 1n, nanos: 0 } }));
  };
  await withFresh(work, { otlpEndpoint: `${collector.url}/` });
  const metrics = new Map(collector.metrics().map(({ name, unit }) => [name, unit]));
  expect([...metrics.keys()]).toEqual(expect.arrayContaining(Object.values(metricNames)));
  expect(metrics.get('rpc.server.call.duration')).toBe('s');
  expect(new Set(collector.requests.map(({ contentType }) => contentType))).toEqual(
    new Set(['application/x-protobuf']),
  );
});

test('however many namespaces there are, the series are bounded', () => {
  const counters = new Counters();
  for (let i = 0; i < 150; i += 1) counters.add('begin.execute', `namespace-${i}`);
  for (let i = 0; i < 150; i += 1) counters.add('begin.replay', `namespace-${149 - i}`);
  for (const name of ['begin.execute', 'begin.replay'] as const) {
    const counts = counters.readByNamespace(name);
    expect(counts.size).toBe(101);
    expect(counts.get('namespace-99')).toBe(1);
    expect(counts.get(otherNamespaces)).toBe(50);
    expect(counters.read(name)).toBe(150);
  }
});
