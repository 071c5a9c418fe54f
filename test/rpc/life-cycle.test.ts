import { afterAll, beforeAll, expect, test } from 'vitest';
import { beginRequest, execute, expectOutcome, refOf, result } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';

let setup: TestSetup;
let one: TestCoordinator;

beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
});
afterAll(() => setup.stop());

test('execute, complete, replay', async () => {
  const granted = await execute(one, 'order-1');
  expect(granted).toMatchObject({ attempt: 1, takeover: false });
  const completed = await one.coordinator.complete({
    ref: refOf('order-1'),
    fencingToken: granted.fencingToken,
    result: result('charged'),
  });
  expect(completed.already).toBe(false);
  const replay = expectOutcome(await one.coordinator.begin(beginRequest('order-1')), 'replay');
  expect(replay.result).toEqual(result('charged'));
  expect(replay.expireTime).toEqual(completed.expireTime);
});
