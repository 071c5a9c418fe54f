import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A Prometheus of a test's own. */
export interface PrometheusServer {
  /** Runs an instant query; an expression that can't be run throws what Prometheus says. */
  query(expression: string): Promise<readonly Series[]>;
  /** The alerting rules it was given, with what their last evaluation said. */
  rules(): Promise<readonly Rule[]>;
  stop(): Promise<void>;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

export interface Rule {
  readonly name: string;
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
}

/** Scrapes `host:port` addresses, by job, four times a second. */
export async function startPrometheus(
  jobs: Readonly<Record<string, readonly string[]>>,
  rulesFile: string,
): Promise<PrometheusServer> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-prometheus-'));
  await copyFile(rulesFile, join(folder, 'rules.yaml'));
  const config = {
    global: { scrape_interval: '250ms', scrape_timeout: '250ms', evaluation_interval: '500ms' },
    rule_files: ['rules.yaml'],
    scrape_configs: Object.entries(jobs).map(([job, targets]) => ({
      job_name: job,
      static_configs: [{ targets }],
    })),
  };
  // JSON is YAML.
  await writeFile(join(folder, 'prometheus.yaml'), JSON.stringify(config));
  const flags = [
    `--config.file=${join(folder, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    '--web.listen-address=127.0.0.1:0',
  ];
  const child = spawn('prometheus', flags, { stdio: ['ignore', 'ignore', 'pipe'] });
  const killWithUs = () => void child.kill('SIGKILL');
  process.on('exit', killWithUs);
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    process.off('exit', killWithUs);
    await rm(folder, { recursive: true, force: true });
  };
  const address = await addressOf(child.stderr).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://${address}/api/v1/${path}`);
    const body = (await response.json()) as { readonly data?: unknown; readonly error?: string };
    if (body.error !== undefined) throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  return {
    query: async (expression) => {
      const data = await get(`query?query=${encodeURIComponent(expression)}`);
      return (data as { readonly result: readonly Series[] }).result;
    },
    rules: async () => {
      const { groups } = (await get('rules')) as { readonly groups: readonly { readonly rules: Rule[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    stop,
  };
}

/** It takes a free port and says which. Its log is read to the end, or it would stop at a full pipe. */
function addressOf(log: NodeJS.ReadableStream): Promise<string> {
  const said: string[] = [];
  return new Promise((resolve, reject) => {
    createInterface(log)
      .on('line', (line) => {
        said.push(line);
        const [, address] = /msg="Listening on" address=(\S+)/.exec(line) ?? [];
        if (address !== undefined) resolve(address);
      })
      .on('close', () => reject(new Error(`Prometheus did not start:\n${said.join('\n')}`)));
  });
}
