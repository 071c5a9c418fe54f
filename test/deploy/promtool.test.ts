import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { deployedPath } from '../support/deployed.js';

test.each([
  ['check', 'rules', 'alerts.yaml'],
  ['test', 'rules', 'alerts.test.yaml'],
  ['check', 'config', 'prometheus.yaml'],
])('promtool %s %s %s', (verb, what, file) => {
  const { status, stdout, stderr } = spawnSync('promtool', [verb, what, deployedPath(file)], {
    encoding: 'utf8',
  });
  expect(`${stdout}${stderr}`).toContain('SUCCESS');
  expect(status).toBe(0);
});
