import type { KeyStore } from '../core/key-store.js';
import type { Namespace } from '../core/policy.js';
import type { SweepTarget } from '../core/sweep-target.js';
import { Counters } from '../telemetry/counters.js';
import { noTelemetry, type Telemetry } from '../telemetry/telemetry.js';
import { begin } from './begin.js';
import type { BeginOutcome } from './begin-outcome.js';
import { complete, type CompleteAnswer, type CompleteRequest } from './complete.js';
import { fail, type FailAnswer, type FailRequest } from './fail.js';
import { Flights } from './flights.js';
import { forget, type ForgetRequest } from './forget.js';
import { getNamespace } from './get-namespace.js';
import { heartbeat, type HeartbeatRequest } from './heartbeat.js';
import { listAudit, type AuditPage, type ListAuditRequest } from './list-audit.js';
import { listRecords, type ListRecordsRequest, type RecordPage } from './list-records.js';
import { lookup, type LookupAnswer, type LookupRequest } from './lookup.js';
import { mintKey, type MintKeyRequest } from './mint-key.js';
import { Namespaces } from './namespaces.js';
import type { CallContext, Parts } from './parts.js';
import { putNamespace, type PutNamespaceRequest } from './put-namespace.js';
import type { BeginRequest } from './question.js';
import { ReplayCache, type ReplayCacheOptions } from './replay-cache.js';
import { resolve, type ResolveAnswer, type ResolveRequest } from './resolve.js';
import { getStats, type Stats } from './get-stats.js';
import { sweep, type SweepProgress, type SweepRequest } from './sweep.js';
import { Sync } from './sync.js';
import { Waiters } from './waiters.js';

export interface CoordinatorOptions {
  readonly store: KeyStore;
  readonly sweepTarget: SweepTarget;
  readonly replayCache: ReplayCacheOptions;
  /** Called when the store becomes reachable (true), and when polls have failed for 0.7 s or one hangs for 1.5 s (false). */
  readonly onReachable: (reachable: boolean) => void;
  /** Default: nothing is exported. */
  readonly telemetry?: Telemetry;
}

/** The verbs, over one store. */
export interface Coordinator {
  begin(request: BeginRequest, call: CallContext): Promise<BeginOutcome>;
  complete(request: CompleteRequest): Promise<CompleteAnswer>;
  fail(request: FailRequest): Promise<FailAnswer>;
  heartbeat(request: HeartbeatRequest): Promise<{ readonly leaseLeftMs: number }>;
  lookup(request: LookupRequest): Promise<LookupAnswer>;
  mintKey(request: MintKeyRequest): Promise<string>;
  putNamespace(request: PutNamespaceRequest, call: CallContext): Promise<Namespace>;
  getNamespace(name: string): Promise<Namespace>;
  listNamespaces(): Promise<readonly Namespace[]>;
  listRecords(request: ListRecordsRequest): Promise<RecordPage>;
  listAudit(request: ListAuditRequest): Promise<AuditPage>;
  resolve(request: ResolveRequest, call: CallContext): Promise<ResolveAnswer>;
  forget(request: ForgetRequest, call: CallContext): Promise<{ readonly already: boolean }>;
  getStats(): Promise<Stats>;
  sweep(request: SweepRequest, call: CallContext): Promise<SweepProgress>;
  /** Whether it is declared, as far as this process remembers. */
  knowsNamespace(name: string): boolean;
  /** Reads what it keeps in memory; the store must be reachable. */
  start(): Promise<void>;
  /** Answers all waiters with what they know; calls under way go on. */
  drain(): void;
  stop(): void;
}

export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { store, sweepTarget, replayCache, onReachable, telemetry = noTelemetry } = options;
  const namespaces = new Namespaces(store);
  const cache = new ReplayCache(replayCache);
  const sync = new Sync(store, cache, namespaces, onReachable);
  const counters = new Counters();
  const waiters = new Waiters(store);
  const { instruments } = telemetry;
  instruments.exportCounters(counters);
  instruments.exportNumber('waiters', () => waiters.size);
  instruments.exportNumber('replayCacheEntries', () => cache.entryCount);
  instruments.exportNumber('replayCacheSize', () => cache.bytes);
  instruments.exportNumber('storeClockOffset', () => {
    const offsetMs = sync.clockOffsetMs();
    return offsetMs === undefined ? undefined : offsetMs / 1000;
  });
  instruments.exportNumber('storeTokens', () => sync.tokensDrawn);
  const parts: Parts = {
    store,
    sweepTarget,
    namespaces,
    cache,
    sync,
    waiters,
    flights: new Flights(),
    counters,
    instruments,
  };
  return {
    begin: (request, call) => begin(parts, request, call),
    complete: (request) => complete(parts, request),
    fail: (request) => fail(parts, request),
    heartbeat: (request) => heartbeat(parts, request),
    lookup: (request) => lookup(parts, request),
    mintKey: (request) => mintKey(parts, request),
    putNamespace: (request, call) => putNamespace(parts, request, call),
    getNamespace: (name) => getNamespace(parts, name),
    listNamespaces: () => store.listNamespaces(),
    listRecords: (request) => listRecords(parts, request),
    listAudit: (request) => listAudit(parts, request),
    resolve: (request, call) => resolve(parts, request, call),
    forget: (request, call) => forget(parts, request, call),
    getStats: () => getStats(parts),
    sweep: (request, call) => sweep(parts, request, call),
    knowsNamespace: (name) => namespaces.has(name),
    start: async () => {
      await sync.start();
      counters.expectNamespaces(namespaces.names);
    },
    drain: () => {
      waiters.close();
    },
    stop: () => {
      waiters.close();
      sync.stop();
    },
  };
}
