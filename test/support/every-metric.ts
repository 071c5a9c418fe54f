import { FailRequest_Kind } from '../../src/gen/onceward/v1/coordinator.js';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, execute, expectOutcome, refOf, result } from './calls.js';
import { caught } from './caught.js';
import type { TestCoordinator } from './coordinator.js';
import type { TestDatabase } from './database.js';
import { withoutDatabase } from './outage.js';
import { scrape, sumOf } from './prometheus.js';
import { expireRecord, expireResult, lapse } from './time-travel.js';
import { until } from './until.js';

/** A little of everything that can happen to a key in namespace `test`, so that each metric has something to tell. */
export async function makeEveryMetric(one: TestCoordinator, database: TestDatabase): Promise<void> {
  await finishInEveryWay(one, database);
  await waitForAnother(one);
  await expire(one, database);
  await withoutDatabase(database, async () => {
    await until('a call fails for want of a store', async () => {
      const error = await caught(one.coordinator.begin(beginRequest('unreachable')));
      return error.reason === 'STORE_UNAVAILABLE';
    });
  });
  await until('the store is back', () => execute(one, 'back'));
}

async function finishInEveryWay(one: TestCoordinator, database: TestDatabase): Promise<void> {
  const { coordinator } = one;
  const ref = refOf('key');
  const attempt = beginRequest('key');
  const first = expectOutcome(await coordinator.begin(attempt), 'execute').fencingToken;
  await coordinator.begin(attempt);
  await coordinator.heartbeat({ ref, fencingToken: first });
  await caught(coordinator.begin(beginRequest('key', { operation: 'refund' })));
  await lapse(database, 'key');
  const { fencingToken, takeover } = await execute(one, 'key');
  if (!takeover) throw new Error('a lapsed lease was not taken over');
  await caught(coordinator.complete({ ref, fencingToken: first, result: result('late') }));
  await coordinator.complete({ ref, fencingToken, result: result('done') });
  await caught(coordinator.complete({ ref, fencingToken, result: result('other') }));
  for (let i = 0; i < 3; i += 1) expectOutcome(await coordinator.begin(beginRequest('key')), 'replay');

  await execute(one, 'parked', { onLapse: OnLapse.PARK });
  await lapse(database, 'parked');
  expectOutcome(await coordinator.begin(beginRequest('parked')), 'indeterminate');
}

/** The sampler, which must be on, removes one record and strips another. */
async function expire(one: TestCoordinator, database: TestDatabase): Promise<void> {
  for (const key of ['removed', 'stripped']) {
    const { fencingToken } = await execute(one, key);
    await one.coordinator.complete({ ref: refOf(key), fencingToken, result: result('done') });
  }
  await expireRecord(database, 'removed');
  await expireResult(database, 'stripped');
  await until('the sampler came by', async () => {
    const samples = await scrape(one);
    return (
      sumOf(samples, 'onceward_sweep_removed_total') > 0 &&
      sumOf(samples, 'onceward_sweep_stripped_total') > 0
    );
  });
}

async function waitForAnother(one: TestCoordinator): Promise<void> {
  const { fencingToken } = await execute(one, 'waited-for');
  const kind = FailRequest_Kind.RETRYABLE;
  const status = { code: 14, message: 'bank unreachable', details: Buffer.alloc(0) };
  expectOutcome(
    await one.coordinator.begin(beginRequest('waited-for', { wait: durationOf(500) })),
    'inProgress',
  );
  await one.coordinator.fail({ ref: refOf('waited-for'), fencingToken, kind, status });
}
