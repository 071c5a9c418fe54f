import { checkMetadata, checkStatus } from '../core/answer.js';
import type { Result } from '../core/result.js';
import type { Violations } from '../core/violations.js';
import { encode } from './encode.js';
import { Result as WireResult, type MetadataEntry, type Status } from '../gen/onceward/v1/record.js';
import { limits } from '../core/limits.js';

/** A result as the verbs carry it: everything but the payload is checked and encoded once, here. */
export function resultOf(result: WireResult | undefined, path: string, violations: Violations): Result {
  const given = result ?? emptyResult();
  const { payload, payloadOmitted, contentType, initialMetadata, trailingMetadata } = given;
  const status = given.status && checkedStatus(given.status, `${path}.status`, violations);
  violations.ascii(`${path}.content_type`, contentType, 0, limits.contentTypeLength);
  const lists = { initial_metadata: initialMetadata, trailing_metadata: trailingMetadata };
  checkMetadata(lists, `${path}.`, violations);
  return {
    payload,
    payloadOmitted,
    code: status?.code ?? 0,
    envelope: encode(WireResult, {
      status: given.status,
      contentType,
      initialMetadata,
      trailingMetadata,
      payloadOmitted: false,
    }),
  };
}

/** A final failure as a result without payload. */
export function failureResultOf(
  status: Status,
  metadata: { initialMetadata?: MetadataEntry[]; trailingMetadata?: MetadataEntry[] },
  violations: Violations,
): Result {
  const { initialMetadata = [], trailingMetadata = [] } = metadata;
  checkMetadata({ initial_metadata: initialMetadata, trailing_metadata: trailingMetadata }, '', violations);
  return {
    payload: undefined,
    payloadOmitted: false,
    code: status.code,
    envelope: encode(WireResult, {
      ...emptyResult(),
      status,
      initialMetadata,
      trailingMetadata,
    }),
  };
}

/** A stored result as it was given. */
export function wireResultOf({ payload, payloadOmitted, envelope }: Result): WireResult {
  const result = WireResult.decode(envelope);
  result.payloadOmitted = payloadOmitted;
  if (payload !== undefined) result.payload = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  return result;
}

export function checkedStatus(status: Status | undefined, path: string, violations: Violations): Status {
  const checked = status ?? { code: 0, message: '', details: Buffer.alloc(0) };
  checkStatus(checked, path, violations);
  return checked;
}

function emptyResult(): WireResult {
  return {
    status: undefined,
    contentType: '',
    initialMetadata: [],
    trailingMetadata: [],
    payloadOmitted: false,
  };
}
