import * as stable from '@opentelemetry/semantic-conventions';
import { expect, test } from 'vitest';
import { attributeNames, metricNames, operationMetricNames, spanNames } from '../../src/telemetry/names.js';

const standard = new Set<unknown>(Object.values(stable));

test.each([
  ['attributes', Object.values(attributeNames)],
  ['metrics', Object.values(metricNames)],
])('%s that are not ours are names of the stable semantic conventions', (_, names) => {
  const foreign = names.filter((name) => !name.startsWith('onceward.'));
  expect(foreign.length).toBeGreaterThan(0);
  expect(foreign.filter((name) => !standard.has(name))).toEqual([]);
});

test.each([
  ['metrics', Object.values(operationMetricNames)],
  ['spans', Object.values(spanNames)],
])("the SDK's %s are told from others by their prefix", (_, names) => {
  expect(names.filter((name) => !name.startsWith('onceward.'))).toEqual([]);
});
