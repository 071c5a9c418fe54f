import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { alertChecks, alertRules, deployedPath } from '../support/deployed.js';

const names = alertRules().map(({ alert }) => alert);

test('there are alerts, each with a name of its own', () => {
  expect(names.length).toBeGreaterThan(10);
  expect(new Set(names).size).toBe(names.length);
});

test.each(alertRules())('$alert says what it means, how bad it is and where to read on', (rule) => {
  const { alert, labels, annotations } = rule;
  expect(['critical', 'warning']).toContain(labels.severity);
  expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook', 'summary']);
  expect(annotations['runbook']).toBe(`deploy/runbook.md#${alert.toLowerCase()}`);
});

test.each(names)('%s is shown to fire, and to stay quiet', (name) => {
  const expected = alertChecks()
    .filter(({ alertname }) => alertname === name)
    .map(({ exp_alerts: alerts }) => alerts.length > 0);
  expect(new Set(expected)).toEqual(new Set([true, false]));
});

test('the runbook has a section for each alert, and for no other', () => {
  const runbook = readFileSync(deployedPath('runbook.md'), 'utf8');
  const sections = [...runbook.matchAll(/^## (Onceward[A-Z]\w+)$/gm)].map(([, name]) => name);
  expect(sections.sort()).toEqual([...names].sort());
});
