import type { Sample } from '../core/sample.js';
import type { PageBatch, SweptPages, SweptPartition, SweepTarget } from '../core/sweep-target.js';
import { translated } from './failure.js';
import type { Pool } from './pool.js';
import { loadStatement, type PreparedQuery, type Statement } from './statement.js';
import type { QueryRow } from './values.js';

const queries = {
  claimTick: loadStatement('claim-tick'),
  readPartitions: loadStatement('read-partitions'),
  readReplicationLag: loadStatement('read-replication-lag'),
  saveSample: loadStatement('save-sample'),
};

/** The records as what cleanup sweeps, partition by partition. */
export function createSweepStore(pool: Pool): SweepTarget {
  const rows = (query: PreparedQuery) => translated(pool.use((run) => run(query)));
  const sweeps = new Map<string, Statement>();
  const sweepOf = (partition: string): Statement => {
    const sweep = sweeps.get(partition) ?? loadStatement('sweep-pages', partition);
    sweeps.set(partition, sweep);
    return sweep;
  };
  return {
    async claimTick(spacingMs) {
      return (await rows(queries.claimTick.one({ spacing_ms: spacingMs }))).length > 0;
    },

    async readPartitions() {
      return (await rows(queries.readPartitions.one({}))).map(partitionOf);
    },

    async sweepPages(batch) {
      return sweptPagesOf(await rows(sweepOf(batch.partition).one(rowOf(batch))));
    },

    async saveSamples(samples) {
      if (samples.length === 0) return;
      const kept = samples.map(({ partition, sample }) => ({ partition, sample: JSON.stringify(sample) }));
      await rows(queries.saveSample.many(kept));
    },

    async readReplicationLagMs() {
      const [row] = await rows(queries.readReplicationLag.one({}));
      return (row?.['lag_ms'] as number | null) ?? undefined;
    },
  };
}

function rowOf({ partition, pages, pass, namespace, dryRun, sampleTime }: PageBatch) {
  return {
    partition,
    pages,
    pass_from: pass?.fromPage ?? null,
    pass_to: pass?.toPage ?? null,
    namespace: namespace ?? null,
    dry_run: dryRun ?? false,
    sample_time_ms: sampleTime ?? null,
  };
}

function sweptPagesOf(rows: readonly QueryRow[]): SweptPages | undefined {
  const ofKind = (kind: string) => rows.filter((row) => row['kind'] === kind);
  const [claimed] = ofKind('claimed');
  if (claimed === undefined) return undefined;
  const byNamespace = (kind: string, column = 'live') =>
    new Map(ofKind(kind).map((row) => [row['namespace'] as string, Number(row[column])]));
  return {
    nowTime: claimed['now_time'] as number,
    counts: ofKind('found').map((row) => ({
      page: Number(row['page']),
      namespace: row['namespace'] as string,
      live: Number(row['live']),
      expired: Number(row['expired']),
      strippable: Number(row['strippable']),
      liveBytes: Number(row['live_bytes']),
      expiredBytes: Number(row['expired_bytes']),
      oldestExpiredMs: row['oldest_expired_ms'] as number,
    })),
    removed: byNamespace('removed'),
    removedOfSample: byNamespace('removed', 'expired'),
    stripped: byNamespace('stripped'),
  };
}

function partitionOf(row: QueryRow): SweptPartition {
  return {
    name: row['partition'] as string,
    pageCount: Number(row['page_count']),
    totalBytes: Number(row['total_bytes']),
    pass: { startTime: row['pass_start_time'] as number, nextPage: Number(row['pass_page']) },
    sample: (row['sample'] as Sample | null) ?? undefined,
    nowTime: row['now_time'] as number,
  };
}
