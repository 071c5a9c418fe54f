import type { Claim } from './decide.js';
import type { Fingerprint } from './fingerprint.js';
import type { KeyRef } from './key.js';
import type { Namespace, OnLapse, Policy } from './policy.js';
import type { KeyRecord, Seen, State } from './record.js';
import type { Result } from './result.js';

/**
 * The storage port. Each method is one atomic transition or one read of one record; who calls may call again after any
 * failure. Failures are OncewardErrors, STORE_UNAVAILABLE when it is not known whether the transition happened.
 */
export interface KeyStore {
  /** Grants a key nobody has; else tells what is there. Never changes an existing record. */
  claimNew(terms: GrantTerms): Promise<ClaimAnswer>;
  /** Changes an existing record if it is still as `seen`; undefined when it is not. */
  claimKnown(claim: KnownClaim): Promise<Granted | undefined>;
  /** Finishes or releases if the token is current and the record IN_PROGRESS; else tells what is there. */
  finish(finish: Finish): Promise<FinishAnswer>;
  /** Extends the lease under the same conditions. */
  heartbeat(heartbeat: Heartbeat): Promise<HeartbeatAnswer>;
  /** Asks for a `finished` signal when this attempt ends; false when it is no longer under way. */
  watch(ref: KeyRef, fencingToken: bigint): Promise<boolean>;

  read(ref: KeyRef, withResult: boolean): Promise<Seen | undefined>;
  /** Oldest first, whatever their namespace and scope. */
  readChildren(ref: KeyRef, limit: number): Promise<readonly Seen[]>;
  listRecords(filter: RecordFilter): Promise<readonly Seen[]>;

  /** Decides an INDETERMINATE (or lapsed PARK) record, with its audit entry; false when it is not one. */
  resolve(resolution: Resolution): Promise<boolean>;
  /** Removes a record, with its audit entry. */
  forget(removal: Removal): Promise<'forgotten' | 'absent' | 'leased'>;
  putNamespace(name: string, policy: Policy, mintSecret: Uint8Array, principal: string): Promise<Namespace>;
  readNamespace(name: string): Promise<Namespace | undefined>;
  listNamespaces(): Promise<readonly Namespace[]>;
  listAudit(filter: AuditFilter): Promise<readonly AuditEntry[]>;
  /** What operators did after `revision`, oldest first, the database's time, and the last token. One transaction sees them. */
  sync(revision: bigint): Promise<SyncAnswer>;

  /** Signals from this and other processes; a help, never relied upon. */
  onFinished(listener: (identityHash: string) => void): void;
  onRevision(listener: () => void): void;
}

/** The lease terms of a grant. */
export interface GrantTerms {
  readonly ref: KeyRef;
  readonly attemptId: string;
  readonly leaseMs: number;
  readonly onLapse: OnLapse;
  readonly abandonedRetentionMs: number;
  /** Asked for at Begin; undefined: the policy's at the finish. */
  readonly resultRetentionMs: number | undefined;
  readonly operation: string;
  readonly fingerprint: Fingerprint | undefined;
  readonly parent: KeyRef | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly traceparent: string;
  /** Database time from which a key without a record is not granted; `Infinity` for never. */
  readonly tooOldTime: number;
}

export interface Granted {
  readonly fencingToken: bigint;
  readonly attempt: number;
  /** When the lease began. */
  readonly grantTime: number;
}

export type ClaimAnswer =
  | ({ readonly kind: 'granted' } & Granted)
  | ({ readonly kind: 'known' } & Seen)
  /** Unknown and not granted: too old, or gone again since. */
  | { readonly kind: 'absent' };

export interface KnownClaim extends GrantTerms {
  readonly claim: Claim;
  /** The record the decision was made on. */
  readonly seen: KeyRecord;
}

export type Finish = FinishResult | Release;

interface AnyFinish {
  readonly ref: KeyRef;
  readonly fencingToken: bigint;
}

export interface FinishResult extends AnyFinish {
  readonly state: 'COMPLETED' | 'FAILED';
  readonly result: Result;
  readonly resultDigest: Uint8Array;
  /** Asked for by the finishing call; undefined: Begin's, else the policy's. */
  readonly askedResultRetentionMs: number | undefined;
  readonly policyResultRetentionMs: number;
  readonly tombstoneRetentionMs: number;
}

export interface Release extends AnyFinish {
  readonly state: 'RELEASED';
  /** The encoded status. */
  readonly lastError: Uint8Array;
  readonly retryAfterMs: number | undefined;
  readonly abandonedRetentionMs: number;
}

export type FinishAnswer =
  /** Both times are `Infinity` after a release. */
  | { readonly kind: 'done'; readonly finishTime: number; readonly resultExpireTime: number }
  | ({ readonly kind: 'known' } & Seen)
  | { readonly kind: 'absent' };

export interface Heartbeat extends AnyFinish {
  readonly leaseMs: number;
  readonly checkpoint: Uint8Array | undefined;
  readonly checkpointSequence: bigint;
  readonly abandonedRetentionMs: number;
}

export type HeartbeatAnswer =
  | { readonly kind: 'done'; readonly leaseLeftMs: number }
  | ({ readonly kind: 'known' } & Seen)
  | { readonly kind: 'absent' };

export interface RecordFilter {
  readonly namespace: string | undefined;
  readonly state: State | undefined;
  readonly keyPrefix: string;
  readonly minAgeMs: number | undefined;
  readonly maxAgeMs: number | undefined;
  /** Records after this identity. */
  readonly after: KeyRef | undefined;
  readonly limit: number;
}

export interface OperatorAction {
  readonly ref: KeyRef;
  readonly principal: string;
  readonly reason: string;
}

export interface Resolution extends OperatorAction {
  readonly state: 'COMPLETED' | 'FAILED' | 'RELEASED';
  readonly result: Result | undefined;
  readonly resultDigest: Uint8Array | undefined;
  readonly policy: Policy;
}

export interface Removal extends OperatorAction {
  readonly evenIfLeased: boolean;
}

export interface AuditFilter {
  readonly namespace: string | undefined;
  /** Entries before this revision. */
  readonly before: bigint | undefined;
  readonly limit: number;
}

export interface AuditEntry {
  readonly revision: bigint;
  readonly time: number;
  readonly principal: string;
  readonly action: 'put-namespace' | 'resolve' | 'forget';
  readonly ref: KeyRef;
  readonly reason: string;
  /** JSON. */
  readonly detail: string;
}

export interface SyncAnswer {
  readonly revision: bigint;
  readonly nowTime: number;
  /** The last one drawn, by whatever process. */
  readonly fencingToken: bigint;
  readonly actions: readonly { readonly action: AuditEntry['action']; readonly ref: KeyRef }[];
}
