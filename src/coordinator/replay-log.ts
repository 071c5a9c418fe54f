import type { Replayable } from '../core/record.js';

/** A replay as it is kept: what it is made of, and the answer to a Begin where that was encoded before. */
export interface LoggedReplay {
  readonly record: Replayable;
  readonly encoded: Uint8Array | undefined;
}

/** Slots that one identity may be in. */
const ways = 4;
/** Of an empty slot. */
const nowhere = -1;

/** Where an entry's fixed fields are; behind them its strings and bytes follow one another. */
const at = {
  finishTime: 0,
  resultExpireTime: 8,
  attempt: 16,
  fingerprintVersion: 20,
  payloadLength: 24,
  envelopeLength: 28,
  encodedLength: 32,
  identityLength: 36,
  operationLength: 38,
  fingerprintLength: 40,
  traceparentLength: 41,
  code: 42,
  flags: 43,
} as const;
const fixedBytes = 44;
const flags = { payload: 1, payloadOmitted: 2 } as const;

/**
 * Replays by identity, in one piece of memory outside of the heap. As objects they would live just long enough to be copied and
 * marked by the garbage collector, tens of thousands a second, which cost a third of the coordinator's CPU. A new entry is
 * appended, and takes the place of the oldest ones.
 */
export class ReplayLog {
  readonly #log: Buffer;
  /** Where entries are; positions only grow, and stand for the place in the log that is left by its size. */
  readonly #slots: Float64Array;
  /** Of the identities in the slots: the log, which is in no processor's cache, is read only where they agree. */
  readonly #hashes: Uint32Array;
  #end = 0;

  /** `bytes` is rounded down to whole entries as they come; `entries` to a multiple of 4. */
  constructor(bytes: number, entries: number) {
    this.#log = Buffer.allocUnsafeSlow(bytes);
    this.#slots = new Float64Array(Math.floor(entries / ways) * ways).fill(nowhere);
    this.#hashes = new Uint32Array(this.#slots.length);
  }

  get entryCount(): number {
    return this.#slots.reduce((count, position) => (this.#isKept(position) ? count + 1 : count), 0);
  }

