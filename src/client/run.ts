import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { identityHash, identityOf } from '../core/key.js';
import type { BeginRequest, BeginResponse, Execute as Granted } from '../gen/onceward/v1/coordinator.js';
import { OnLapse as WireOnLapse } from '../gen/onceward/v1/record.js';
import { OperationTrace } from '../telemetry/operations.js';
import { CallError, localError } from './call-error.js';
import { fromDuration, toDuration, toRetention } from './duration.js';
import { finishOperation, giveBack, type Settlement } from './finish.js';
import { Lease } from './lease.js';
import { RunningOperation, runInside } from './operation.js';
import { OperationError } from './operation-error.js';
import type { Ending, Guards, OperationSpec } from './operation-spec.js';

/** Does the work, and says what its end is to be at the coordinator. It never throws: what it threw is a settlement too. */
type Execute = (operation: RunningOperation) => Promise<Settlement>;
type Outcome = NonNullable<BeginResponse['outcome']>;

/**
 * Executes at most once: Begin, then `execute` under a lease that is kept alive, then Complete or Fail as it says. Throws an
 * OperationError when there is no answer, and a CallError when the coordinator refuses or can't be reached.
 */
export async function runOperation(guards: Guards, spec: OperationSpec, execute: Execute): Promise<Ending> {
  const { namespace } = spec.ref;
  const names = { namespace, operation: spec.operation, keyHash: identityHash(identityOf(spec.ref)) };
  const trace = new OperationTrace(names, spec.caller.parent, spec.caller.remote);
  try {
    const ending = await new Run(guards, spec, trace).run(execute);
    trace.end();
    return ending;
  } catch (error) {
    trace.end(error);
    throw error;
  }
}

class Run {
  readonly #guards: Guards;
  readonly #spec: OperationSpec;
  readonly #trace: OperationTrace;
  readonly #attributes: { readonly 'onceward.namespace': string };

  constructor(guards: Guards, spec: OperationSpec, trace: OperationTrace) {
    this.#guards = guards;
    this.#spec = spec;
    this.#trace = trace;
    this.#attributes = { 'onceward.namespace': spec.ref.namespace };
  }

  async run(execute: Execute): Promise<Ending> {
    const { hops, ref } = this.#spec;
    const sentTime = performance.now();
    const outcome = await this.#begin();
    if (outcome === undefined) {
      this.#count('unguarded');
      await this.#execute(new RunningOperation(ref, hops, undefined), execute);
      return { kind: 'executed' };
    }
    if (outcome.$case !== 'execute') return this.#notExecuted(outcome);
    const beganTime = performance.now();
    const operation = this.#hold(outcome.value, sentTime);
    const settlement = await this.#execute(operation, execute);
    const settledTime = performance.now();
    const ending = await finishOperation(this.#guards, this.#spec, this.#trace, operation, settlement);
    const waitedMs = fromDuration(outcome.value.waited);
    const overheadMs = beganTime - sentTime - waitedMs + (performance.now() - settledTime);
    this.#guards.metrics.overhead.record(overheadMs / 1000, this.#attributes);
    return ending;
  }

  /** Undefined: no coordinator answers, and this operation may run without. */
  async #begin(): Promise<Outcome | undefined> {
    const { failOpenMs = 0, waitMs, signal } = this.#spec;
    const { calls, metrics } = this.#guards;
    const request = this.#request();
    const deadlineMs = this.#spec.beginTimeoutMs ?? (failOpenMs > 0 ? 1000 : 10_000);
    const onLate = (late: BeginResponse) => {
      if (late.outcome?.$case === 'execute') giveBack(calls, this.#spec.ref, late.outcome.value.fencingToken);
    };
    try {
      let response = await this.#trace.part('begin', () =>
        calls.begin(request, { deadlineMs, onLate, ...(signal && { signal }) }),
      );
      if (response.outcome?.$case === 'inProgress' && waitMs > 0) {
        const waitedFrom = performance.now();
        // The same attempt: whichever of the two is granted, it is one grant.
        response = await this.#trace.part('wait', () =>
          calls.begin(
            { ...request, wait: toDuration(waitMs) },
            { deadlineMs: waitMs + deadlineMs, onLate, ...(signal && { signal }) },
          ),
        );
        metrics.waits.record((performance.now() - waitedFrom) / 1000, this.#attributes);
      }
      if (response.outcome !== undefined) return response.outcome;
      throw localError(status.INTERNAL, 'the coordinator answered an outcome that this SDK does not know');
    } catch (error) {
      if (error instanceof CallError && error.reason === 'KEY_MISMATCH') {
        metrics.mismatches.add(1, this.#attributes);
      }
      if (failOpenMs > 0 && isUnreachable(error) && this.#unreachableMs() <= failOpenMs) return undefined;
      throw error;
    }
  }

  #unreachableMs(): number {
    const { unreachableSince } = this.#guards.calls;
    return unreachableSince === undefined ? 0 : performance.now() - unreachableSince;
  }

  #request(): Partial<BeginRequest> {
    const { ref, operation, fingerprint, parent, leaseMs, onLapse, resultRetentionMs, firstAttemptTime } =
      this.#spec;
    return {
      ref,
      operation,
      fingerprint: fingerprint && { version: fingerprint.version, digest: Buffer.from(fingerprint.digest) },
      parent,
      attemptId: randomUUID(),
      lease: leaseMs === undefined ? undefined : toDuration(leaseMs),
      onLapse: onLapse === undefined ? WireOnLapse.UNSPECIFIED : WireOnLapse[onLapse],
      resultRetention: resultRetentionMs === undefined ? undefined : toRetention(resultRetentionMs),
      firstAttemptTime,
      traceparent: this.#trace.traceparent,
    };
  }

