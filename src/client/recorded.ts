import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { limits } from '../core/limits.js';
import { CallError, callErrorOf, statusCodeOf } from './call-error.js';
import { OperationError } from './operation-error.js';
import type { MetadataEntry, Result, Status } from '../gen/onceward/v1/record.js';

const detailsName = 'grpc-status-details-bin';

/** What became of a handler, as gRPC says it. */
export interface Failure {
  readonly code: status;
  readonly message: string;
  readonly metadata: Metadata;
  /**
   * True when a guard made it, here or in a service that was called: it is no decision of a handler, and may be another one when an operator has
   * resolved what it waits for.
   */
  readonly ofGuard?: boolean;
}

/** A handler's error. One that is no gRPC error is UNKNOWN, as grpc-js answers it. */
export function failureOf(error: unknown): Failure {
  const { code, details, message, metadata } = (
    typeof error === 'object' && error !== null ? error : { message: String(error) }
  ) as Partial<ServiceError>;
  const known = typeof code === 'number' && code !== status.OK && code in status;
  // What is thrown may be anything, whatever its type says.
  const texts: readonly unknown[] = [known ? details : undefined, message];
  const failure = {
    code: known ? code : status.UNKNOWN,
    message: texts.find((text) => typeof text === 'string') ?? 'Unknown Error',
    metadata: metadata instanceof Metadata ? metadata : new Metadata(),
  };
  return { ...failure, ofGuard: isOfGuard(error, failure) };
}

function isOfGuard(error: unknown, { code, message, metadata }: Failure): boolean {
  if (error instanceof OperationError) return true;
  if (error instanceof CallError) return error.fromCoordinator;
  return callErrorOf(Object.assign(new Error(message), { code, details: message, metadata })).fromCoordinator;
}

/**
 * As it is stored. What is beyond the coordinator's limits is cut here: the operation has ended, and must not be without a
 * result because its status was too long.
 */
export function storedStatus({ code, message, metadata: own }: Failure, metadata: Metadata = own): Status {
  const [details] = metadata.get(detailsName);
  const fits = Buffer.isBuffer(details) && details.length <= limits.statusDetailsBytes;
  return {
    code,
    message: cutText(message, limits.statusMessageBytes),
    details: fits ? details : Buffer.alloc(0),
  };
}

export function storedResult(
  payload: Uint8Array | undefined,
  contentType: string,
  initialMetadata: MetadataEntry[],
  trailingMetadata: MetadataEntry[],
): Result {
  // The transport would refuse a larger message before the coordinator could leave the payload out.
  const payloadOmitted = payload !== undefined && payload.length > limits.resultBytes;
  const kept = payloadOmitted || payload === undefined ? undefined : Buffer.from(payload);
  return {
    payload: kept,
    contentType: mediaType(contentType),
    status: undefined,
    initialMetadata,
    trailingMetadata,
    payloadOmitted,
  };
}

/** For those who read the record: without parameters, and empty when it is none that can be stored. */
function mediaType(contentType: string): string {
  const type = (contentType.split(';', 1)[0] ?? '').trim();
  const fits = type.length <= limits.contentTypeLength && /^[\x21-\x7e]*$/.test(type);
  return fits ? type : '';
}

/** The entries of the allowed names, in order and as many as can be stored; `room` is used up by each list. */
export function storedMetadata(
  metadata: Metadata | undefined,
  allowed: (name: string) => boolean,
  room: { entries: number; bytes: number } = { entries: limits.metadataEntries, bytes: limits.metadataBytes },
): MetadataEntry[] {
  const stored: MetadataEntry[] = [];
  for (const name of Object.keys(metadata?.getMap() ?? {})) {
    if (name.startsWith('grpc-') || name.length > limits.metadataNameLength || !allowed(name)) continue;
    for (const given of metadata?.get(name) ?? []) {
      const value = Buffer.from(given);
      const bytes = name.length + value.length;
      if (value.length > limits.metadataValueBytes || room.entries < 1 || room.bytes < bytes) continue;
      room.entries -= 1;
      room.bytes -= bytes;
      stored.push({ name, value });
    }
  }
  return stored;
}

export function replayedMetadata(entries: readonly MetadataEntry[]): Metadata {
  const metadata = new Metadata();
  for (const { name, value } of entries) {
    metadata.add(name, name.endsWith('-bin') ? value : value.toString('latin1'));
  }
  return metadata;
}

/** The failure that was stored, with its details as its only metadata; undefined for a success. */
export function replayedFailure({ status: stored }: Result): Failure | undefined {
  const code = statusCodeOf(stored?.code ?? status.OK);
  if (stored === undefined || code === status.OK) return undefined;
  const metadata = new Metadata();
  if (stored.details.length > 0) metadata.set(detailsName, stored.details);
  return { code, message: stored.message, metadata };
}

/** Never in the middle of a character. */
function cutText(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString();
}