  /** Bytes of the log that were written to. */
  get bytes(): number {
    return Math.min(this.#end, this.#log.length);
  }

  get(identity: string): LoggedReplay | undefined {
    const slot = this.#find(identity, hashOf(identity));
    if (slot === undefined) return undefined;
    return this.#read((this.#slots[slot] as number) % this.#log.length);
  }

  /** One that takes more than half of the log is not kept. */
  put(identity: string, replay: LoggedReplay): void {
    const hash = hashOf(identity);
    const known = this.#find(identity, hash);
    if (known !== undefined) this.#slots[known] = nowhere;
    const bytes = bytesOf(identity, replay);
    if (bytes > this.#log.length / 2 || this.#slots.length === 0) return;
    const position = this.#reserve(bytes);
    this.#write(position % this.#log.length, identity, replay);
    const slot = this.#oldestSlot(hash);
    this.#slots[slot] = position;
    this.#hashes[slot] = hash;
  }

  remove(identity: string): void {
    const slot = this.#find(identity, hashOf(identity));
    if (slot !== undefined) this.#slots[slot] = nowhere;
  }

  clear(): void {
    this.#slots.fill(nowhere);
  }

  #isKept(position: number): boolean {
    return position !== nowhere && this.#end - position <= this.#log.length;
  }

  #firstSlot(hash: number): number {
    return (hash % (this.#slots.length / ways)) * ways;
  }

  #find(identity: string, hash: number): number | undefined {
    if (this.#slots.length === 0) return undefined;
    const first = this.#firstSlot(hash);
    for (let slot = first; slot < first + ways; slot += 1) {
      const position = this.#slots[slot] as number;
      if (this.#hashes[slot] !== hash || !this.#isKept(position)) continue;
      if (this.#isOf(position % this.#log.length, identity)) return slot;
    }
    return undefined;
  }

  #oldestSlot(hash: number): number {
    const first = this.#firstSlot(hash);
    let oldest = first;
    for (let slot = first + 1; slot < first + ways; slot += 1) {
      if ((this.#slots[slot] as number) < (this.#slots[oldest] as number)) oldest = slot;
    }
    return oldest;
  }

  /** An entry is in one piece: what is left at the log's end stays empty if it is too little. */
  #reserve(bytes: number): number {
    const left = this.#log.length - (this.#end % this.#log.length);
    const position = left < bytes ? this.#end + left : this.#end;
    this.#end = position + bytes;
    return position;
  }

  #isOf(offset: number, identity: string): boolean {
    const log = this.#log;
    if (log.readUInt16LE(offset + at.identityLength) !== identity.length) return false;
    const start = offset + fixedBytes;
    return log.toString('latin1', start, start + identity.length) === identity;
  }

  #write(offset: number, identity: string, { record, encoded }: LoggedReplay): void {
    const log = this.#log;
    const { fingerprint, operation, traceparent, result } = record;
    const payload = result?.payload;
    log.writeDoubleLE(record.finishTime, offset + at.finishTime);
    log.writeDoubleLE(record.resultExpireTime, offset + at.resultExpireTime);
    log.writeUInt32LE(record.attempt, offset + at.attempt);
    log.writeUInt32LE(fingerprint?.version ?? 0, offset + at.fingerprintVersion);
    log.writeUInt32LE(payload?.length ?? 0, offset + at.payloadLength);
    log.writeUInt32LE(result?.envelope.length ?? 0, offset + at.envelopeLength);
    log.writeUInt32LE(encoded?.length ?? 0, offset + at.encodedLength);
    log.writeUInt16LE(identity.length, offset + at.identityLength);
    log.writeUInt16LE(operation.length, offset + at.operationLength);
    log[offset + at.fingerprintLength] = fingerprint?.digest.length ?? 0;
    log[offset + at.traceparentLength] = traceparent.length;
    log[offset + at.code] = result?.code ?? 0;
    log[offset + at.flags] =
      (payload === undefined ? 0 : flags.payload) |
      (result?.payloadOmitted === true ? flags.payloadOmitted : 0);
    let next = offset + fixedBytes;
    // All three are visible ASCII.
    for (const text of [identity, operation, traceparent]) next += log.write(text, next, 'latin1');
    for (const bytes of [fingerprint?.digest, result?.envelope, payload, encoded]) {
      if (bytes === undefined) continue;
      log.set(bytes, next);
      next += bytes.length;
    }
  }

  /** A copy, as the log is written over. */
  #read(offset: number): LoggedReplay {
    const log = this.#log;
    const fingerprintLength = log[offset + at.fingerprintLength] as number;
    const envelopeLength = log.readUInt32LE(offset + at.envelopeLength);
    const payloadLength = log.readUInt32LE(offset + at.payloadLength);
    const encodedLength = log.readUInt32LE(offset + at.encodedLength);
    let next = offset + fixedBytes + log.readUInt16LE(offset + at.identityLength);
    const text = (length: number) => log.toString('latin1', next, (next += length));
    const operation = text(log.readUInt16LE(offset + at.operationLength));
    const traceparent = text(log[offset + at.traceparentLength] as number);
    const copy = Buffer.allocUnsafe(fingerprintLength + envelopeLength + payloadLength + encodedLength);
    log.copy(copy, 0, next);
    let copied = 0;
    const bytes = (length: number) => copy.subarray(copied, (copied += length));
    const digest = bytes(fingerprintLength);
    const envelope = bytes(envelopeLength);
    const payload = bytes(payloadLength);
    const encoded = bytes(encodedLength);
    const flagged = log[offset + at.flags] as number;
    const version = log.readUInt32LE(offset + at.fingerprintVersion);
    const record = {
      operation,
      fingerprint: digest.length === 0 ? undefined : { version, digest },
      attempt: log.readUInt32LE(offset + at.attempt),
      traceparent,
      finishTime: log.readDoubleLE(offset + at.finishTime),
      resultExpireTime: log.readDoubleLE(offset + at.resultExpireTime),
      result: {
        payload: (flagged & flags.payload) === 0 ? undefined : payload,
        payloadOmitted: (flagged & flags.payloadOmitted) !== 0,
        code: log[offset + at.code] as number,
        envelope,
      },
    };
    return { record, encoded: encoded.length === 0 ? undefined : encoded };
  }
}

function bytesOf(identity: string, { record, encoded }: LoggedReplay): number {
  const { operation, traceparent, fingerprint, result } = record;
  const strings = identity.length + operation.length + traceparent.length;
  const resultBytes = (result?.envelope.length ?? 0) + (result?.payload?.length ?? 0);
  return fixedBytes + strings + (fingerprint?.digest.length ?? 0) + resultBytes + (encoded?.length ?? 0);
}

/** FNV-1a, 32 bits. Whoever picks keys that meet in one place only has them forgotten sooner. */
function hashOf(identity: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < identity.length; i += 1) hash = Math.imul(hash ^ identity.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
