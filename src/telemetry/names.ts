import type { CounterName } from './counters.js';

/** Who makes the spans and metrics, and the service they belong to. */
export const instrumentationName = 'onceward';

/**
 * Attributes. The first group is from the stable semantic conventions, the second is ours. None of them ever holds a key, a
 * scope, a payload or a token: a short hash stands for the identity.
 */
export const attributeNames = {
  serviceName: 'service.name',
  serviceVersion: 'service.version',
  serviceInstanceId: 'service.instance.id',
  serverAddress: 'server.address',
  serverPort: 'server.port',
  errorType: 'error.type',
  rpcSystemName: 'rpc.system.name',
  rpcMethod: 'rpc.method',
  rpcStatusCode: 'rpc.status_code',
  dbSystemName: 'db.system.name',
  dbNamespace: 'db.namespace',
  dbOperationName: 'db.operation.name',
  dbOperationBatchSize: 'db.operation.batch.size',
  dbResponseStatusCode: 'db.response.status_code',

  namespace: 'onceward.namespace',
  keyHash: 'onceward.key.hash',
  /** Stands for the first key of a chain of calls; in spans, and as baggage. */
  rootHash: 'onceward.root.hash',
  operation: 'onceward.operation',
  outcome: 'onceward.outcome',
  attempt: 'onceward.attempt',
  takeover: 'onceward.takeover',
  leaseLost: 'onceward.lease_lost',
  /** How the call came: `unary`, `batch` or `session`. */
  carrier: 'onceward.carrier',
  lane: 'onceward.lane',
  /** Of records: `live`, `expired`, or `strippable`. */
  retention: 'onceward.retention',
  /** On a link: what the other span is to this one. */
  link: 'onceward.link',
} as const;

/** Values of `attributeNames.link`. */
export const links = {
  /** The execution whose result is replayed. */
  original: 'original',
  /** A further call that rides in the same statement. */
  rider: 'rider',
} as const;

/** Spans of the SDK; those of the coordinator are named by their method or statement. */
export const spanNames = {
  operation: 'onceward.operation',
  begin: 'onceward.begin',
  wait: 'onceward.wait',
  execute: 'onceward.execute',
  finish: 'onceward.finish',
} as const;

export const metricNames = {
  callDuration: 'rpc.server.call.duration',
  callsInFlight: 'onceward.calls.in_flight',
  waiters: 'onceward.waiters',
  replayCacheEntries: 'onceward.replay_cache.entries',
  replayCacheSize: 'onceward.replay_cache.size',
  storeReachable: 'onceward.store.reachable',
  storeClockOffset: 'onceward.store.clock_offset',
  storeTokens: 'onceward.store.tokens',
  statementDuration: 'db.client.operation.duration',
  laneQueueDuration: 'onceward.lane.queue.duration',
  laneBatchSize: 'onceward.lane.batch.size',
  beginCheckDuration: 'onceward.begin.check.duration',
  beginWaitDuration: 'onceward.begin.wait.duration',
  beginOutcomes: 'onceward.begin.outcomes',
  beginParks: 'onceward.begin.parks',
  beginTakeovers: 'onceward.begin.takeovers',
  beginRepeatedGrants: 'onceward.begin.repeated_grants',
  beginCachedReplays: 'onceward.begin.cached_replays',
  beginMismatches: 'onceward.begin.mismatches',
  beginIncomparableFingerprints: 'onceward.begin.incomparable_fingerprints',
  beginWaits: 'onceward.begin.waits',
  completeOutcomes: 'onceward.complete.outcomes',
  completeOmittedPayloads: 'onceward.complete.omitted_payloads',
  failOutcomes: 'onceward.fail.outcomes',
  heartbeatExtensions: 'onceward.heartbeat.extensions',
  lostLeases: 'onceward.lost_leases',
  resultConflicts: 'onceward.result_conflicts',
} as const;

