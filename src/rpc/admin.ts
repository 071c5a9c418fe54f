import type { Coordinator } from '../coordinator/coordinator.js';
import type { Decision } from '../coordinator/resolve.js';
import type { Namespace, Policy } from '../core/policy.js';
import type { State } from '../core/record.js';
import { Violations } from '../core/violations.js';
import type * as wire from '../gen/onceward/v1/admin.js';
import { OnLapse, State as WireState } from '../gen/onceward/v1/record.js';
import { onLapseOf } from './convert.js';
import { recordOf, wireStateOf } from './convert-record.js';
import { statsOf } from './convert-stats.js';
import { durationOf, msOf, retentionMsOf, retentionOf } from './duration.js';
import { checkedStatus, failureResultOf, resultOf } from './result.js';
import type { UnaryCalls } from './unary.js';

/** The Admin service. */
export function adminMethods(coordinator: Coordinator, unary: UnaryCalls) {
  return {
    putNamespace: unary.handler(async (request: wire.PutNamespaceRequest, call) =>
      wireNamespaceOf(await coordinator.putNamespace(putNamespaceOf(request), call)),
    ),
    getNamespace: unary.handler(async ({ name }: wire.GetNamespaceRequest) =>
      wireNamespaceOf(await coordinator.getNamespace(name)),
    ),
    listNamespaces: unary.handler(async () => ({
      namespaces: (await coordinator.listNamespaces()).map(wireNamespaceOf),
    })),
    listRecords: unary.handler(async (request: wire.ListRecordsRequest) => {
      const page = await coordinator.listRecords(listRecordsOf(request));
      return { records: page.records.map((seen) => recordOf(seen)), nextPageToken: page.nextPageToken };
    }),
    resolve: unary.handler(async (request: wire.ResolveRequest, call) => {
      const { ref, reason } = request;
      const { already, state } = await coordinator.resolve(
        { ref, decision: decisionOf(request), reason },
        call,
      );
      return { already, state: wireStateOf(state) };
    }),
    forget: unary.handler(({ ref, reason, evenIfLeased }: wire.ForgetRequest, call) =>
      coordinator.forget({ ref, reason, evenIfLeased }, call),
    ),
    getStats: unary.handler(async (): Promise<wire.GetStatsResponse> => {
      return statsOf(await coordinator.getStats());
    }),
    sweep: unary.handler(async (request: wire.SweepRequest, call): Promise<wire.SweepResponse> => {
      const progress = await coordinator.sweep(request, call);
      return {
        removed: BigInt(progress.removed),
        stripped: BigInt(progress.stripped),
        nextPageToken: progress.nextPageToken,
        sweptPages: BigInt(progress.sweptPages),
        totalPages: BigInt(progress.totalPages),
      };
    }),
    listAudit: unary.handler(async (request: wire.ListAuditRequest): Promise<wire.ListAuditResponse> => {
      const page = await coordinator.listAudit(request);
      const entries = page.entries.map((entry) => ({ ...entry, time: new Date(entry.time) }));
      return { entries, nextPageToken: page.nextPageToken };
    }),
  };
}

function putNamespaceOf({ namespace }: wire.PutNamespaceRequest) {
  const violations = new Violations();
  if (namespace === undefined) violations.add('namespace', 'is required');
  const policy = namespace?.policy;
  const at = (field: string) => `namespace.policy.${field}`;
  const converted = {
    name: namespace?.name ?? '',
    policy: {
      onLapse: onLapseOf(policy?.onLapse ?? OnLapse.UNSPECIFIED, at('on_lapse'), violations),
      defaultLeaseMs: msOf(policy?.defaultLease, at('default_lease'), violations),
      maxLeaseMs: msOf(policy?.maxLease, at('max_lease'), violations),
      maxAttempts: policy?.maxAttempts,
      resultRetentionMs: retentionMsOf(policy?.resultRetention, at('result_retention'), violations),
      maxResultRetentionMs: retentionMsOf(policy?.maxResultRetention, at('max_result_retention'), violations),
      tombstoneRetentionMs: retentionMsOf(policy?.tombstoneRetention, at('tombstone_retention'), violations),
      abandonedRetentionMs: retentionMsOf(policy?.abandonedRetention, at('abandoned_retention'), violations),
      maxResultBytes: policy?.maxResultBytes,
      refuseOldKeys: policy?.refuseOldKeys,
    },
  };
  violations.throwIfAny();
  return converted;
}

function wireNamespaceOf({ name, policy, createTime, updateTime }: Namespace): wire.Namespace {
  return {
    name,
    policy: wirePolicyOf(policy),
    createTime: new Date(createTime),
    updateTime: new Date(updateTime),
  };
}

function wirePolicyOf(policy: Policy): wire.Policy {
  return {
    onLapse: OnLapse[policy.onLapse],
    defaultLease: durationOf(policy.defaultLeaseMs),
    maxLease: durationOf(policy.maxLeaseMs),
    maxAttempts: policy.maxAttempts,
    resultRetention: retentionOf(policy.resultRetentionMs),
    maxResultRetention: retentionOf(policy.maxResultRetentionMs),
    tombstoneRetention: retentionOf(policy.tombstoneRetentionMs),
    abandonedRetention: retentionOf(policy.abandonedRetentionMs),
    maxResultBytes: policy.maxResultBytes,
    refuseOldKeys: policy.refuseOldKeys,
  };
}

function listRecordsOf(request: wire.ListRecordsRequest) {
  const violations = new Violations();
  const { namespace, keyPrefix, pageSize, pageToken } = request;
  const converted = {
    namespace,
    state: stateOf(request.state, violations),
    keyPrefix,
    minAgeMs: msOf(request.minAge, 'min_age', violations),
    maxAgeMs: msOf(request.maxAge, 'max_age', violations),
    pageSize,
    pageToken,
  };
  violations.throwIfAny();
  return converted;
}

function stateOf(value: WireState, violations: Violations): State | undefined {
  switch (value) {
    case WireState.UNSPECIFIED:
      return undefined;
    case WireState.IN_PROGRESS:
    case WireState.COMPLETED:
    case WireState.FAILED:
    case WireState.RELEASED:
    case WireState.INDETERMINATE:
      return WireState[value] as State;
    default:
      violations.add('state', `has the unknown value ${String(value)}`);
      return undefined;
  }
}

function decisionOf({ decision }: wire.ResolveRequest): Decision | undefined {
  const violations = new Violations();
  const converted = ((): Decision | undefined => {
    switch (decision?.$case) {
      case 'complete':
        return { state: 'COMPLETED', result: resultOf(decision.value, 'complete', violations) };
      case 'fail': {
        const status = checkedStatus(decision.value, 'fail', violations);
        return { state: 'FAILED', result: failureResultOf(status, {}, violations) };
      }
      case 'release':
        return { state: 'RELEASED' };
      case undefined:
        return undefined;
    }
  })();
  violations.throwIfAny();
  return converted;
}
