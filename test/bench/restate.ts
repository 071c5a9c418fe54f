import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../support/free-port.js';
import { until } from '../support/until.js';
import { startProgram } from './program.js';

export interface Restate {
  readonly ingressPort: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

/** A Restate of one node, as it is by default (its log is synced), that knows the service at `servicePort`. */
export async function startRestate(parentFolder: string, servicePort: number): Promise<Restate> {
  const [nodePort, ingressPort, adminPort] = [await freePort(), await freePort(), await freePort()];
  const logFile = join(parentFolder, 'restate.log');
  const require = createRequire(new URL('peers/package.json', import.meta.url));
  const binary = require.resolve(`@restatedev/restate-server-${platform()}-${arch()}/bin/restate-server`);
  const program = await startProgram(binary, ['--no-logo', '--base-dir', join(parentFolder, 'restate')], {
    logFile,
    env: {
      RESTATE_BIND_ADDRESS: `127.0.0.1:${nodePort}`,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingressPort}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${adminPort}`,
      RESTATE_DISABLE_TELEMETRY: 'true',
    },
  });
  try {
    await until('Restate serves', async () => {
      if (program.hasEnded()) return true;
      const response = await fetch(`http://127.0.0.1:${ingressPort}/restate/health`);
      return response.ok;
    });
    if (program.hasEnded()) throw new Error(`Restate did not start:\n${await readFile(logFile, 'utf8')}`);
    await register(adminPort, servicePort);
  } catch (error) {
    await program.kill();
    throw error;
  }
  return { ingressPort, pid: program.pid, stop: () => program.kill() };
}

async function register(adminPort: number, servicePort: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${servicePort}` }),
  });
  if (!response.ok) throw new Error(`Restate refused the service: ${await response.text()}`);
}
