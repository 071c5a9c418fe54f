import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { actionArbitrary, slotsArbitrary, type Action, type Call, type Slots } from './action.js';
import { Model } from './model.js';
import type { Answer, System } from './system.js';

export interface SequenceOptions {
  /** How many sequences; they run in several threads of control, since each waits most of the time. */
  readonly count: number;
  readonly seed: number;
  readonly systemOf: (key: string) => System;
  /**
   * With replay caches on, an operator's change is honoured everywhere only within a second, and SQL behind a cache's back
   * not at all: then Forget goes to coordinator 0, the only one with a cache, and finished records don't expire.
   */
  readonly caching?: boolean;
  /** Counts what was answered, to prove that the sequences reach it. */
  readonly seen?: Map<string, number>;
  /** Whether to look for the smallest failing sequence. */
  readonly shrink?: boolean;
}

const threads = 16;
const timeLimitMs = 150_000;

/** Runs random sequences against the model; the text of the first failure, undefined when there is none. */
export async function findFailure(options: SequenceOptions): Promise<string | undefined> {
  const state: State = { failed: false };
  const reports = await Promise.all(
    Array.from({ length: threads }, async (_, thread) => {
      const seed = (options.seed + thread) | 0;
      const details = await fc.check(sequenceProperty(options, state), {
        seed,
        numRuns: Math.ceil(options.count / threads),
        endOnFailure: options.shrink !== true,
        interruptAfterTimeLimit: timeLimitMs,
        markInterruptAsFailure: true,
      });
      if (!details.failed) return undefined;
      const reason = details.errorInstance instanceof Error ? details.errorInstance.message : 'interrupted';
      const { numRuns, counterexamplePath } = details;
      return `ONCEWARD_TEST_SEED=${options.seed} thread ${thread}, run ${numRuns}, ${counterexamplePath}: ${reason}`;
    }),
  );
  return reports.find((report) => report !== undefined);
}

function sequenceProperty(options: SequenceOptions, state: State) {
  const commands = fc.commands<Model, Sequence, boolean>(
    [actionArbitrary.map((action): fc.AsyncCommand<Model, Sequence> => new Step(action, options))],
    { maxCommands: 30, size: 'max' },
  );
  return fc.asyncProperty(slotsArbitrary, commands, async (slots, steps) => {
    const system = options.systemOf(`key-${randomBytes(8).toString('hex')}`);
    // One failure is enough where nobody looks for the smallest.
    if (state.failed && options.shrink !== true) return;
    const sequence: Sequence = { system, slots, calls: [], log: [] };
    try {
      await fc.asyncModelRun(() => ({ model: new Model(), real: sequence }), steps);
    } catch (error) {
      state.failed = true;
      throw new Error(`${sequence.log.join('\n')}\n${(error as Error).message}`, { cause: error });
    }
  });
}

/** Shared by the threads. */
interface State {
  failed: boolean;
}

/** One run: the system and the calls sent to it so far. */
interface Sequence {
  readonly system: System;
  /** The namespaces of its two keys. */
  readonly slots: Slots;
  readonly calls: Call[];
  /** What happened, for the report of a failure. */
  readonly log: string[];
}

class Step implements fc.AsyncCommand<Model, Sequence> {
  readonly #action: Action;
  readonly #options: SequenceOptions;

  constructor(action: Action, options: SequenceOptions) {
    this.#action = action;
    this.#options = options;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, sequence: Sequence): Promise<void> {
    const action = this.#action;
    if (action.kind === 'event') {
      const event = { namespace: sequence.slots[action.slot], verb: action.verb };
      const cached = this.#options.caching === true && model.isFinished(event.namespace);
      if (cached && event.verb.startsWith('expire')) return;
      sequence.log.push(printed(event));
      model.happen(event);
      await sequence.system.happen(event);
      return;
    }
    const call = callOf(action, model, sequence);
    if (call === undefined) return;
    sequence.calls.push(call);
    const lost = action.kind === 'call' && action.lost;
    if (lost) {
      const first = model.apply(call).text;
      await sequence.system.send(this.#route(call, action.coordinator), call);
      sequence.log.push('answer lost:');
      const second = model.apply(call);
      // Sent twice is answered as sent once: so says the model too, or it is no model of the protocol.
      if (plain(first) !== plain(second.text))
        throw new Error(`the model says ${first}, then ${second.text}`);
      await this.#expect(model, sequence, call, second, 1 - action.coordinator);
    } else {
      await this.#expect(model, sequence, call, model.apply(call), action.coordinator);
    }
  }

  async #expect(
    model: Model,
    { system, log }: Sequence,
    call: Call,
    expected: ReturnType<Model['apply']>,
    coordinator: number,
  ): Promise<void> {
    const answer: Answer = await system.send(this.#route(call, coordinator), call);
    log.push(`${printed(call)} -> ${answer.text} ${answer.token ?? ''}`);
    if (answer.text !== expected.text) {
      throw new Error(`expected "${expected.text}"`);
    }
    if (expected.token !== undefined) model.learn(call.namespace, expected.token, answer.token);
    const kind = `${call.verb} ${answer.text.replace(/ .*(already=\w+)| attempts?=.*| (OK|ERROR) .*/, ' $1')}`;
    const { seen } = this.#options;
    seen?.set(kind.trim(), (seen.get(kind.trim()) ?? 0) + 1);
  }

  #route(call: Call, coordinator: number): number {
    return this.#options.caching === true && call.verb === 'forget' ? 0 : coordinator;
  }

  toString(): string {
    return printed(this.#action);
  }
}

function callOf(
  action: Action & { kind: 'call' | 'again' },
  model: Model,
  { calls, slots }: Sequence,
): Call | undefined {
  if (action.kind === 'again') return calls.at(-1 - action.back);
  const { content } = action;
  const namespace = slots[action.slot];
  if (!('token' in content)) return { namespace, ...content };
  return { namespace, ...content, token: model.tokenOf(namespace, content.token) };
}

/** Without what a repetition may add. */
function plain(text: string): string {
  return text.replace(/ already=.*/, '').replace('lease=whole', 'lease=left');
}

function printed(value: object): string {
  return JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? String(part) : part));
}
