import { once } from 'node:events';
import type { Child } from '../support/child.js';
import { cpuMsOf, endedChildrenCpuMsOf, familyCpuMsOf } from './cpu.js';
import type { LoadOrder, LoadReport } from './load.js';
import type { Pgbench } from './pgbench.js';

/** What runs during a bench. */
export interface Rig {
  readonly coordinatorPid: number;
  readonly postmasterPid: number | undefined;
  readonly load: Child;
  readonly pgbench: Pgbench;
}

/** CPU by process in ms per 1,000 cycles; undefined where it can't be read. */
export type CpuPerThousand = Readonly<Record<'coordinator' | 'driver' | 'postgres', number | undefined>>;

export interface CoordinatorRound {
  readonly cyclesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpu: CpuPerThousand;
}

export interface PgbenchRound {
  readonly cyclesPerSecond: number;
  readonly cpu: CpuPerThousand;
}

export async function measureCoordinator(
  rig: Rig,
  inFlight: number,
  seconds: number,
): Promise<CoordinatorRound> {
  const before = usedCpu(rig);
  const report = await orderLoad(rig.load, { inFlight, durationMs: seconds * 1000 });
  const after = usedCpu(rig);
  const per = (used: number | undefined) => used && (used / report.cycles) * 1000;
  return {
    ...report,
    cpu: {
      coordinator: per(difference(after.coordinator, before.coordinator)),
      driver: per(report.cpuMs),
      postgres: per(difference(after.postgres, before.postgres)),
    },
  };
}

export async function measurePgbench(rig: Rig, clients: number, seconds: number): Promise<PgbenchRound> {
  const before = usedCpu(rig);
  const { cycles, cyclesPerSecond } = await rig.pgbench.run(clients, seconds);
  const after = usedCpu(rig);
  const per = (used: number | undefined) => used && (used / cycles) * 1000;
  return {
    cyclesPerSecond,
    cpu: {
      coordinator: undefined,
      driver: per(difference(after.endedChildren, before.endedChildren)),
      postgres: per(difference(after.postgres, before.postgres)),
    },
  };
}

export async function orderLoad(load: Child, order: LoadOrder): Promise<LoadReport> {
  load.process.send(order);
  const ended = load.ended.then(() => {
    throw new Error('the load generator ended; its error is above');
  });
  const [report] = (await Promise.race([once(load.process, 'message'), ended])) as [LoadReport];
  return report;
}

function usedCpu({ coordinatorPid, postmasterPid }: Rig) {
  return {
    coordinator: cpuMsOf(coordinatorPid),
    postgres: postmasterPid === undefined ? undefined : familyCpuMsOf(postmasterPid),
    endedChildren: endedChildrenCpuMsOf(process.pid),
  };
}

function difference(after: number | undefined, before: number | undefined): number | undefined {
  return after === undefined || before === undefined ? undefined : after - before;
}
