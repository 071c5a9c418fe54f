import pg from 'pg';
import { expect, test } from 'vitest';
import { decideBegin } from '../../src/core/decide.js';
import { createDatabase } from '../support/database.js';
import { finishOf, openTestStore, termsOf, tokenOf } from '../support/store.js';
import { until } from '../support/until.js';

test('a result that is stripped between the clock and the snapshot of a read is expired, not replayed without it', async ({
  onTestFinished,
}) => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const { store, ...opened } = await openTestStore(database.url, {}, { tombstoneRetentionMs: 3_600_000 });
  onTestFinished(() => opened.close());
  const terms = termsOf('k');
  await store.finish(finishOf('k', await tokenOf(store.claimNew(terms))));
  await database.query(
    `UPDATE onceward.record SET result_expire_time = now() + interval '500 ms', record_expire_time = 'infinity'`,
  );
  const sweeper = new pg.Client(database.url);
  await sweeper.connect();
  // Who holds the table lets a read have its now(), and holds up its snapshot; the sweep comes in between.
  await sweeper.query('BEGIN');
  await sweeper.query('LOCK TABLE onceward.record IN ACCESS EXCLUSIVE MODE');
  const reading = store.read(terms.ref, true);
  await until('the read waits', async () => {
    const waiting = await database.query(
      `SELECT FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'onceward begin'`,
    );
    return waiting.length === 1;
  });
  await until('the result is expired, and stripped', async () => {
    const { rowCount } = await sweeper.query(
      `UPDATE onceward.record SET result_envelope = NULL, result_payload = NULL
       WHERE result_expire_time <= clock_timestamp()`,
    );
    return rowCount === 1;
  });
  await sweeper.query('COMMIT');
  await sweeper.end();

  const { record, nowTime } = (await reading)!;
  // Else the read began too late to be the case in question.
  expect('resultExpireTime' in record && record.resultExpireTime).toBeGreaterThan(nowTime);
  const question = { ...terms, maxAttempts: undefined };
  expect(decideBegin(record, question, nowTime).kind).toBe('result_expired');
});
