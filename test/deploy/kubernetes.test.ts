import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { loadConfig, type Config } from '../../src/config.js';
import { poolSizes } from '../../src/store/postgres-store.js';
import { metricNames } from '../../src/telemetry/names.js';
import { execute } from '../support/calls.js';
import { allCommands } from '../support/command-paths.js';
import { startSetup, type TestCoordinator } from '../support/coordinator.js';
import { schemaProblems, type Resource } from '../support/kubernetes-schema.js';
import { scrape } from '../support/prometheus.js';

interface Labelled {
  readonly matchLabels: Readonly<Record<string, string>>;
}
interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly {
    readonly name: string;
    readonly valueFrom: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
  }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Pod {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly serviceAccountName: string;
    readonly automountServiceAccountToken: boolean;
    readonly enableServiceLinks: boolean;
    readonly terminationGracePeriodSeconds: number;
    readonly topologySpreadConstraints: readonly { readonly labelSelector: Labelled }[];
    readonly containers: readonly Container[];
    readonly volumes: readonly { readonly name: string; readonly configMap: { readonly name: string } }[];
  };
}
interface Port {
  readonly name: string;
  readonly port: number;
  readonly targetPort: string;
}
/** Whatever this test looks at, in whichever kind it is. */
interface Manifest extends Resource {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data: Readonly<Record<string, string>>;
  readonly stringData: Readonly<Record<string, string>>;
  readonly spec: {
    readonly template: Pod;
    readonly clusterIP: string;
    readonly strategy: { readonly rollingUpdate: { readonly maxSurge: number } };
    readonly selector: Labelled | Readonly<Record<string, string>>;
    readonly podSelector: Labelled;
    readonly ports: readonly Port[];
    readonly ingress: readonly { readonly ports: readonly Port[] }[];
    readonly scaleTargetRef: { readonly kind: string; readonly name: string };
    readonly maxReplicas: number;
    readonly metrics: readonly { readonly pods: { readonly metric: { readonly name: string } } }[];
  };
}

const folder = 'deploy/kubernetes';
const adapter = 'prometheus-adapter.yaml';
const resources = readdirSync(folder)
  .filter((name) => name.endsWith('.yaml') && name !== adapter)
  .flatMap((name) => parseAllDocuments(readFileSync(join(folder, name), 'utf8')))
  .map((document) => document.toJS() as Manifest);

function find(kind: string, name = 'onceward'): Manifest {
  const found = resources.find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}

const deployment = find('Deployment');
const job = find('Job', 'onceward-migrate');
const pods = [deployment.spec.template, job.spec.template];
const [coordinator] = deployment.spec.template.spec.containers as readonly [Container];
const portOf = (name: string) => coordinator.ports.find((port) => port.name === name)?.containerPort;

/** What the coordinators run with. */
async function configured(): Promise<Config> {
  const path = await mkdtemp(join(tmpdir(), 'onceward-kubernetes-'));
  onTestFinished(() => rm(path, { recursive: true }));
  const file = join(path, 'onceward.yaml');
  await writeFile(file, find('ConfigMap').data['onceward.yaml'] ?? '');
  for (const { name, valueFrom } of coordinator.env) {
    const { name: secret, key } = valueFrom.secretKeyRef;
    vi.stubEnv(name, find('Secret', secret).stringData[key]);
  }
  return loadConfig(file);
}
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the schema', () => {
  test('has nothing against any of them', () => {
    expect(resources.map(({ kind }) => kind)).toContain('HorizontalPodAutoscaler');
    expect(schemaProblems(resources)).toEqual([]);
  });

  const [container] = deployment.spec.template.spec.containers;
  test.each([
    ['an unknown field', ['spec', 'template', 'spec', 'enableServiceLink'], false, /"enableServiceLink"/],
    [
      'an unknown field in a list',
      ['spec', 'template', 'spec', 'containers'],
      [{ ...container, arg: [] }],
      /"arg"/,
    ],
    ['a wrong type', ['spec', 'template', 'spec', 'terminationGracePeriodSeconds'], '30', /'number'/],
    ['a field left out', ['spec', 'selector'], undefined, /"selector"/],
    [
      'a quantity that is none',
      ['spec', 'template', 'spec', 'containers'],
      [{ ...container, resources: { limits: { memory: '512 megabytes' } } }],
      /memory/,
    ],
    ['another apiVersion', ['apiVersion'], 'apps/v1beta9', /apps\/v1beta9/],
  ])('refuses %s', (_, path, value, message) => {
    const changed = structuredClone(deployment) as unknown as Record<string, unknown>;
    const parent = path.slice(0, -1).reduce((at, name) => at[name] as Record<string, unknown>, changed);
    parent[path.at(-1)!] = value;
    expect(schemaProblems([changed as unknown as Resource]).join('\n')).toMatch(message);
  });
});

