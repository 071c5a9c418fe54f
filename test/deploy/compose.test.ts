import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config.js';

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: object;
  readonly stop_grace_period?: string;
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, null>>;
}
interface Prometheus {
  readonly rule_files: readonly string[];
  readonly scrape_configs: readonly {
    readonly job_name: string;
    readonly static_configs: readonly { readonly targets: readonly string[] }[];
  }[];
}
interface Collector {
  readonly receivers: {
    readonly otlp: { readonly protocols: { readonly http: { readonly endpoint: string } } };
  };
  readonly exporters: { readonly prometheus: { readonly endpoint: string } };
  readonly service: {
    readonly pipelines: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  };
}

const { services, volumes } = read('compose.yaml') as Compose;
const all = Object.entries(services);
const coordinators = all.filter(([, { build }]) => build !== undefined);
const prometheus = read('prometheus.yaml') as Prometheus;
const collector = read('otel/collector.yaml') as Collector;

function read(path: string): unknown {
  return parse(readFileSync(join('deploy', path), 'utf8'), { merge: true });
}

function targetsOf(job: string): readonly string[] {
  const found = prometheus.scrape_configs.find(({ job_name }) => job_name === job);
  return found?.static_configs.flatMap(({ targets }) => targets) ?? [];
}

afterEach(() => {
  vi.unstubAllEnvs();
});

test('there are two coordinators of one image', () => {
  expect(coordinators).toHaveLength(2);
  expect(new Set(coordinators.map(([, { image }]) => image)).size).toBe(1);
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
  expect(coordinators[0]![1].image).toBe(`onceward:${version}`);
});

test.each(all)('%s: a pinned image, ports on loopback only, files that exist', (_, service) => {
  expect(service.image).toMatch(/:v?\d+\.\d+(\.\d+)?(-\w+)?$/);
  for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  for (const volume of service.volumes ?? []) {
    const [source = ''] = volume.split(':');
    const there = source.startsWith('./') ? existsSync(join('deploy', source)) : source in volumes;
    expect([source, there]).toEqual([source, true]);
  }
  const { build } = service;
  if (build !== undefined) expect(existsSync(join('deploy', build.context, build.dockerfile))).toBe(true);
  for (const [other, { condition }] of Object.entries(service.depends_on ?? {}))
    if (condition === 'service_healthy') expect(services[other]?.healthcheck).toBeDefined();
});

test('no two publish the same port', () => {
  const published = all.flatMap(([, { ports = [] }]) => ports.map((port) => port.split(':')[1]));
  expect(published.toSorted()).toEqual([...new Set(published)].sort());
});

test('no secret stands in it', () => {
  const secrets = all.flatMap(([, { environment = {} }]) =>
    Object.entries(environment).filter(([name]) => name.endsWith('PASSWORD')),
  );
  expect(secrets.length).toBeGreaterThan(0);
  for (const [, value] of secrets) expect(value).toMatch(/^\$\{\w+:\?.*\}$/);
});

test.each(coordinators)('%s: its settings are settings, on the ports that are asked', (name, service) => {
  for (const [variable, value] of Object.entries(service.environment ?? {}))
    vi.stubEnv(variable, value.replaceAll(/\$\{\w+:\?.*?\}/g, 'secret'));
  const { port, httpPort, databaseUrl, otlpEndpoint, drainTimeoutMs, ...config } = loadConfig(undefined);
  expect(config).toMatchObject({ host: '0.0.0.0', insecure: true });
  expect(service.ports?.map((each) => Number(each.split(':')[2]))).toEqual([port, httpPort]);
  expect(new URL(databaseUrl ?? '').hostname).toBe('postgres');
  const { endpoint } = collector.receivers.otlp.protocols.http;
  expect(new URL(otlpEndpoint ?? '').host).toBe(endpoint.replace('0.0.0.0', 'otel-collector'));
  expect(targetsOf('onceward')).toContain(`${name}:${httpPort}`);
  expect(Number(service.stop_grace_period?.replace('s', '')) * 1000).toBeGreaterThan(drainTimeoutMs);
  const settings = Object.keys(service.environment ?? {}).filter((each) => each.startsWith('ONCEWARD_'));
  const known = Object.keys(loadConfig(undefined)).map(
    (each) => `ONCEWARD_${each.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
  );
  expect(settings.filter((each) => !known.includes(each))).toEqual([]);
});

test('Prometheus asks nobody else, and loads rules that are mounted beside its configuration', () => {
  const hosts = ['onceward', 'onceward-sdk'].flatMap(targetsOf).map((target) => target.split(':')[0]);
  expect(hosts.toSorted()).toEqual([...coordinators.map(([name]) => name), 'otel-collector'].sort());
  expect(targetsOf('onceward-sdk')).toEqual([
    collector.exporters.prometheus.endpoint.replace('0.0.0.0', 'otel-collector'),
  ]);
  const mounted = services['prometheus']?.volumes?.map((volume) => volume.split(':')[1]);
  expect(mounted).toEqual(
    expect.arrayContaining(prometheus.rule_files.map((file) => `/etc/prometheus/${file}`)),
  );
});

test('the pipelines of the collector use what is defined, and all of it', () => {
  for (const kind of ['receivers', 'processors', 'exporters']) {
    const used = Object.values(collector.service.pipelines).flatMap((pipeline) => pipeline[kind] ?? []);
    const defined = Object.keys((collector as unknown as Record<string, object>)[kind] ?? {});
    expect([...new Set(used)].sort()).toEqual(defined.toSorted());
  }
});

test('Grafana finds its datasource and its dashboards', () => {
  const { datasources } = read('grafana/provisioning/datasources/prometheus.yaml') as {
    datasources: { url: string }[];
  };
  expect(datasources.map(({ url }) => new URL(url).hostname)).toEqual(['prometheus']);
  const { providers } = read('grafana/provisioning/dashboards/onceward.yaml') as {
    providers: { options: { path: string } }[];
  };
  expect(services['grafana']?.volumes).toContain(`./grafana:${providers[0]!.options.path}:ro`);
});