  #hold(grant: Granted, sentTime: number): RunningOperation {
    const { ref, hops } = this.#spec;
    const operation = new RunningOperation(ref, hops, grant);
    const leaseMs = fromDuration(grant.lease);
    const lease = toDuration(leaseMs);
    let checkpointSequence = 0n;
    operation.lease = new Lease({
      leaseMs,
      sentTime: sentTime + fromDuration(grant.waited),
      grantedMs: leaseMs,
      extend: async (deadlineMs, checkpoint) => {
        if (checkpoint !== undefined) checkpointSequence += 1n;
        const { fencingToken } = operation;
        const sequenced = checkpoint && { checkpoint: Buffer.from(checkpoint), checkpointSequence };
        const request = { ref, fencingToken, lease, ...sequenced };
        return fromDuration((await this.#guards.calls.heartbeat(request, { deadlineMs })).leaseLeft);
      },
      onLost: (error) => {
        operation.lose(error);
      },
    });
    this.#count('execute');
    if (grant.takeover) this.#guards.metrics.takeovers.add(1, this.#attributes);
    this.#trace.set({ 'onceward.attempt': grant.attempt, 'onceward.takeover': grant.takeover });
    return operation;
  }

  async #execute(operation: RunningOperation, execute: Execute): Promise<Settlement> {
    const { inFlight } = this.#guards.metrics;
    inFlight.add(1, this.#attributes);
    try {
      return await this.#trace.part('execute', () => runInside(operation, () => execute(operation)));
    } finally {
      inFlight.add(-1, this.#attributes);
    }
  }

  #notExecuted(outcome: Exclude<Outcome, { $case: 'execute' }>): Ending {
    if (outcome.$case === 'replay' || outcome.$case === 'inProgress') {
      this.#guards.metrics.duplicates.add(1, this.#attributes);
    }
    switch (outcome.$case) {
      case 'replay':
        this.#count('replay');
        this.#trace.linkTo(outcome.value.traceparent);
        return { kind: 'replay', replay: outcome.value };
      case 'inProgress': {
        this.#count('in_progress');
        const { attempt, retryAfter } = outcome.value;
        const text = `another execution is at it, attempt ${attempt}`;
        throw new OperationError('IN_PROGRESS', text, fromDuration(retryAfter));
      }
      case 'indeterminate':
        this.#count('indeterminate');
        throw new OperationError(
          'INDETERMINATE',
          'the outcome of an earlier execution is unknown until an operator resolves it',
        );
      case 'resultExpired':
        this.#count('result_expired');
        throw new OperationError('RESULT_EXPIRED', 'it was done, and its result is no longer kept');
    }
  }

  #count(outcome: string): void {
    this.#guards.metrics.outcomes.add(1, { ...this.#attributes, 'onceward.outcome': outcome });
    this.#trace.set({ 'onceward.outcome': outcome });
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof CallError && error.code === status.UNAVAILABLE;
}