/** Of cleanup. */
export const sweepMetricNames = {
  ticks: 'onceward.sweep.ticks',
  batches: 'onceward.sweep.batches',
  batchDuration: 'onceward.sweep.batch.duration',
  removed: 'onceward.sweep.removed',
  stripped: 'onceward.sweep.stripped',
  sampled: 'onceward.sweep.sampled',
  passAge: 'onceward.sweep.pass.age',
  records: 'onceward.store.records',
  recordsError: 'onceward.store.records.error',
  recordSize: 'onceward.store.record.size',
  size: 'onceward.store.size',
  oldestExpired: 'onceward.store.oldest_expired',
} as const;

/** Of the SDK. */
export const operationMetricNames = {
  outcomes: 'onceward.operation.outcomes',
  duplicates: 'onceward.operation.duplicates',
  mismatches: 'onceward.operation.mismatches',
  takeovers: 'onceward.operation.takeovers',
  leasesLost: 'onceward.operation.leases_lost',
  waitDuration: 'onceward.operation.wait.duration',
  overhead: 'onceward.operation.overhead',
  inFlight: 'onceward.operation.in_flight',
} as const;

/** The metric a counter is, with its outcome where several counters are one metric. */
export interface CounterMetric {
  readonly name: string;
  readonly outcome?: string;
  readonly description: string;
}

const beginOutcomes = { name: metricNames.beginOutcomes, description: 'Begins by what they were answered.' };
const completeOutcomes = { name: metricNames.completeOutcomes, description: 'Results accepted by Complete.' };
const failOutcomes = { name: metricNames.failOutcomes, description: 'Failures accepted by Fail.' };

/** Every counter is exported; one that is not named here does not compile. */
export const counterMetrics: Readonly<Record<CounterName, CounterMetric>> = {
  'begin.execute': { ...beginOutcomes, outcome: 'execute' },
  'begin.replay': { ...beginOutcomes, outcome: 'replay' },
  'begin.in_progress': { ...beginOutcomes, outcome: 'in_progress' },
  'begin.indeterminate': { ...beginOutcomes, outcome: 'indeterminate' },
  'begin.indeterminate.parked': {
    name: metricNames.beginParks,
    description: 'Records that became INDETERMINATE: nobody runs them until an operator resolves them.',
  },
  'begin.result_expired': { ...beginOutcomes, outcome: 'result_expired' },
  'begin.execute.takeover': {
    name: metricNames.beginTakeovers,
    description: 'Grants of a key whose earlier lease lapsed.',
  },
  'begin.execute.repeated': {
    name: metricNames.beginRepeatedGrants,
    description: 'Begins that were sent again and got their grant again.',
  },
  'begin.replay.cached': {
    name: metricNames.beginCachedReplays,
    description: 'Begins answered from the replay cache.',
  },
  'begin.mismatch': {
    name: metricNames.beginMismatches,
    description: 'Begins of a known key with another operation or fingerprint.',
  },
  'begin.fingerprint_incomparable': {
    name: metricNames.beginIncomparableFingerprints,
    description: 'Begins whose fingerprint has another version than the record.',
  },
  'begin.waited': {
    name: metricNames.beginWaits,
    description: "Begins that waited for someone else's attempt.",
  },
  'complete.done': { ...completeOutcomes, outcome: 'done' },
  'complete.already': { ...completeOutcomes, outcome: 'already' },
  'complete.payload_omitted': {
    name: metricNames.completeOmittedPayloads,
    description: 'Results too large to be kept, completed without their payload.',
  },
  'fail.final': { ...failOutcomes, outcome: 'final' },
  'fail.retryable': { ...failOutcomes, outcome: 'retryable' },
  'fail.already': { ...failOutcomes, outcome: 'already' },
  'heartbeat.extended': { name: metricNames.heartbeatExtensions, description: 'Leases extended.' },
  lease_lost: {
    name: metricNames.lostLeases,
    description: 'Calls refused because their token was superseded.',
  },
  result_conflict: {
    name: metricNames.resultConflicts,
    description: 'Results refused because another one is stored.',
  },
};
