import { status } from '@grpc/grpc-js';
import type { OncewardError } from '../core/errors.js';
import type {
  BeginRequest,
  BeginResponse,
  Execute as Granted,
  HeartbeatRequest,
} from '../gen/onceward/v1/coordinator.js';
import { OnLapse as WireOnLapse } from '../gen/onceward/v1/record.js';
import { attributeNames as names } from '../telemetry/names.js';
import { traceOperation, type OperationTrace } from '../telemetry/operations.js';
import { nextAttemptId } from './attempt-id.js';
import { CallError, localError } from './call-error.js';
import { fromDuration, toDuration, toRetention } from './duration.js';
import { giveBack, notStored, storeSettlement, type Settlement } from './finish.js';
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
const executed: Ending = { kind: 'executed' };

/**
 * Executes at most once: Begin, then `execute` under a lease that is kept alive, then Complete or Fail as it says. Gives what `conclude`
 * makes of the ending. Throws an OperationError when there is no answer, and a CallError when the coordinator refuses or can't be reached.
 */
export function runOperation<T>(
  guards: Guards,
  spec: OperationSpec,
  execute: Execute,
  conclude: (ending: Ending) => T,
): Promise<T> {
  return new Run(guards, spec).run(execute, conclude);
}

/** The same for who has more to do when it throws. */
export function endingOf(guards: Guards, spec: OperationSpec, execute: Execute): Promise<Ending> {
  return runOperation(guards, spec, execute, (ending) => ending);
}

class Run {
  readonly #guards: Guards;
  readonly #spec: OperationSpec;
  readonly #trace: OperationTrace;
  readonly #attributes: { readonly [names.namespace]: string };
  /** Another execution was at it when this one asked. */
  #others = false;

  constructor(guards: Guards, spec: OperationSpec) {
    this.#guards = guards;
    this.#spec = spec;
    this.#trace = traceOperation(spec.ref, spec.operation, spec.caller.parent, spec.caller.remote);
    this.#attributes = { [names.namespace]: spec.ref.namespace };
  }

  // One async function with three awaits on the way that is usual: in a service that uses AsyncLocalStorage, as this SDK does,
  // each promise is dear.
  async run<T>(execute: Execute, conclude: (ending: Ending) => T): Promise<T> {
    const { metrics } = this.#guards;
    const { hops, ref, waitMs } = this.#spec;
    let ending = executed;
    try {
      const sentTime = performance.now();
      let outcome: Outcome | undefined;
      try {
        const request = this.#request();
        outcome = outcomeOf(await this.#begin(request, this.#deadlineMs()));
        if (outcome.$case === 'inProgress' && waitMs > 0) outcome = await this.#wait(request);
      } catch (error) {
        await this.#runWithout(error, execute);
      }
      if (outcome?.$case === 'execute') {
        this.#count('execute');
        const grant = outcome.value;
        const operation = new RunningOperation(ref, hops, grant);
        let held: Held = {
          sentTime: sentTime + fromDuration(grant.waited),
          grantedMs: fromDuration(grant.lease),
        };
        // A grant that came late, or that a resent Begin got again, is partly used up, and counted from the sending may be over
        // already: then nothing is executed before it is extended.
        if (performance.now() - held.sentTime >= held.grantedMs / 3) held = await this.#renewed(operation);
        this.#hold(operation, grant, held);
        const beganTime = performance.now();
        let settlement: Settlement;
        try {
          settlement = await this.#execute(operation, execute);
        } catch (error) {
          // What has no end to be stored must not keep its lease for ever.
          operation.lease?.stop();
          throw error;
        } finally {
          metrics.inFlight.add(-1, this.#attributes);
        }
        const settledTime = performance.now();
        try {
          await this.#store(operation, settlement);
        } catch (error) {
          ending = await notStored(this.#guards, this.#spec, this.#trace, operation, settlement, error);
        } finally {
          operation.lease?.stop();
        }
        const beginMs = beganTime - sentTime - fromDuration(grant.waited);
        const overheadMs = beginMs + (performance.now() - settledTime);
        metrics.overhead.record(overheadMs / 1000, this.#attributes);
      } else if (outcome !== undefined) ending = this.#notExecuted(outcome);
    } catch (error) {
      this.#trace.end(error);
      throw error;
    }
    this.#trace.end();
    return conclude(ending);
  }

  #begin(request: BeginRequest, deadlineMs: number): Promise<BeginResponse> {
    const { calls } = this.#guards;
    const { ref, signal } = this.#spec;
    const onLate = (late: BeginResponse) => {
      if (late.outcome?.$case === 'execute') giveBack(calls, ref, late.outcome.value.fencingToken);
    };
    const name = request.wait === undefined ? 'begin' : 'wait';
    return this.#trace.part(name, () => calls.begin(request, { deadlineMs, onLate, signal }));
  }

  async #wait(request: BeginRequest): Promise<Outcome> {
    const { waitMs } = this.#spec;
    this.#others = true;
    const waitedFrom = performance.now();
    // The same attempt: whichever of the two is granted, it is one grant.
    const waiting = { ...request, wait: toDuration(waitMs) };
    const response = await this.#begin(waiting, waitMs + this.#deadlineMs());
    this.#guards.metrics.waits.record((performance.now() - waitedFrom) / 1000, this.#attributes);
    return outcomeOf(response);
  }

  #deadlineMs(): number {
    const { beginTimeoutMs, failOpenMs = 0 } = this.#spec;
    return beginTimeoutMs ?? (failOpenMs > 0 ? 1000 : 10_000);
  }

  /** Executes though Begin failed, if no coordinator answers and this operation may run without; else throws. */
  async #runWithout(error: unknown, execute: Execute): Promise<void> {
    const { failOpenMs = 0 } = this.#spec;
    if (error instanceof CallError && error.reason === 'KEY_MISMATCH') {
      this.#guards.metrics.mismatches.add(1, this.#attributes);
    }
    // Another execution that is known of is worse than none.
    const open =
      failOpenMs > 0 && !this.#others && isUnreachable(error) && this.#unreachableMs() <= failOpenMs;
    if (!open) throw error;
    this.#count('unguarded');
    try {
      await this.#execute(new RunningOperation(this.#spec.ref, this.#spec.hops, undefined), execute);
    } finally {
      this.#guards.metrics.inFlight.add(-1, this.#attributes);
    }
  }

