import { expect, test } from 'vitest';
import { identityHash, identityOf } from '../../src/core/key.js';
import { startScratchPostgres } from '../support/scratch-postgres.js';
import { testSeed } from '../support/seed.js';
import { judge } from './judge.js';
import { runExample, type RunResult } from './run.js';

const flawless = { wrong: [], unstableKeys: [], brokenTraces: [], unlinkedReplays: 0 };

test('every order has its effects once in each service, with stable keys and one trace', async () => {
  const seed = testSeed();
  console.log(`e2e: ONCEWARD_TEST_SEED=${seed}`);
  const postgres = await startScratchPostgres({ max_connections: '200' });
  try {
    const result = await runExample({
      orders: 60,
      seed,
      loseAnswer: 0.3,
      kills: 3,
      postgresUrl: postgres.url,
    });
    expect(judge(result)).toMatchObject(flawless);
    expect(result.orders).toHaveLength(60);
    expect(result.answersLost).toBeGreaterThan(20);
    expect(judge(result).replays).toBeGreaterThan(10);
  } finally {
    await postgres.stop();
  }
}, 120_000);

/** What a run of one order looks like when all went well; each flaw below must be seen. */
function goodRun(): RunResult {
  const key = 'k';
  const rootHash = identityHash(identityOf({ namespace: 'shop', scope: '', key }));
  const span = (namespace: string, hash: string, more = {}) => ({
    name: 'onceward.operation',
    traceId: 't1',
    spanId: hash,
    attributes: {
      'onceward.namespace': namespace,
      'onceward.key.hash': hash,
      'onceward.root.hash': rootHash,
      ...more,
    },
    links: [] as { traceId: string; spanId: string }[],
  });
  const replay = {
    ...span('payments', 'b', { 'onceward.outcome': 'replay' }),
    links: [{ traceId: 't1', spanId: 'b' }],
  };
  return {
    orders: [{ id: 'o1', key, traceId: 't1', answer: { order: 'o1', charge: 'c1' } }],
    effects: new Map([
      ['shop', [{ order: 'o1', what: 'c1' }]],
      ['payment', [{ order: 'o1', what: 'c1' }]],
      ['ledger', ['customer', 'merchant'].map((what) => ({ order: 'o1', what }))],
    ]),
    spans: [span('shop', 'a'), span('payments', 'b'), replay, span('ledger', 'c'), span('ledger', 'd')],
    answersLost: 1,
    kills: 0,
  };
}

test('the judge finds nothing in a good run', () => {
  expect(judge(goodRun())).toMatchObject(flawless);
});

test.each<[string, (run: RunResult) => RunResult, string]>([
  [
    'a double effect',
    (run) => ({
      ...run,
      effects: new Map([...run.effects, ['shop', Array(2).fill({ order: 'o1', what: 'c1' })]]),
    }),
    'wrong',
  ],
  ['a lost effect', (run) => ({ ...run, effects: new Map([...run.effects, ['ledger', []]]) }), 'wrong'],
  [
    'an answer of another execution',
    (run) => ({
      ...run,
      orders: run.orders.map((order) => ({ ...order, answer: { order: 'o1', charge: 'c2' } })),
    }),
    'wrong',
  ],
  [
    'a key too many',
    (run) => ({
      ...run,
      spans: [
        ...run.spans,
        { ...run.spans[1]!, attributes: { ...run.spans[1]!.attributes, 'onceward.key.hash': 'x' } },
      ],
    }),
    'unstableKeys',
  ],
  ['a hop without a span', (run) => ({ ...run, spans: run.spans.slice(1) }), 'brokenTraces'],
  [
    'a span of another trace',
    (run) => ({ ...run, spans: run.spans.map((span, i) => (i === 0 ? { ...span, traceId: 't2' } : span)) }),
    'brokenTraces',
  ],
  [
    'a replay without a link',
    (run) => ({ ...run, spans: run.spans.map((span) => ({ ...span, links: [] })) }),
    'unlinkedReplays',
  ],
])('the judge finds %s', (_, spoil, where) => {
  const found = judge(spoil(goodRun()));
  expect(found).not.toMatchObject(flawless);
  expect(found).not.toMatchObject({ [where]: flawless[where as keyof typeof flawless] });
});
