import { timingSafeEqual } from 'node:crypto';
import { limits } from './limits.js';
import type { Violations } from './violations.js';

/** A digest of the canonical request. */
export interface Fingerprint {
  /** Which algorithm made the digest; only digests of one version are compared. */
  readonly version: number;
  /** 1 to 64 bytes. */
  readonly digest: Uint8Array;
}

export function checkFingerprint(fingerprint: Fingerprint | undefined, violations: Violations): void {
  if (fingerprint === undefined) return;
  violations.range('fingerprint.version', fingerprint.version, 0, limits.fingerprintVersion);
  violations.bytes('fingerprint.digest', fingerprint.digest.length, 1, limits.fingerprintBytes);
}

/** In constant time for digests of one length. `incomparable`: one is absent, or the versions differ. */
export function compareFingerprints(
  a: Fingerprint | undefined,
  b: Fingerprint | undefined,
): 'same' | 'different' | 'incomparable' {
  if (a === undefined || b === undefined || a.version !== b.version) return 'incomparable';
  if (a.digest.length !== b.digest.length) return 'different';
  return timingSafeEqual(a.digest, b.digest) ? 'same' : 'different';
}
