/** Cycles in a namespace of one's own choice by the built SDK's calls, which gives up what is refused or not answered within a second. */
import { randomUUID } from 'node:crypto';
import { takeOrders } from '../contestant.js';
import { importBuilt } from '../import-built.js';
import { sample } from '../sample.js';

const { CallError, connectOnceward } = await importBuilt<typeof import('../../../src/index.js')>('index.js');
const [address = '', namespace = ''] = process.argv.slice(2);
const { calls } = connectOnceward({ addresses: [address], namespace });
const { scope, operation, fingerprint, result } = sample;
const deadlineMs = 1000;

takeOrders(async (key) => {
  const ref = { namespace, scope, key };
  try {
    const { outcome } = await calls.begin(
      { ref, operation, fingerprint, attemptId: randomUUID() },
      { deadlineMs },
    );
    if (outcome?.$case === 'execute')
      await calls.complete({ ref, fencingToken: outcome.value.fencingToken, result }, { deadlineMs });
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
  }
  return 'executed';
});
