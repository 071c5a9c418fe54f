import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectOnceward } from '../../src/client/onceward.js';
import { guard } from '../../src/client/guard.js';
import { startSetup, type TestSetup } from '../support/coordinator.js';
import { alertRules, dashboard, deployedPath } from '../support/deployed.js';
import { makeEveryMetric } from '../support/every-metric.js';
import { freePort } from '../support/free-port.js';
import { startPrometheus, type PrometheusServer } from '../support/prometheus-server.js';
import { selectorsOf } from '../support/promql.js';
import { until } from '../support/until.js';

const everySecond = '* * * * * *';

let setup: TestSetup;
let service: MeterProvider;
let prometheus: PrometheusServer;

beforeAll(async () => {
  setup = await startSetup({ flags: { samplerSchedule: everySecond } });
  const [one] = setup.coordinators;
  if (one === undefined) throw new Error('one was asked for');
  const servicePort = await freePort();
  service = new MeterProvider({
    readers: [new PrometheusExporter({ host: '127.0.0.1', port: servicePort })],
  });
  metrics.setGlobalMeterProvider(service);
  const onceward = connectOnceward({ addresses: [one.address], namespace: 'test' });
  await guard(onceward, { key: 'guarded', operation: 'charge' }, () => Promise.resolve('done'));
  await makeEveryMetric(one, setup.database);
  const jobs = {
    onceward: [`127.0.0.1:${one.server.httpPort}`],
    services: [`127.0.0.1:${servicePort}`],
  };
  prometheus = await startPrometheus(jobs, deployedPath('alerts.yaml'));
  await until('both are scraped twice', async () => {
    const counts = await prometheus.query('count_over_time(up[1m])');
    return counts.length === 2 && counts.every(({ value }) => Number(value[1]) >= 2);
  });
  onceward.close();
});
afterAll(async () => {
  await prometheus.stop();
  await service.shutdown();
  await setup.stop();
});

/** As Grafana fills them in, with everything selected. */
function filledIn(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '1h')
    .replaceAll('$namespace', '.*');
}

const shown = dashboard().panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr, legendFormat }) => ({
    where: `panel ${title}`,
    expression: filledIn(expr),
    labels: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label),
  })),
);
const alerting = alertRules().map(({ alert, expr }) => ({ where: `alert ${alert}`, expression: expr }));
const expressions = [...shown, ...alerting];

test.each(alerting)('$where can be computed', async ({ expression }) => {
  await prometheus.query(expression);
});

test.each(shown)(
  '$where shows something, told apart by $labels: $expression',
  async ({ expression, labels }) => {
    const found = await prometheus.query(expression);
    expect(found.length).toBeGreaterThan(0);
    for (const { metric } of found) expect(Object.keys(metric)).toEqual(expect.arrayContaining(labels));
  },
);

test.each(expressions)('$where reads what a coordinator exports: $expression', async ({ expression }) => {
  for (const { text } of selectorsOf(expression)) {
    expect([text, (await prometheus.query(text)).length]).not.toEqual([text, 0]);
  }
});

test('every alert is evaluated without an error', async () => {
  const rules = await until('all are evaluated', async () => {
    const found = await prometheus.rules();
    return found.every(({ health }) => health !== 'unknown') ? found : undefined;
  });
  expect(rules.map(({ name }) => name)).toEqual(alertRules().map(({ alert }) => alert));
  expect(
    rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => [name, lastError]),
  ).toEqual([]);
});
