import { LRUCache } from 'lru-cache';
import { identityOf } from '../core/key.js';
import type { FinishedRecord } from '../core/record.js';

export interface ReplayCacheOptions {
  /** Bytes of results with their bookkeeping; 0 switches the cache off. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** What a Begin on a finished record is answered. */
export interface Replay {
  readonly kind: 'replay';
  readonly record: FinishedRecord;
  /** Kept by who answers with it; it never changes, as the record does not. */
  encoded: Uint8Array | undefined;
}

/** Of larger results the answer is encoded for each replay, bytes: copying is most of the work then, and memory dearer. */
const smallResultBytes = 512;

export function keepEncoded(replay: Replay, encoded: Uint8Array): void {
  if (resultBytesOf(replay) <= smallResultBytes) replay.encoded = encoded;
}

/** About what one entry takes besides its result, once or twice: the record's strings, the map's nodes. */
const entryOverheadBytes = 700;

/**
 * Finished records, which only an operator can change. It is used only while Sync is fresh, so an operator's change is
 * honoured within a second whatever happens to this process or its connections.
 */
export class ReplayCache {
  readonly #entries: LRUCache<string, Replay> | undefined;
  /** Grows with every removal, so that a read begun before one can't bring back what was removed. */
  #generation = 0;

  constructor({ maxBytes, maxEntries }: ReplayCacheOptions) {
    if (maxBytes === 0 || maxEntries === 0) return;
    this.#entries = new LRUCache({ max: maxEntries, maxSize: maxBytes, sizeCalculation: bytesOf });
  }

  get generation(): number {
    return this.#generation;
  }

  get entryCount(): number {
    return this.#entries?.size ?? 0;
  }

  /** Bytes, as far as `maxBytes` counts them. */
  get bytes(): number {
    return this.#entries?.calculatedSize ?? 0;
  }

  get(identity: string): Replay | undefined {
    return this.#entries?.get(identity);
  }

  /** `generation` is the cache's as of before the record was read. */
  put(replay: Replay, generation: number): void {
    if (generation === this.#generation) this.#entries?.set(identityOf(replay.record.ref), replay);
  }

  remove(identity: string): void {
    this.#generation += 1;
    this.#entries?.delete(identity);
  }
}

function bytesOf(replay: Replay): number {
  const resultBytes = resultBytesOf(replay);
  const encodedBytes = resultBytes <= smallResultBytes ? resultBytes : 0;
  return entryOverheadBytes + resultBytes + encodedBytes;
}

function resultBytesOf({ record: { result } }: Replay): number {
  return (result?.payload?.length ?? 0) + (result?.envelope.length ?? 0);
}
