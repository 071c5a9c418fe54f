/** The built SDK's `guard` around a function that does nothing: what a service pays. */
import { takeOrders } from '../contestant.js';
import { importBuilt } from '../import-built.js';
import { sample } from '../sample.js';

const { connectOnceward, guard } = await importBuilt<typeof import('../../../src/index.js')>('index.js');
const [address = ''] = process.argv.slice(2);
const { namespace, scope, operation, fingerprint, result } = sample;
const onceward = connectOnceward({ addresses: [address], namespace });
const codec = {
  contentType: result.contentType,
  encode: (value: Uint8Array) => value,
  decode: (payload: Uint8Array | undefined) => payload ?? new Uint8Array(),
};
const payload = new Uint8Array(result.payload ?? []);

takeOrders(async (key) => {
  let answer: 'executed' | 'replayed' = 'replayed';
  const value = await guard(onceward, { key, scope, operation, fingerprint, codec }, () => {
    answer = 'executed';
    return Promise.resolve(payload);
  });
  if (value.length !== payload.length) throw new Error(`a result of ${value.length} bytes came back`);
  return answer;
});
