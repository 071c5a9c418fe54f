import type { Stats } from '../coordinator/get-stats.js';
import type { Estimate } from '../core/estimate.js';
import type * as wire from '../gen/onceward/v1/admin.js';
import { durationOf } from './duration.js';

export function statsOf({ partitions, estimates, counters }: Stats): wire.GetStatsResponse {
  const { live, expired, namespaces, oldestExpiredMs, time } = estimates;
  return {
    partitions: partitions.map((partition) => ({
      name: partition.name,
      totalBytes: BigInt(partition.totalBytes),
      estimatedRows: rowsOf(partition.estimates),
      live: partition.estimates && estimateOf(partition.estimates.live),
      expired: partition.estimates && estimateOf(partition.estimates.expired),
    })),
    counters,
    live: estimateOf(live),
    expired: estimateOf(expired),
    namespaces: [...namespaces].map(([name, of]) => ({
      name,
      live: estimateOf(of.live),
      expired: estimateOf(of.expired),
    })),
    oldestExpired: durationOf(oldestExpiredMs),
    estimateTime: time === undefined ? undefined : new Date(time),
  };
}

function rowsOf(estimates: Stats['partitions'][number]['estimates']): bigint {
  return estimates === undefined ? -1n : BigInt(Math.round(estimates.live.rows + estimates.expired.rows));
}

function estimateOf({ rows, low, high, bytes }: Estimate): wire.Estimate {
  return {
    rows: BigInt(Math.round(rows)),
    low: BigInt(Math.floor(low)),
    high: BigInt(Math.ceil(high)),
    bytes: BigInt(Math.round(bytes)),
  };
}
