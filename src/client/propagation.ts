import { Metadata } from '@grpc/grpc-js';
import type { KeyRef } from '../core/key.js';

/** The names that travel with a call. */
export const metadataNames = {
  key: 'idempotency-key',
  /** The operation a call is made from. */
  parent: 'onceward-parent',
  /** How many services the chain of calls went through. */
  hops: 'onceward-hops',
  /** The token of the operation a call is made from. */
  fencingToken: 'onceward-fencing-token',
  replayed: 'onceward-replayed',
  finishTime: 'onceward-finish-time',
} as const;

/** `namespace/scope/key`, scope and key percent-encoded. */
export function formatParent({ namespace, scope, key }: KeyRef): string {
  return `${namespace}/${encodeURIComponent(scope)}/${encodeURIComponent(key)}`;
}

/** Undefined when there is none, or it can't be read: lineage is no reason to refuse a call. */
export function parentIn(metadata: Metadata): KeyRef | undefined {
  const [namespace, scope, key, more] = String(metadata.get(metadataNames.parent)[0] ?? '').split('/');
  if (!namespace || scope === undefined || !key || more !== undefined) return undefined;
  try {
    return { namespace, scope: decodeURIComponent(scope), key: decodeURIComponent(key) };
  } catch {
    return undefined;
  }
}

/** 0 for the first service of a chain. */
export function hopsIn(metadata: Metadata): number {
  const hops = Number(metadata.get(metadataNames.hops)[0] ?? 0);
  return Number.isSafeInteger(hops) && hops >= 0 ? hops : 0;
}

export const metadataCarrier = {
  get: (metadata: Metadata, name: string) => metadata.get(name).map(String),
  keys: (metadata: Metadata) => Object.keys(metadata.getMap()),
  set: (metadata: Metadata, name: string, value: string) => metadata.set(name, value),
};
