import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config.js';
import { startChildCoordinator } from '../support/child-coordinator.js';
import { createDatabase } from '../support/database.js';

afterEach(() => {
  vi.unstubAllEnvs();
});

const standard = 'OTEL_EXPORTER_OTLP_ENDPOINT';

async function fileOf(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-settings-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'onceward.yaml');
  await writeFile(file, text);
  return file;
}

test('nothing is sent unless it is said where to, and /metrics is there', () => {
  expect(loadConfig(undefined)).toMatchObject({ prometheus: true });
  expect(loadConfig(undefined).otlpEndpoint).toBeUndefined();
});

test('file < standard environment < our environment < flag', async () => {
  const file = await fileOf('otlpEndpoint: http://file:4318\n');
  const endpoint = (flags = {}) => loadConfig(file, flags).otlpEndpoint;
  expect(endpoint()).toBe('http://file:4318');
  vi.stubEnv(standard, '');
  expect(endpoint()).toBe('http://file:4318');
  vi.stubEnv(standard, 'http://standard:4318');
  expect(endpoint()).toBe('http://standard:4318');
  vi.stubEnv('ONCEWARD_OTLP_ENDPOINT', 'http://ours:4318');
  expect(endpoint()).toBe('http://ours:4318');
  expect(endpoint({ otlpEndpoint: 'https://flag' })).toBe('https://flag');
});

test.each([
  ['collector:4318', 'ONCEWARD_OTLP_ENDPOINT'],
  ['grpc://collector:4317', standard],
])('%s is refused with its source', (value, source) => {
  vi.stubEnv(source, value);
  expect(() => loadConfig(undefined)).toThrow(
    new ConfigError(`${source}: must begin with http:// or https:// and name a host`),
  );
});

test.each([
  ['ONCEWARD_PORT', '', 'must be a number'],
  ['ONCEWARD_REPLAY_CACHE_BYTES', '', 'must be a number'],
  ['ONCEWARD_SAMPLER_THRESHOLD', ' ', 'must be a number'],
  ['ONCEWARD_STATEMENT_TIMEOUT_MS', String(2 ** 31), 'Too big: expected number to be <=2147483647'],
  ['ONCEWARD_CONNECT_TIMEOUT_MS', 'soon', 'must be a number'],
  ['ONCEWARD_DRAIN_TIMEOUT_MS', '1.5', 'must be a whole number'],
  ['ONCEWARD_INSECURE', 'yes', 'must be true or false'],
])('%s=%j is refused', (name, value, why) => {
  vi.stubEnv(name, value);
  expect(() => loadConfig(undefined)).toThrow(new ConfigError(`${name}: ${why}`));
});

test('what the command line does not say, the environment says', async () => {
  const database = await createDatabase();
  const env = { ONCEWARD_PROMETHEUS: 'false' };
  const child = await startChildCoordinator(database.url, [], { env });
  const response = await fetch(`http://127.0.0.1:${child.httpPort}/metrics`);
  expect(response.status).toBe(404);
  await child.stop();
  await database.drop();
});
