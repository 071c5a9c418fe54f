import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { identityHash, identityOf } from '../core/key.js';
import type { OncewardError } from '../core/errors.js';
import type {
  BeginRequest,
  BeginResponse,
  Execute as Granted,
  HeartbeatRequest,
} from '../gen/onceward/v1/coordinator.js';
import { OnLapse as WireOnLapse } from '../gen/onceward/v1/record.js';
import { attributeNames as names } from '../telemetry/names.js';
import { OperationTrace } from '../telemetry/operations.js';
import { CallError, localError } from './call-error.js';
import { fromDuration, toDuration, toRetention } from './duration.js';
import { finishOperation, giveBack, type Settlement } from './finish.js';
import { Lease, type LeaseOptions } from './lease.js';
import { RunningOperation, runInside } from './operation.js';
import { OperationError } from './operation-error.js';
import type { Ending, Guards, OperationSpec } from './operation-spec.js';

/** Does the work, and says what its end is to be at the coordinator. It never throws: what it threw is a settlement too. */
type Execute = (operation: RunningOperation) => Promise<Settlement>;
type Outcome = NonNullable<BeginResponse['outcome']>;
type Held = Pick<LeaseOptions, 'sentTime' | 'grantedMs'>;

/** How long a lease that is partly used up before its execution is tried to be extended, ms. */
const renewMs = 10_000;

/**
 * Executes at most once: Begin, then `execute` under a lease that is kept alive, then Complete or Fail as it says. Throws an
 * OperationError when there is no answer, and a CallError when the coordinator refuses or can't be reached.
 */
export async function runOperation(guards: Guards, spec: OperationSpec, execute: Execute): Promise<Ending> {
  const { namespace } = spec.ref;
  const operationNames = {
    namespace,
    operation: spec.operation,
    keyHash: identityHash(identityOf(spec.ref)),
  };
  const trace = new OperationTrace(operationNames, spec.caller.parent, spec.caller.remote);
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
  readonly #attributes: { readonly [names.namespace]: string };

  constructor(guards: Guards, spec: OperationSpec, trace: OperationTrace) {
    this.#guards = guards;
    this.#spec = spec;
    this.#trace = trace;
    this.#attributes = { [names.namespace]: spec.ref.namespace };
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
    this.#count('execute');
    const operation = await this.#hold(outcome.value, sentTime);
    const beganTime = performance.now();
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
    let others = false;
    const onLate = (late: BeginResponse) => {
      if (late.outcome?.$case === 'execute') giveBack(calls, this.#spec.ref, late.outcome.value.fencingToken);
    };
    try {
      let response = await this.#trace.part('begin', () =>
        calls.begin(request, { deadlineMs, onLate, ...(signal && { signal }) }),
      );
      if (response.outcome?.$case === 'inProgress' && waitMs > 0) {
        others = true;
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
      // Another execution that is known of is worse than none.
      const open = failOpenMs > 0 && !others && isUnreachable(error) && this.#unreachableMs() <= failOpenMs;
      if (open) return undefined;
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

  async #hold(grant: Granted, sentTime: number): Promise<RunningOperation> {
    const operation = new RunningOperation(this.#spec.ref, this.#spec.hops, grant);
    let held: Held = {
      sentTime: sentTime + fromDuration(grant.waited),
      grantedMs: fromDuration(grant.lease),
    };
    // A grant that came late, or that a resent Begin got again, is partly used up, and counted from the sending may be over
    // already: then nothing is executed before it is extended.
    if (performance.now() - held.sentTime >= held.grantedMs / 3) held = await this.#renewed(operation);
    let checkpointSequence = 0n;
    const extend: LeaseOptions['extend'] = (leftMs, checkpoint) => {
      if (checkpoint === undefined) return this.#extend(operation, leftMs);
      checkpointSequence += 1n;
      return this.#extend(operation, leftMs, { checkpoint: Buffer.from(checkpoint), checkpointSequence });
    };
    const onLost = (error: OncewardError) => {
      operation.lose(error);
    };
    operation.lease = new Lease({ ...held, extend, onLost });
    if (grant.takeover) this.#guards.metrics.takeovers.add(1, this.#attributes);
    this.#trace.set({ [names.attempt]: grant.attempt, [names.takeover]: grant.takeover });
    return operation;
  }

  async #renewed(operation: RunningOperation): Promise<Held> {
    const sentTime = performance.now();
    try {
      return { sentTime, grantedMs: await this.#extend(operation, renewMs) };
    } catch (error) {
      if (!(error instanceof CallError) || error.reason !== 'LEASE_LOST') {
        giveBack(this.#guards.calls, operation.ref, operation.fencingToken);
        throw error;
      }
      throw new OperationError('LEASE_LOST', 'the lease was lost before anything was executed', 0, error);
    }
  }

  async #extend(
    { ref, fencingToken }: RunningOperation,
    deadlineMs: number,
    checkpoint?: Pick<HeartbeatRequest, 'checkpoint' | 'checkpointSequence'>,
  ): Promise<number> {
    const { leaseMs } = this.#spec;
    const lease = leaseMs === undefined ? undefined : toDuration(leaseMs);
    const request = { ref, fencingToken, lease, ...checkpoint };
    return fromDuration((await this.#guards.calls.heartbeat(request, { deadlineMs })).leaseLeft);
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
    this.#guards.metrics.outcomes.add(1, { ...this.#attributes, [names.outcome]: outcome });
    this.#trace.set({ [names.outcome]: outcome });
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof CallError && error.code === status.UNAVAILABLE;
}
