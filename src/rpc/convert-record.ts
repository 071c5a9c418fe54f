import { stateAt } from '../core/decide.js';
import type { KeyRecord, LastError, Seen, State } from '../core/record.js';
import {
  State as WireState,
  Status,
  type LastError as WireLastError,
  type Record,
} from '../gen/onceward/v1/record.js';
import { dateOf, durationOf } from './duration.js';
import { wireResultOf } from './result.js';

/** A record as Lookup and ListRecords show it. */
export function recordOf(
  { record, nowTime }: Seen,
  children: readonly Seen[] = [],
  childrenOmitted = false,
): Record {
  const state = stateAt(record, nowTime);
  return {
    ref: record.ref,
    state: wireStateOf(state),
    operation: record.operation,
    attempt: record.attempt,
    fencingToken: record.fencingToken,
    // Asks `state` too: a lapsed lease that reads as INDETERMINATE must look the same before and after it is parked.
    leaseLeft:
      state === 'IN_PROGRESS' && record.state === 'IN_PROGRESS'
        ? durationOf(Math.max(0, record.leaseExpireTime - nowTime))
        : undefined,
    createTime: new Date(record.createTime),
    ...finishOf(record, nowTime),
    parent: record.parent,
    children: children.map((child) => recordOf(child)),
    labels: record.labels,
    lastError: record.lastError && lastErrorOf(record.lastError),
    traceparent: record.traceparent,
    recordExpireTime: dateOf(record.recordExpireTime),
    childrenOmitted,
  };
}

export function wireStateOf(state: State): WireState {
  return WireState[state];
}

function finishOf(record: KeyRecord, nowTime: number): Pick<Record, 'finishTime' | 'expireTime' | 'result'> {
  if (!('finishTime' in record)) return { finishTime: undefined, expireTime: undefined, result: undefined };
  const kept = record.resultExpireTime > nowTime ? record.result : undefined;
  return {
    finishTime: new Date(record.finishTime),
    expireTime: dateOf(record.resultExpireTime),
    result: kept && wireResultOf(kept),
  };
}

function lastErrorOf({ status, time, retryAfterMs }: LastError): WireLastError {
  return {
    status: Status.decode(status),
    time: new Date(time),
    retryAfter: retryAfterMs === undefined ? undefined : durationOf(retryAfterMs),
  };
}
