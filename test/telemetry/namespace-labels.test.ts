import { expect, onTestFinished, test } from 'vitest';
import { startSetup } from '../support/coordinator.js';
import { scrape, sumOf, type Sample } from '../support/prometheus.js';
import { until } from '../support/until.js';

test('however many namespaces there are, cleanup names a hundred of them and sums up the others', async () => {
  const setup = await startSetup({ flags: { samplerSchedule: '* * * * * *' } });
  onTestFinished(() => setup.stop());
  const [one] = setup.coordinators;
  await setup.database.query(`
    INSERT INTO onceward.namespace SELECT (jsonb_populate_record(n, jsonb_build_object('name', 'ns-' || i))).*
    FROM onceward.namespace n, generate_series(1, 150) i`);
  // One live and one expired record, and an expired result, in each of 150.
  await setup.database.query(`
    INSERT INTO onceward.record (namespace, scope, key, state, on_lapse, attempt, fencing_token, create_time, finish_time,
      result_expire_time, record_expire_time, operation, result_code, result_digest, result_envelope, result_payload)
    SELECT 'ns-' || n, '', kind || n, 'COMPLETED', 'RERUN', 1, 1, now() - interval '1 d', now() - interval '1 d',
      now() + result_left, now() + record_left, 'charge', 0, '0123456789abcdef', 'e', ''
    FROM generate_series(1, 150) n, (VALUES ('live', interval '1 d', interval '1 d'),
      ('strippable', '-1 h', '1 d'), ('expired', '-1 h', '-1 h')) kinds (kind, result_left, record_left)`);
  const samples = await until('all is swept and told', async () => {
    const now = await scrape(one!);
    const done =
      sumOf(now, 'onceward_sweep_removed_total') === 150 &&
      sumOf(now, 'onceward_store_records', { onceward_retention: 'live' }) === 300;
    return done ? now : undefined;
  });
  for (const metric of [
    'onceward_sweep_removed_total',
    'onceward_sweep_stripped_total',
    'onceward_store_records',
    'onceward_store_record_size',
  ]) {
    expect([metric, namespacesOf(samples, metric).size]).toEqual([metric, 101]);
  }
  const others = { onceward_namespace: '_other' };
  expect(sumOf(samples, 'onceward_sweep_removed_total', others)).toBe(50);
  expect(sumOf(samples, 'onceward_sweep_stripped_total', others)).toBe(50);
  expect(sumOf(samples, 'onceward_store_records', { ...others, onceward_retention: 'live' })).toBe(100);
});

function namespacesOf(samples: readonly Sample[], metric: string): ReadonlySet<unknown> {
  return new Set(
    samples.filter(({ name }) => name === metric).map(({ labels }) => labels['onceward_namespace']),
  );
}