describe('what refers to each other agrees', () => {
  test('everything is in the namespace, and uses its service account without a token', () => {
    const namespaces = resources
      .filter(({ kind }) => kind !== 'Namespace')
      .map(({ metadata }) => metadata.namespace);
    expect(new Set(namespaces)).toEqual(new Set([find('Namespace').metadata.name]));
    for (const { spec } of pods) {
      expect(spec.serviceAccountName).toBe(find('ServiceAccount').metadata.name);
      expect(spec.automountServiceAccountToken).toBe(false);
    }
  });

  test('every selector selects the coordinators, and none the migration', () => {
    const { labels } = deployment.spec.template.metadata;
    const selectors = [
      (deployment.spec.selector as Labelled).matchLabels,
      find('Service').spec.selector as Readonly<Record<string, string>>,
      (find('PodDisruptionBudget').spec.selector as Labelled).matchLabels,
      find('NetworkPolicy', 'onceward-coordinator').spec.podSelector.matchLabels,
      ...deployment.spec.template.spec.topologySpreadConstraints.map(
        (each) => each.labelSelector.matchLabels,
      ),
    ];
    expect(selectors).toHaveLength(6);
    for (const selector of selectors) {
      expect(labels).toMatchObject(selector);
      expect(job.spec.template.metadata.labels).not.toMatchObject(selector);
    }
  });

  test('both run the image of this version', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { readonly version: string };
    const images = pods.flatMap(({ spec }) => spec.containers.map(({ image }) => image));
    expect(images).toEqual([`onceward:${version}`, `onceward:${version}`]);
  });

  test('the file of the ConfigMap is where the program looks, and its settings are settings', async () => {
    const [mount] = coordinator.volumeMounts;
    const { volumes } = deployment.spec.template.spec;
    expect(volumes.find(({ name }) => name === mount?.name)?.configMap.name).toBe(
      find('ConfigMap').metadata.name,
    );
    expect(coordinator.args).toEqual(['serve', `--config=${mount?.mountPath}/onceward.yaml`]);
    // Else a Service of the name is found as the setting ONCEWARD_PORT.
    for (const { spec } of pods) expect(spec.enableServiceLinks).toBe(false);
    const config = await configured();
    expect(config).toMatchObject({ host: '0.0.0.0', insecure: true, migrate: false });
    expect(new URL(config.databaseUrl ?? '').username).toBe('onceward_coordinator');
  });

  test('the ports are those that the program listens on, for probes, Service, scrapes and policy', async () => {
    const { port, httpPort } = await configured();
    expect(coordinator.ports).toEqual([
      { name: 'grpc', containerPort: port },
      { name: 'http', containerPort: httpPort },
    ]);
    const { livenessProbe, readinessProbe } = coordinator;
    expect(livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
    expect(readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
    const service = find('Service').spec;
    expect(service.clusterIP).toBe('None');
    // Of a headless Service the clients use the pods' own ports.
    for (const each of service.ports) expect(each.port).toBe(portOf(each.targetPort));
    const { annotations } = deployment.spec.template.metadata;
    expect(annotations['prometheus.io/port']).toBe(String(httpPort));
    const policy = find('NetworkPolicy', 'onceward-coordinator').spec;
    expect(policy.ingress.flatMap(({ ports }) => ports.map(({ port: name }) => name))).toEqual([
      'grpc',
      'http',
    ]);
  });

  test('pods are given longer than the drain', async () => {
    const { drainTimeoutMs } = await configured();
    const graceMs = deployment.spec.template.spec.terminationGracePeriodSeconds * 1000;
    expect(graceMs).toBeGreaterThan(drainTimeoutMs + 5000);
  });

  test('the Job runs a command that exists, as the owner', async () => {
    const [{ args, env }] = job.spec.template.spec.containers as readonly [Container];
    expect((await allCommands()).map(({ path }) => path)).toContainEqual(args);
    const [{ name, valueFrom }] = env as [Container['env'][number]];
    expect(name).toBe('ONCEWARD_DATABASE_URL');
    const { name: secret, key } = valueFrom.secretKeyRef;
    expect(new URL(find('Secret', secret).stringData[key] ?? '').username).toBe('onceward_owner');
  });

  test('as many as there may be, with one more in a rollout, fit into the connections of a Postgres', () => {
    const most =
      find('HorizontalPodAutoscaler').spec.maxReplicas + deployment.spec.strategy.rollingUpdate.maxSurge;
    // And the one that listens.
    const each = Object.values(poolSizes).reduce((sum, size) => sum + size, 1);
    expect(most * each).toBeLessThanOrEqual(97);
  });

  test('the autoscaler asks for what the adapter makes of metrics that are there', async () => {
    const { scaleTargetRef, metrics } = find('HorizontalPodAutoscaler').spec;
    expect(scaleTargetRef).toMatchObject({ kind: 'Deployment', name: deployment.metadata.name });
    const { rules } = parse(readFileSync(join(folder, adapter), 'utf8')) as {
      readonly rules: readonly { readonly name: { readonly as: string }; readonly metricsQuery: string }[];
    };
    expect(rules.map(({ name }) => name.as)).toEqual(metrics.map(({ pods: { metric } }) => metric.name));
    const series = JSON.stringify(rules).match(/onceward_[a-z_]+(?=\{)/g) ?? [];
    const base = metricNames.laneQueueDuration.replaceAll('.', '_');
    expect(new Set(series)).toEqual(new Set([`${base}_sum`, `${base}_count`]));
    const setup = await startSetup();
    onTestFinished(() => setup.stop());
    const [one] = setup.coordinators as [TestCoordinator];
    await execute(one, 'order-1');
    const names = new Set((await scrape(one)).map(({ name }) => name));
    for (const name of series) expect(names).toContain(name);
  });
});
