import { estimateStore, type Estimates, type StoreEstimates } from '../core/estimate.js';
import { counterNames } from '../telemetry/counters.js';
import type { Parts } from './parts.js';

export interface Stats {
  readonly partitions: readonly PartitionStats[];
  /** Of all partitions that were sampled. */
  readonly estimates: StoreEstimates;
  readonly counters: Readonly<Record<string, bigint>>;
}

export interface PartitionStats {
  readonly name: string;
  readonly totalBytes: number;
  /** Undefined before the first sample. */
  readonly estimates: Estimates | undefined;
}

export async function getStats({ sweepTarget, counters }: Parts): Promise<Stats> {
  const partitions = await sweepTarget.readPartitions();
  return {
    partitions: partitions.map(({ name, totalBytes, sample }) => ({
      name,
      totalBytes,
      estimates: sample && estimateStore([sample]),
    })),
    estimates: estimateStore(partitions.map(({ sample }) => sample)),
    counters: Object.fromEntries(counterNames.map((name) => [name, BigInt(counters.read(name))])),
  };
}
