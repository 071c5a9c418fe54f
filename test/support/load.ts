import { randomUUID } from 'node:crypto';
import { CallError } from '../../src/client/call-error.js';
import type { CoordinatorConnection } from '../../src/client/coordinator-client.js';
import { beginRequest, expectOutcome, refOf, result } from './calls.js';
import type { Event, Replayed } from './history.js';
import { until } from './until.js';

/** One call as its caller saw it. */
export interface Attempted {
  readonly tookMs: number;
  readonly error: CallError | undefined;
}

/** Callers that begin and complete keys of their own, and send a failed call again until it is answered. */
export interface Load {
  readonly history: readonly Event[];
  readonly calls: readonly Attempted[];
  /** Keys whose Complete was acknowledged, with what was stored. */
  readonly acknowledged: ReadonlyMap<string, string>;
  /** Lets every caller finish its key. */
  stop(): Promise<void>;
}

/** `route` tells, for each try of a call, where to send it. */
export function startLoad(options: {
  readonly name: string;
  readonly callers: number;
  readonly route: (attempt: number) => CoordinatorConnection;
}): Load {
  const { name, callers, route } = options;
  const history: Event[] = [];
  const calls: Attempted[] = [];
  const acknowledged = new Map<string, string>();
  let stopping = false;

  const untilAnswered = <T>(send: (over: CoordinatorConnection) => Promise<T>): Promise<T> => {
    let attempt = 0;
    return until('the call is answered', async () => {
      const startTime = performance.now();
      try {
        const answer = await send(route(attempt));
        calls.push({ tookMs: performance.now() - startTime, error: undefined });
        return answer;
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        calls.push({ tookMs: performance.now() - startTime, error });
        attempt += 1;
        return undefined;
      }
    });
  };

  const once = async (key: string): Promise<void> => {
    const request = beginRequest(key, { attemptId: randomUUID() });
    const granted = expectOutcome(await untilAnswered((over) => over.coordinator.begin(request)), 'execute');
    const { fencingToken, attempt } = granted;
    history.push({ kind: 'granted', key, token: fencingToken, attempt });
    const payload = `${key} by ${fencingToken}`;
    await untilAnswered((over) =>
      over.coordinator.complete({ ref: refOf(key), fencingToken, result: result(payload) }),
    );
    history.push({ kind: 'completed', key, token: fencingToken, payload });
    acknowledged.set(key, payload);
  };

  const caller = async (number: number): Promise<void> => {
    for (let i = 0; !stopping; i += 1) await once(`${name}-${number}-${i}`);
  };
  const running = Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  // `stop` passes the failure on; until then it must not be unhandled.
  running.catch(() => undefined);
  return {
    history,
    calls,
    acknowledged,
    stop: async () => {
      stopping = true;
      await running;
    },
  };
}

/** Begins every key again; what comes back goes to the history. */
export async function replayAll(
  keys: Iterable<string>,
  over: CoordinatorConnection,
): Promise<readonly Replayed[]> {
  const events: Replayed[] = [];
  for (const key of keys) {
    const replay = expectOutcome(await over.coordinator.begin(beginRequest(key)), 'replay');
    events.push({ kind: 'replayed', key, payload: String(replay.result?.payload) });
  }
  return events;
}
