import { defaults, limits } from './limits.js';
import type { Violations } from './violations.js';

/** What a lapsed lease leads to: the next Begin takes over, or the record waits for an operator. */
export type OnLapse = 'RERUN' | 'PARK';

/** What holds for the keys of a namespace. Retentions are ms, `Infinity` for ever. */
export interface Policy {
  readonly onLapse: OnLapse;
  readonly defaultLeaseMs: number;
  readonly maxLeaseMs: number;
  /** Grants before a key is parked; undefined: unlimited. */
  readonly maxAttempts: number | undefined;
  readonly resultRetentionMs: number;
  readonly maxResultRetentionMs: number;
  readonly tombstoneRetentionMs: number;
  readonly abandonedRetentionMs: number;
  readonly maxResultBytes: number;
  readonly refuseOldKeys: boolean;
}

/** The service or team that owns keys. */
export interface Namespace {
  readonly name: string;
  readonly policy: Policy;
  /** Database clock, ms. */
  readonly createTime: number;
  readonly updateTime: number;
  /** Turns ids of untrusted clients into keys; never leaves the coordinator. */
  readonly mintSecret: Uint8Array;
}

/** Fills a partial policy with the defaults, so that what is stored says everything. */
export function completePolicy(given: { readonly [K in keyof Policy]?: Policy[K] | undefined }): Policy {
  const maxLeaseMs = given.maxLeaseMs ?? Math.max(defaults.maxLeaseMs, given.defaultLeaseMs ?? 0);
  const resultRetentionMs = given.resultRetentionMs ?? defaults.resultRetentionMs;
  return {
    onLapse: given.onLapse ?? 'RERUN',
    defaultLeaseMs: given.defaultLeaseMs ?? Math.min(defaults.leaseMs, maxLeaseMs),
    maxLeaseMs,
    maxAttempts: given.maxAttempts,
    resultRetentionMs,
    maxResultRetentionMs:
      given.maxResultRetentionMs ?? Math.max(defaults.maxResultRetentionMs, resultRetentionMs),
    tombstoneRetentionMs: given.tombstoneRetentionMs ?? defaults.tombstoneRetentionMs,
    abandonedRetentionMs: given.abandonedRetentionMs ?? defaults.abandonedRetentionMs,
    maxResultBytes: given.maxResultBytes ?? defaults.maxResultBytes,
    refuseOldKeys: given.refuseOldKeys ?? true,
  };
}

export function checkPolicy(policy: Policy, violations: Violations): void {
  const at = (field: string) => `namespace.policy.${field}`;
  violations.range(at('max_lease'), policy.maxLeaseMs, limits.leaseMinMs, limits.leaseMaxMs, ' ms');
  violations.range(at('default_lease'), policy.defaultLeaseMs, limits.leaseMinMs, policy.maxLeaseMs, ' ms');
  if (policy.maxAttempts !== undefined) {
    violations.range(at('max_attempts'), policy.maxAttempts, 1, limits.maxAttempts);
  }
  checkRetention(at('result_retention'), policy.resultRetentionMs, limits.resultRetentionMinMs, violations);
  checkRetention(
    at('max_result_retention'),
    policy.maxResultRetentionMs,
    policy.resultRetentionMs,
    violations,
  );
  checkRetention(at('tombstone_retention'), policy.tombstoneRetentionMs, 0, violations);
  checkRetention(
    at('abandoned_retention'),
    policy.abandonedRetentionMs,
    limits.abandonedRetentionMinMs,
    violations,
  );
  violations.range(at('max_result_bytes'), policy.maxResultBytes, 0, limits.resultBytes);
}

function checkRetention(field: string, ms: number, min: number, violations: Violations): void {
  if (ms < min || !isRetention(ms))
    violations.add(field, `must be ${min} ms to ${limits.retentionMaxMs} ms, or forever`);
}

/** Whether it can be kept in dates, ms. */
function isRetention(ms: number): boolean {
  return ms <= limits.retentionMaxMs || ms === Infinity;
}

/** The lease a call gets: the one asked for, within the policy. */
export function leaseFor(askedMs: number | undefined, policy: Policy, violations: Violations): number {
  if (askedMs === undefined) return policy.defaultLeaseMs;
  violations.range('lease', askedMs, limits.leaseMinMs, policy.maxLeaseMs, ' ms');
  return askedMs;
}

/**
 * Calls may ask for a longer retention than the policy's, never a shorter one: KEY_TOO_OLD rests on every finished key
 * being remembered for at least the policy's retention.
 */
export function checkAskedRetention(
  askedMs: number | undefined,
  policy: Policy,
  violations: Violations,
): void {
  if (askedMs === undefined) return;
  const { resultRetentionMs: min, maxResultRetentionMs: max } = policy;
  const bound = (ms: number) => (ms === Infinity ? 'forever' : `${ms} ms`);
  if (!isRetention(askedMs)) {
    violations.add('result_retention', `must be at most ${limits.retentionMaxMs} ms, or forever`);
  } else if (askedMs < min || askedMs > max) {
    violations.add('result_retention', `must be ${bound(min)} to ${bound(max)} in this namespace`);
  }
}

/**
 * The database time from which an unknown key born at `birthTime` is too old to be taken for new: whatever was done with
 * it may have been forgotten since. `Infinity`: never.
 */
export function tooOldTime(birthTime: number | undefined, policy: Policy): number {
  if (birthTime === undefined || !policy.refuseOldKeys) return Infinity;
  return birthTime + policy.resultRetentionMs + policy.tombstoneRetentionMs;
}
