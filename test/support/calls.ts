import { randomUUID } from 'node:crypto';
import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import type { BeginRequest, BeginResponse } from '../../src/gen/onceward/v1/coordinator.js';
import type { KeyRef, Result } from '../../src/gen/onceward/v1/record.js';
import type { TestCoordinator } from './coordinator.js';

export function refOf(key: string, namespace = 'test', scope = ''): KeyRef {
  return { namespace, scope, key };
}

export function beginRequest(key: string, more: Partial<BeginRequest> = {}): Partial<BeginRequest> {
  return { ref: refOf(key), operation: 'charge', attemptId: randomUUID(), ...more };
}

type Outcome = NonNullable<BeginResponse['outcome']>;
type ValueOf<Case extends Outcome['$case']> = Extract<Outcome, { $case: Case }>['value'];

/** The outcome's value, if it is the expected one. */
export function expectOutcome<Case extends Outcome['$case']>(
  response: BeginResponse,
  kind: Case,
): ValueOf<Case> {
  if (response.outcome?.$case !== kind) {
    throw new Error(`expected ${kind}, got ${JSON.stringify(response, jsonSafe)}`);
  }
  return response.outcome.value as ValueOf<Case>;
}

/** Begins a key that must be granted. */
export async function execute(coordinator: TestCoordinator, key: string, more: Partial<BeginRequest> = {}) {
  return expectOutcome(await coordinator.coordinator.begin(beginRequest(key, more)), 'execute');
}

/** What one coordinator process counted so far. */
export async function counterOf(
  { admin }: Pick<CoordinatorConnection, 'admin'>,
  name: string,
): Promise<bigint> {
  return (await admin.getStats({})).counters[name] ?? 0n;
}

export function result(payload: string | Uint8Array): Result {
  return { ...resultWithoutPayload(), payload: Buffer.from(payload) };
}

export function resultWithoutPayload(): Result {
  return {
    contentType: 'text/plain',
    status: undefined,
    initialMetadata: [],
    trailingMetadata: [],
    payloadOmitted: false,
  };
}

function jsonSafe(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
