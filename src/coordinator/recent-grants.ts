import type { Granted, GrantTerms } from '../core/key-store.js';

/** The first grant of a key: with its result it is the whole record. */
export interface Grant {
  readonly terms: GrantTerms;
  readonly granted: Granted;
}

const slotBits = 13;

/**
 * Grants made here that wait for their result, in the slot of their token. Tokens are drawn one after the other, so the last few
 * thousand of all coordinators have slots of their own; an attempt that outlives them is only not remembered.
 */
export class RecentGrants {
  readonly #slots = new Array<Grant | undefined>(2 ** slotBits).fill(undefined);

  add(grant: Grant): void {
    this.#slots[slotOf(grant.granted.fencingToken)] = grant;
  }

  /** Undefined when it is not known here, or was taken. */
  take(fencingToken: bigint): Grant | undefined {
    const slot = slotOf(fencingToken);
    const grant = this.#slots[slot];
    if (grant?.granted.fencingToken !== fencingToken) return undefined;
    this.#slots[slot] = undefined;
    return grant;
  }
}

function slotOf(fencingToken: bigint): number {
  return Number(BigInt.asUintN(slotBits, fencingToken));
}
