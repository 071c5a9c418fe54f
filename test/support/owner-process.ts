/**
 * An owner in a process of its own, for tests that kill and stop it. Arguments: address, key, lease in ms. Begins, prints
 * the grant's token, then does what the lines on its standard input say (`complete`, `heartbeat`) and prints how it went.
 */
import { createInterface } from 'node:readline';
import { CallError } from '../../src/client/call-error.js';
import { connectCoordinator } from '../../src/client/coordinator-client.js';
import { durationOf } from '../../src/rpc/duration.js';
import { beginRequest, expectOutcome, refOf, result } from './calls.js';

const [address = '', key = '', leaseMs = '0', onLapse = '0'] = process.argv.slice(2);
const { coordinator } = connectCoordinator({ address });
const lease = durationOf(Number(leaseMs));
const ref = refOf(key);
const begun = await coordinator.begin(beginRequest(key, { lease, onLapse: Number(onLapse) }));
const { fencingToken } = expectOutcome(begun, 'execute');
console.log(String(fencingToken));

for await (const order of createInterface(process.stdin)) {
  try {
    if (order === 'complete') {
      await coordinator.complete({ ref, fencingToken, result: result(`by ${fencingToken}`) });
    }
    if (order === 'heartbeat') await coordinator.heartbeat({ ref, fencingToken, lease });
    console.log(`${order}: OK`);
  } catch (error) {
    console.log(`${order}: ${error instanceof CallError ? error.reason : String(error)}`);
  }
}
