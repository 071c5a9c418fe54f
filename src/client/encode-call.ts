import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Call, type BeginRequest } from '../gen/onceward/v1/coordinator.js';
import { OnLapse, type Fingerprint, type KeyRef } from '../gen/onceward/v1/record.js';
import { writeVarint } from './varint.js';

type Request = NonNullable<Call['request']>;

/** A `Call` without its id. */
export function encodeCall(request: Request): Uint8Array {
  const usual = request.$case === 'begin' ? encodeUsualBegin(request.value) : undefined;
  return usual ?? encodeAny(request);
}

/** A writer that grew beyond this is not kept, bytes. */
const keptBytes = 64 * 1024;

/** One for all calls: its buffer is dear to make, and stays when `finish` has copied out of it. */
let kept: BinaryWriter | undefined;

function encodeAny(request: Request): Uint8Array {
  const writer = kept ?? new BinaryWriter();
  // One that throws in the middle stays half written.
  kept = undefined;
  const bytes = Call.encode({ id: 0n, request }, writer).finish();
  if (bytes.length <= keptBytes) kept = writer;
  return bytes;
}

/** What Begins are written into, one behind the other: a buffer for each is dear too. */
const slabBytes = 64 * 1024;
let slab = Buffer.allocUnsafeSlow(slabBytes);
let end = 0;

/** Of a Begin with all tags and lengths, at most. */
const usualBytes = 2048;
/** Of these tags and lengths, at most. */
const overheadBytes = 64;

/** Field number and wire type. */
const tags = {
  call: { begin: 0x12 },
  begin: { ref: 0x0a, operation: 0x12, fingerprint: 0x1a, attemptId: 0x22, parent: 0x3a, traceparent: 0x62 },
  ref: { namespace: 0x0a, scope: 0x12, key: 0x1a },
  fingerprint: { version: 0x08, digest: 0x12 },
} as const;

/**
 * The bytes that the generated code makes of a Begin, in less than half of its time; a replay is little else for its caller. Undefined for
 * one that has more than what most have, is longer, or is not ASCII.
 */
function encodeUsualBegin(begin: BeginRequest): Uint8Array | undefined {
  if (!isUsual(begin)) return undefined;
  if (slabBytes - end < usualBytes) {
    slab = Buffer.allocUnsafeSlow(slabBytes);
    end = 0;
  }
  const start = open(tags.call.begin);
  const isAscii =
    writeRef(tags.begin.ref, begin.ref) &&
    writeText(tags.begin.operation, begin.operation) &&
    writeFingerprint(begin.fingerprint) &&
    writeText(tags.begin.attemptId, begin.attemptId) &&
    writeRef(tags.begin.parent, begin.parent) &&
    writeText(tags.begin.traceparent, begin.traceparent);
  close(start);
  return isAscii ? slab.subarray(start - 2, end) : undefined;
}

function isUsual(begin: BeginRequest): boolean {
  const { ref, operation, fingerprint, attemptId, parent, traceparent } = begin;
  const version = fingerprint?.version ?? 0;
  const bytes =
    lengthOf(ref) +
    operation.length +
    (fingerprint?.digest.length ?? 0) +
    attemptId.length +
    lengthOf(parent) +
    traceparent.length;
  return (
    bytes <= usualBytes - overheadBytes &&
    Number.isInteger(version) &&
    version >= 0 &&
    version < 2 ** 31 &&
    begin.lease === undefined &&
    begin.wait === undefined &&
    begin.firstAttemptTime === undefined &&
    begin.resultRetention === undefined &&
    begin.onLapse === OnLapse.UNSPECIFIED &&
    Object.keys(begin.labels).length === 0
  );
}

function lengthOf(ref: KeyRef | undefined): number {
  return ref === undefined ? 0 : ref.namespace.length + ref.scope.length + ref.key.length;
}

/** These write one field, if it is not empty; false when a string is not ASCII. */
function writeText(tag: number, text: string): boolean {
  const { length } = text;
  if (length === 0) return true;
  slab[end] = tag;
  let at = writeVarint(slab, end + 1, length);
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return false;
    slab[at++] = code;
  }
  end = at;
  return true;
}

function writeRef(tag: number, ref: KeyRef | undefined): boolean {
  if (ref === undefined) return true;
  const start = open(tag);
  const isAscii =
    writeText(tags.ref.namespace, ref.namespace) &&
    writeText(tags.ref.scope, ref.scope) &&
    writeText(tags.ref.key, ref.key);
  close(start);
  return isAscii;
}

function writeFingerprint(fingerprint: Fingerprint | undefined): boolean {
  if (fingerprint === undefined) return true;
  const { version, digest } = fingerprint;
  const start = open(tags.begin.fingerprint);
  if (version !== 0) {
    slab[end] = tags.fingerprint.version;
    end = writeVarint(slab, end + 1, version);
  }
  if (digest.length > 0) {
    slab[end] = tags.fingerprint.digest;
    end = writeVarint(slab, end + 1, digest.length);
    slab.set(digest, end);
    end += digest.length;
  }
  close(start);
  return true;
}

/** Begins a message in a field, with one byte left for its length; answers where its content starts. */
function open(tag: number): number {
  slab[end] = tag;
  end += 2;
  return end;
}

/** Ends it: its length is written, and what has 128 bytes or more is moved for a second byte of it. */
function close(start: number): void {
  const length = end - start;
  if (length >= 0x80) slab.copyWithin(start + 1, start, end++);
  writeVarint(slab, start - 1, length);
}
