import { LRUCache } from 'lru-cache';
import { identityOf } from '../core/key.js';
import type { FinishedRecord } from '../core/record.js';

export interface ReplayCacheOptions {
  /** Bytes of results with their bookkeeping; 0 switches the cache off. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** About what one entry takes besides its result: the record's strings, the map's nodes. */
const entryOverheadBytes = 600;

/**
 * Finished records, which only an operator can change. It is used only while Sync is fresh, so an operator's change is
 * honoured within a second whatever happens to this process or its connections.
 */
export class ReplayCache {
  readonly #entries: LRUCache<string, FinishedRecord> | undefined;
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

  get(identity: string): FinishedRecord | undefined {
    return this.#entries?.get(identity);
  }

  /** `generation` is the cache's as of before the record was read. */
  put(record: FinishedRecord, generation: number): void {
    if (generation === this.#generation) this.#entries?.set(identityOf(record.ref), record);
  }

  remove(identity: string): void {
    this.#generation += 1;
    this.#entries?.delete(identity);
  }
}

function bytesOf({ result }: FinishedRecord): number {
  return entryOverheadBytes + (result?.payload?.length ?? 0) + (result?.envelope.length ?? 0);
}