  #unreachableMs(): number {
    const { unreachableSince } = this.#guards.calls;
    return unreachableSince === undefined ? 0 : performance.now() - unreachableSince;
  }

  #request(): BeginRequest {
    const { ref, operation, fingerprint, parent, leaseMs, onLapse, resultRetentionMs, firstAttemptTime } =
      this.#spec;
    return {
      ref,
      operation,
      fingerprint: fingerprint && { version: fingerprint.version, digest: bufferOf(fingerprint.digest) },
      attemptId: nextAttemptId(),
      lease: leaseMs === undefined ? undefined : toDuration(leaseMs),
      wait: undefined,
      parent,
      labels: {},
      firstAttemptTime,
      resultRetention: resultRetentionMs === undefined ? undefined : toRetention(resultRetentionMs),
      onLapse: onLapse === undefined ? WireOnLapse.UNSPECIFIED : WireOnLapse[onLapse],
      traceparent: this.#trace.traceparent,
    };
  }

  /** Keeps the lease alive from here on. */
  #hold(operation: RunningOperation, { attempt, takeover }: Granted, { sentTime, grantedMs }: Held): void {
    let checkpointSequence = 0n;
    const extend: LeaseOptions['extend'] = (leftMs, checkpoint) => {
      if (checkpoint === undefined) return this.#extend(operation, leftMs);
      checkpointSequence += 1n;
      return this.#extend(operation, leftMs, { checkpoint: Buffer.from(checkpoint), checkpointSequence });
    };
    const onLost = (error: OncewardError) => {
      operation.lose(error);
    };
    operation.lease = new Lease({ sentTime, grantedMs, extend, onLost });
    if (takeover) this.#guards.metrics.takeovers.add(1, this.#attributes);
    this.#trace.set({ [names.attempt]: attempt, [names.takeover]: takeover });
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

  /** Counts it as under way, which whoever awaits it takes back. */
  #execute(operation: RunningOperation, execute: Execute): Promise<Settlement> {
    this.#guards.metrics.inFlight.add(1, this.#attributes);
    return this.#trace.part('execute', () => runInside(operation, () => execute(operation)));
  }
  #store(operation: RunningOperation, settlement: Settlement): Promise<unknown> {
    return this.#trace.part('finish', () =>
      storeSettlement(this.#guards.calls, this.#spec, operation, settlement),
    );
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
    const { namespace } = this.#spec.ref;
    this.#guards.metrics.outcomes.add(1, { [names.namespace]: namespace, [names.outcome]: outcome });
    this.#trace.set({ [names.outcome]: outcome });
  }
}

/** The same bytes: they are encoded before anything else happens. */
function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function outcomeOf({ outcome }: BeginResponse): Outcome {
  if (outcome !== undefined) return outcome;
  throw localError(status.INTERNAL, 'the coordinator answered an outcome that this SDK does not know');
}

function isUnreachable(error: unknown): boolean {
  return error instanceof CallError && error.code === status.UNAVAILABLE;
}
