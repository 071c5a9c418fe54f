import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginRequest, expectOutcome } from '../support/calls.js';
import { startChildCoordinator } from '../support/child-coordinator.js';
import { said } from '../support/child.js';
import { startCoordinator } from '../support/coordinator.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { putNamespace } from '../support/namespaces.js';
import { collectorOfTest } from '../support/traced.js';
import { until } from '../support/until.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

/** An address where nothing listens. */
async function deadAddress(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}

test('a collector that is not there is logged once, and calls go on', async () => {
  const child = await startChildCoordinator(database.url, ['--otlp-endpoint', await deadAddress()], {
    env: { OTEL_BSP_SCHEDULE_DELAY: '10', OTEL_EXPORTER_OTLP_TIMEOUT: '100' },
  });
  await putNamespace(child, 'test');
  const begin = async (key: string) =>
    expectOutcome(await child.coordinator.begin(beginRequest(key)), 'execute');
  await begin('first');
  const line = JSON.parse(await said(child, 'errors', /telemetry could not be sent/)) as Record<
    string,
    unknown
  >;
  expect(line).toMatchObject({ level: 40, why: 'ECONNREFUSED', failures: 1 });
  for (let i = 0; i < 20; i += 1) await begin(`later-${i}`);
  // Spans and metrics fail once more each at the stop.
  await child.stop();
  expect(await child.ended).toBe(0);
  expect(child.errors.filter((each) => each.includes('telemetry could not be sent'))).toHaveLength(1);
  expect(child.errors.filter((each) => /"level":(50|60)|Unhandled|at file:/.test(each))).toEqual([]);
});

test('a collector that takes and never answers holds up neither calls nor the stop', async () => {
  const collector = await collectorOfTest({ silent: true });
  const one = await startCoordinator(database.url, { otlpEndpoint: collector.url, drainTimeoutMs: 1000 });
  await putNamespace(one, 'test');
  for (let i = 0; i < 20; i += 1) {
    expectOutcome(await one.coordinator.begin(beginRequest(`silent-${i}`)), 'execute');
  }
  const startTime = performance.now();
  await one.stop();
  // The SDK by itself would wait for its own 10 s.
  expect(performance.now() - startTime).toBeLessThan(5000);
  await until('it was tried', () => collector.bodies.length > 0);
});
