import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig, settingNames } from '../../src/config.js';

const file = 'deploy/onceward.yaml';
const text = await readFile(file, 'utf8');

test('the example names every setting once, and no other', () => {
  const named = [...text.matchAll(/^(?:# )?(\w+):/gm)].map(([, name]) => name);
  expect(named.toSorted()).toEqual(settingNames.toSorted());
});

test('what it sets is the default', () => {
  expect(loadConfig(file)).toEqual(loadConfig(undefined));
});

test('the lines that are commented out are settings too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-example-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const all = join(folder, 'onceward.yaml');
  await writeFile(all, text.replaceAll(/^# (?=\w+: \S+$)/gm, ''));
  expect(Object.keys(loadConfig(all)).sort()).toEqual(settingNames.toSorted());
});

test('each has a comment above it', () => {
  const bare = text
    .split('\n\n')
    .filter((block) => /^(?:# )?\w+:/m.test(block) && !/^# .*\n(?:# )?\w+:/m.test(block));
  expect(bare).toEqual([]);
});
