import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { defaults } from '../../src/core/limits.js';
import { loadStatement, type PreparedQuery } from '../../src/store/statement.js';
import { sample } from './sample.js';

const run = promisify(execFile);

export interface Pgbench {
  readonly version: string;
  /** Runs cycles on `clients` connections for whole seconds, after a warm-up. */
  run(clients: number, seconds: number): Promise<PgbenchRun>;
}

export interface PgbenchRun {
  /** Without the warm-up. */
  readonly cyclesPerSecond: number;
  /** With the warm-up. */
  readonly cycles: number;
}

/**
 * Each run has new connections, and a new backend takes some 30 ms to know 16 partitions and plan its statements: with
 * 64 of them the first seconds measure nothing else. The coordinator keeps its connections, so neither side is charged.
 */
const warmUpSeconds = 5;

/** Marks where the script's own variables go among the parameters. */
const ofScript = { key: '\u0000key', token: -1n };

/** Writes the script of one cycle to `scriptFile`. */
export async function preparePgbench(databaseUrl: string, scriptFile: string): Promise<Pgbench> {
  const version = await pgbenchVersion();
  const { script, variables } = cycleScript();
  await writeFile(scriptFile, script);
  const definitions = Object.entries(variables).flatMap(([name, value]) => ['-D', `${name}=${value}`]);
  return {
    version,
    run: async (clients, seconds) => {
      const flags = ['-n', '-M', 'prepared', '-j', '2', '-c', String(clients), '-P', '1'];
      const time = ['-T', String(warmUpSeconds + seconds)];
      const args = [...flags, ...time, ...definitions, '-f', scriptFile, databaseUrl];
      const { stdout, stderr } = await run('pgbench', args);
      return runOf(stdout, stderr);
    },
  };
}

function runOf(stdout: string, stderr: string): PgbenchRun {
  const cycles = Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1]);
  const failed = /number of failed transactions: (\d+)/.exec(stdout)?.[1];
  // `progress: 6.0 s, 754.9 tps, …`: the rate since the line before.
  const progress = [...stderr.matchAll(/^progress: ([\d.]+) s, ([\d.]+) tps/gm)].map(([, time, rate]) => ({
    time: Number(time),
    rate: Number(rate),
  }));
  let measured = 0;
  let elapsed = 0;
  progress.forEach(({ time, rate }, i) => {
    const since = progress[i - 1]?.time ?? 0;
    if (since < warmUpSeconds - 0.5) return;
    measured += rate * (time - since);
    elapsed += time - since;
  });
  if (!(cycles > 0) || failed !== '0' || elapsed === 0)
    throw new Error(`pgbench did not run well:\n${stdout}${stderr}`);
  return { cycles, cyclesPerSecond: measured / elapsed };
}

async function pgbenchVersion(): Promise<string> {
  try {
    return (await run('pgbench', ['--version'])).stdout.trim();
  } catch (error) {
    throw new Error(
      'pgbench is not here, and there is nothing to compare with: on Debian and Ubuntu `apt-get install postgresql`, ' +
        'on macOS `brew install postgresql`; its bin folder must be in PATH',
      { cause: error },
    );
  }
}

/**
 * The coordinator's own two statements in their single-row form, each its own transaction, as pgbench sends them: what
 * the values are becomes variables, which `-M prepared` binds as parameters.
 */
function cycleScript(): { readonly script: string; readonly variables: Readonly<Record<string, string>> } {
  const ref = { namespace: sample.namespace, scope: sample.scope, key: ofScript.key };
  const claim = loadStatement('claim-new').one({
    ...ref,
    operation: sample.operation,
    fingerprint_version: sample.fingerprint.version,
    fingerprint_digest: sample.fingerprint.digest,
    attempt_id: sample.attemptId,
    lease_ms: defaults.leaseMs,
    on_lapse: 'RERUN',
    abandoned_retention_ms: defaults.abandonedRetentionMs,
    result_retention_ms: null,
    parent_namespace: null,
    parent_scope: null,
    parent_key: null,
    labels: null,
    traceparent: null,
    too_old_time: 'infinity',
  });
  const finish = loadStatement('finish').one({
    ...ref,
    fencing_token: ofScript.token,
    state: 'COMPLETED',
    result_code: 0,
    result_digest: sample.resultDigest,
    result_envelope: sample.envelope,
    result_payload: sample.result.payload ?? null,
    result_payload_omitted: false,
    asked_result_retention_ms: null,
    policy_result_retention_ms: defaults.resultRetentionMs,
    tombstone_retention_ms: defaults.tombstoneRetentionMs,
  });
  const variables: Record<string, string> = {};
  const claimText = withVariables(claim, variables);
  const finishText = withVariables(finish, variables);
  return {
    script: `\\set random_key random(1, 9223372036854775807)\n${claimText} \\gset\n${finishText};\n`,
    variables,
  };
}

function withVariables({ name, text, values }: PreparedQuery, variables: Record<string, string>): string {
  return text.replaceAll(/\$(\d+)/g, (_, number: string) => {
    const value = values[Number(number) - 1] as string | number | bigint | boolean | Buffer | null;
    if (value === ofScript.key) return ':random_key';
    if (value === ofScript.token) return ':fencing_token';
    // A variable can't be null.
    if (value === null) return 'NULL';
    const variable = `${name.replaceAll('-', '_')}_${number}`;
    variables[variable] = Buffer.isBuffer(value) ? `\\x${value.toString('hex')}` : String(value);
    return `:${variable}`;
  });
}
