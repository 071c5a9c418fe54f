import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { OnLapse } from '../../src/gen/onceward/v1/record.js';
import { beginRequest, refOf } from '../support/calls.js';
import { startSetup, type TestCoordinator, type TestSetup } from '../support/coordinator.js';
import { dashboard } from '../support/deployed.js';
import { putNamespace } from '../support/namespaces.js';
import { runInProcess } from '../support/run-program.js';
import { wordsOf } from '../support/shell-words.js';
import { lapse } from '../support/time-travel.js';

const runbook = readFileSync('deploy/runbook.md', 'utf8');
const blocks = (language: string) =>
  [...runbook.matchAll(new RegExp(`^ *\`\`\`${language}\\n(.*?)^ *\`\`\``, 'gms'))].map(
    ([, text = '']) => text,
  );
const prose = runbook.replaceAll(/^ *```.*?^ *```/gms, '');

/** In blocks, and in the text. */
const commands = [
  ...blocks('sh').flatMap((text) => text.trim().split('\n')),
  ...[...prose.matchAll(/`(onceward [^`]+)`/g)].map(([, command = '']) => command),
];
const statements = blocks('sql').flatMap((text) => text.split(/;\s*$/m).filter((each) => each.trim() !== ''));

let setup: TestSetup;
let one: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [one] = setup.coordinators as [TestCoordinator];
  await putNamespace(one, 'payments');
  vi.stubEnv('ONCEWARD_ADDRESS', one.address);
  vi.stubEnv('ONCEWARD_DATABASE_URL', setup.database.url);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await setup.stop();
});

/** Leaves order-42 of payments as the runbook finds it: parked, since its owner vanished. */
async function park(): Promise<void> {
  const ref = refOf('order-42', 'payments');
  await one.admin.forget({ ref, reason: 'again', evenIfLeased: true });
  await one.coordinator.begin(beginRequest('', { ref, onLapse: OnLapse.PARK }));
  await lapse(setup.database, 'order-42');
  const { outcome } = await one.coordinator.begin(beginRequest('', { ref }));
  expect(outcome?.$case).toBe('indeterminate');
}

test.each([...new Set(commands)])('%s', async (command) => {
  const [args] = await wordsOf([command]);
  if (args === undefined) throw new Error('not a command of ours');
  await park();
  const { code, stderr } = await runInProcess(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.each([...new Set(statements)])('%s', async (statement) => {
  expect((await setup.database.query(statement)).length).toBeGreaterThanOrEqual(0);
});

test('raised tokens are above all that were given', async () => {
  const granted = async (key: string) => {
    const { outcome } = await one.coordinator.begin(beginRequest(key));
    return outcome?.$case === 'execute' ? outcome.value.fencingToken : 0n;
  };
  const before = await granted('before');
  await setup.database.query(statements.find((each) => each.includes('setval')) ?? '');
  expect(await granted('after')).toBeGreaterThan(before + 1_000_000_000n);
});

test('what is in italics is a panel', () => {
  const text = prose.replaceAll(/`[^`]*`/g, '').replaceAll(/\s+/g, ' ');
  const named = [...text.matchAll(/(?<!\w)_([A-Z][^_]*)_(?!\w)/g)].map(([, title = '']) => title);
  expect(named.length).toBeGreaterThan(20);
  const titles = dashboard().panels.map(({ title }) => title);
  expect([...new Set(named)].filter((title) => !titles.includes(title))).toEqual([]);
});

const sections = runbook.split(/^(?=#{1,2} )/m).filter((text) => /^## Onceward[A-Z]/.test(text));

test.each(sections.map((text) => [text.split('\n')[0], text] as const))(
  '%s says what it means, what callers notice, where to look, what to do and what not',
  (_, text) => {
    const leads = [...text.matchAll(/^\*\*([^*]+)\.\*\*/gm)].map(([, lead]) => lead);
    expect(leads).toEqual(['Means', 'Callers notice', 'Look', 'Do', "Don't"]);
  },
);
