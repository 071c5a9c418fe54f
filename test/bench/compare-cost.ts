import pg from 'pg';
import { migrate } from '../../src/store/migrate.js';
import type { LoadOrder } from './contestant.js';
import { startLoadGenerator, type LoadGenerator } from './load-generator.js';
import { medianRatio } from './results.js';
import { startCoordinator } from './start-coordinator.js';
import { declareNamespace } from './venue.js';
import type { Undo } from './with-undo.js';

/** A database of its own on the server, migrated. */
export async function createSide(serverUrl: string, name: string, partitionCount?: number): Promise<string> {
  const client = new pg.Client(serverUrl);
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await migrate(url.href, partitionCount);
  return url.href;
}

/** A coordinator on the database, and the SDK in front of it. */
export async function startSide(databaseUrl: string, undo: Undo): Promise<LoadGenerator> {
  const coordinator = await startCoordinator(undo, databaseUrl);
  await declareNamespace(coordinator.address);
  const generator = startLoadGenerator('contestants/sdk.ts', [coordinator.address]);
  await undo(() => generator.stop());
  return generator;
}

export interface Comparison {
  readonly base: LoadGenerator;
  readonly other: LoadGenerator;
  readonly rounds: number;
  readonly order: LoadOrder;
}

/** What a cycle costs on the other side by what it costs on the base: the median of interleaved rounds. */
export async function compareCost({ base, other, rounds, order }: Comparison): Promise<number> {
  const [bases, others]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    // Who goes first alternates, so that what drifts over the run favours neither.
    const otherFirst = round % 2 === 1 ? (await other.order(order)).perSecond : undefined;
    const baseRate = (await base.order(order)).perSecond;
    const otherRate = otherFirst ?? (await other.order(order)).perSecond;
    const name = round === 0 ? 'warm-up' : `round ${round} of ${rounds}`;
    process.stdout.write(`${name}: ${baseRate.toFixed(0)}/s against ${otherRate.toFixed(0)}/s\n`);
    if (round === 0) continue;
    bases.push(baseRate);
    others.push(otherRate);
  }
  return medianRatio(bases, others);
}

/** Prints the ratio beside its bar; one that is missed makes the exit code 1. */
export function printRatio(what: string, ratio: number, bar: number): void {
  const passed = ratio <= bar;
  process.stdout.write(`${what}: ${ratio.toFixed(2)} ×; at most ${bar} ×: ${passed ? 'met' : 'missed'}\n\n`);
  if (!passed) process.exitCode = 1;
}
