import { expect, test } from 'vitest';
import { addressOf } from '../../src/rpc/address.js';

test.each([
  ['127.0.0.1', '127.0.0.1:7400'],
  ['onceward.internal', 'onceward.internal:7400'],
  ['::1', '[::1]:7400'],
])('%s is listened on, and told, as %s', (host, address) => {
  expect(addressOf(host, 7400)).toBe(address);
});
