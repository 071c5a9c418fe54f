import { afterAll, beforeAll, expect, test } from 'vitest';
import { refOf } from '../support/calls.js';
import { said } from '../support/child.js';
import { runChild } from '../support/child-coordinator.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { service } from '../support/sdk.js';

const leaseMs = 700;
let setup: TestSetup;
let one: TestCoordinator;
let two: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup({ coordinators: 2 });
  [one, two] = setup.coordinators as [TestCoordinator, TestCoordinator];
});
afterAll(() => setup.stop());

test('paused past its lease: its late answer is the winner’s, and its signal had fired', async () => {
  const child = runChild(['test/support/guarded-process.ts', one.address, 'paused', String(leaseMs)]);
  await said(child, 'out', /^running$/);
  child.signal('SIGSTOP');
  const { charge, runs } = service([two.address]);
  expect(await charge('paused', () => 'by the second', { waitMs: 20_000 })).toBe('by the second');
  expect(runs).toMatchObject([{ attempt: 2, takeover: true }]);
  child.tell('go on');
  child.signal('SIGCONT');
  expect(await said(child, 'out', /^answer|^failed/)).toBe('answer: by the second');
  expect(await said(child, 'out', /^signal/)).toMatch(/LEASE_LOST|lease may have lapsed/);
  expect(await one.coordinator.lookup({ ref: refOf('paused') })).toMatchObject({ attempt: 2 });
});

test('not paused: its own answer, and its signal has not fired', async () => {
  const child = runChild(['test/support/guarded-process.ts', one.address, 'steady', '10000']);
  await said(child, 'out', /^running$/);
  child.tell('go on');
  expect(await said(child, 'out', /^answer|^failed/)).toBe('answer: by the child');
  expect(await said(child, 'out', /^signal/)).toBe('signal: not fired');
});
