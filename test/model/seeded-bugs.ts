import type { TestDatabase } from '../support/database.js';
import type { Call } from './action.js';
import type { Answer, System } from './system.js';

/** A system with one safety bug, made by standing between the caller and the real one. */
export interface SeededBug {
  readonly name: string;
  readonly around: (real: System, database: TestDatabase, key: string) => System;
}

const leased = /^in_progress/;

export const seededBugs: readonly SeededBug[] = [
  {
    name: 'a takeover is given the token of the attempt before',
    around: (real) => {
      const first = new Map<string, bigint>();
      return onAnswer(real, ({ namespace }, answer) => {
        if (answer.token === undefined || !answer.text.startsWith('execute')) return answer;
        const token = first.get(namespace) ?? answer.token;
        first.set(namespace, token);
        return { ...answer, token };
      });
    },
  },
  {
    name: 'tokens start again when a record is gone',
    around: (real, database) => ({
      ...real,
      send: async (coordinator, call) => {
        if (call.verb === 'begin') await database.query("SELECT setval('onceward.fencing_token', 1)");
        return real.send(coordinator, call);
      },
    }),
  },
  {
    name: 'a replay is given after Forget',
    around: (real) => {
      const replays = new Map<string, Answer>();
      return onAnswer(real, ({ verb, namespace }, answer) => {
        if (verb !== 'begin') return answer;
        if (answer.text.startsWith('replay')) replays.set(namespace, answer);
        return replays.get(namespace) ?? answer;
      });
    },
  },
  {
    name: 'a lease is granted while another one lives',
    around: (real) => ({
      ...real,
      send: async (coordinator, call) => {
        const answer = await real.send(coordinator, call);
        if (call.verb !== 'begin' || !leased.test(answer.text)) return answer;
        await real.happen({ namespace: call.namespace, verb: 'lapse' });
        return real.send(coordinator, call);
      },
    }),
  },
  {
    name: 'a superseded token finishes',
    around: (real) => acknowledging(real, 'error LEASE_LOST', 'COMPLETED already=false'),
  },
  {
    name: 'a second result replaces the first',
    around: (real) => acknowledging(real, 'error RESULT_CONFLICT', 'COMPLETED already=true'),
  },
  {
    name: 'a resent Begin is told that another one is at it',
    around: (real) =>
      onAnswer(real, (_, answer) =>
        answer.text.startsWith('execute') && answer.text.endsWith('left')
          ? { text: 'in_progress attempt=1' }
          : answer,
      ),
  },
  {
    name: 'a key used for another operation is replayed',
    around: (real) => ({
      ...real,
      send: (coordinator, call) =>
        real.send(coordinator, call.verb === 'begin' ? { ...call, operation: 'charge' } : call),
    }),
  },
  {
    name: 'a lapse under PARK is rerun',
    around: (real, database, key) => ({
      ...real,
      happen: async (event) => {
        await database.query(
          "UPDATE onceward.record SET on_lapse = 'RERUN' WHERE namespace = $1 AND key = $2",
          [event.namespace, key],
        );
        await real.happen(event);
      },
    }),
  },
  {
    name: 'the sweep removes a finished record that still counts',
    around: (real, database, key) => ({
      ...real,
      happen: async (event) => {
        await real.happen(event);
        if (event.verb !== 'sweep') return;
        await database.query(
          'DELETE FROM onceward.record WHERE namespace = $1 AND key = $2 AND finish_time IS NOT NULL',
          [event.namespace, key],
        );
      },
    }),
  },
  {
    name: 'who comes after a release is not told of the lapse before it',
    around: (real) => {
      let released = false;
      return onAnswer(real, (_, answer) => {
        if (answer.text.startsWith('RELEASED')) released = true;
        if (!released || !answer.text.startsWith('execute')) return answer;
        return { ...answer, text: answer.text.replace('takeover=true', 'takeover=false') };
      });
    },
  },
  {
    name: 'the checkpoint is lost at a takeover',
    around: (real) =>
      onAnswer(real, (_, answer) => ({
        ...answer,
        text: answer.text.replace(/checkpoint=c\d/, 'checkpoint=none'),
      })),
  },
  {
    name: 'a result past its retention is executed again',
    around: (real, database, key) => ({
      ...real,
      send: async (coordinator, call) => {
        const answer = await real.send(coordinator, call);
        if (answer.text !== 'result_expired') return answer;
        await database.query('DELETE FROM onceward.record WHERE namespace = $1 AND key = $2', [
          call.namespace,
          key,
        ]);
        return real.send(coordinator, call);
      },
    }),
  },
];

function onAnswer(real: System, change: (call: Call, answer: Answer) => Answer): System {
  return {
    ...real,
    send: async (coordinator, call) => change(call, await real.send(coordinator, call)),
  };
}

/** Acknowledges a Complete that was refused. */
function acknowledging(real: System, refusal: string, text: string): System {
  return onAnswer(real, ({ verb }, answer) =>
    verb === 'complete' && answer.text === refusal ? { text } : answer,
  );
}
