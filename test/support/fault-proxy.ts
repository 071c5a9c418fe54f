import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { seededRandom } from './seeded-random.js';
import { answerMarks, requestMarks, type WireProtocol } from './wire-marks.js';

/**
 * - `pass`: forward.
 * - `cut`: reset both sides without forwarding it (from the client: the request is lost).
 * - `loseAnswer`: forward it, swallow what the server says, and reset both sides once that was an answer: the effect
 *   happened, the caller doesn't know.
 * - `stall`: half-open from here on: swallow both ways, close nothing.
 */
export type ClientFault = 'pass' | 'cut' | 'loseAnswer' | 'stall';
export type ServerFault = 'pass' | 'cut' | 'stall';

/** Chances in [0, 1]: `refuse` per connection, the others per request. */
export interface RandomFaults {
  readonly seed: number;
  readonly refuse?: number;
  readonly cut?: number;
  readonly loseAnswer?: number;
  readonly stall?: number;
}

export interface FaultProxyOptions {
  /** `host:port`, or the path of a Unix socket. */
  readonly target: string;
  /** Default: 0, a free one. Always on 127.0.0.1. */
  readonly port?: number;
  /** Default: raw, where each chunk counts as a message. */
  readonly protocol?: WireProtocol;
  /** Called with every chunk while the proxy passes; a fault other than `pass` goes before random ones. */
  readonly onClientData?: (chunk: Buffer) => ClientFault;
  /** Bytes are forwarded in its stead. */
  readonly onServerData?: (chunk: Buffer) => ServerFault | Buffer;
  readonly random?: RandomFaults;
}

/** What was done so far. */
export interface FaultCounts {
  connections: number;
  requests: number;
  refused: number;
  /** Requests cut before they were forwarded. */
  cut: number;
  /** Answers swallowed, connection cut. */
  answersLost: number;
  /** Connections that went half-open. */
  stalled: number;
}

export interface FaultProxy {
  readonly port: number;
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly counts: Readonly<FaultCounts>;
  /** New connections pass again; stalled ones stay stalled, as their bytes are gone. */
  readonly pass: () => void;
  /** Resets new connections; those that stand go on. */
  readonly refuse: () => void;
  /** Makes all connections half-open, those that stand and new ones. */
  readonly stall: () => void;
  /** Resets all connections that stand. */
  readonly cutAll: () => void;
  /** Switches random faults; undefined ends them. */
  setRandom(random: RandomFaults | undefined): void;
  /** Cuts at the next request (that matches) without forwarding it; resolves when that has happened. */
  loseNextRequest(matches?: (chunk: Buffer) => boolean): Promise<void>;
  /** Forwards the next request (that matches) and cuts at its answer; resolves when that has happened. */
  loseNextAnswer(matches?: (chunk: Buffer) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** A TCP proxy that does harm on demand, to stand between any two that talk. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const state = newState(options);
  const server = createServer((client) => accept(state, client));
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const plan = (fault: 'cut' | 'loseAnswer', matches: (chunk: Buffer) => boolean): Promise<void> =>
    new Promise((done) => state.plans.push({ fault, matches, done }));
  return {
    port,
    address: `127.0.0.1:${port}`,
    counts: state.counts,
    pass: () => {
      state.mode = 'pass';
    },
    refuse: () => {
      state.mode = 'refuse';
    },
    stall: () => {
      state.mode = 'stall';
      for (const link of state.links) stall(state, link);
    },
    cutAll: () => {
      for (const link of state.links) cut(link);
    },
    setRandom: (random) => {
      state.random = random && { ...random, next: seededRandom(random.seed) };
    },
    loseNextRequest: (matches = () => true) => plan('cut', matches),
    loseNextAnswer: (matches = () => true) => plan('loseAnswer', matches),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const link of state.links) cut(link);
      await closed;
    },
  };
}

interface Plan {
  readonly fault: 'cut' | 'loseAnswer';
  readonly matches: (chunk: Buffer) => boolean;
  readonly done: () => void;
}

interface Link {
  readonly client: Socket;
  readonly server: Socket;
  stalled: boolean;
  /** Set while the server's bytes are swallowed up to the answer: what to do when it was lost. */
  losing: (() => void) | undefined;
}

interface State {
  readonly options: FaultProxyOptions;
  readonly protocol: WireProtocol;
  readonly target: NetConnectOpts;
  readonly counts: FaultCounts;
  readonly links: Set<Link>;
  readonly plans: Plan[];
  mode: 'pass' | 'refuse' | 'stall';
  random: (RandomFaults & { readonly next: () => number }) | undefined;
}

function newState(options: FaultProxyOptions): State {
  const { random } = options;
  return {
    options,
    protocol: options.protocol ?? 'raw',
    target: targetOf(options.target),
    counts: { connections: 0, requests: 0, refused: 0, cut: 0, answersLost: 0, stalled: 0 },
    links: new Set(),
    plans: [],
    mode: 'pass',
    random: random && { ...random, next: seededRandom(random.seed) },
  };
}

function targetOf(target: string): NetConnectOpts {
  if (target.startsWith('/')) return { path: target };
  const colon = target.lastIndexOf(':');
  return { host: target.slice(0, colon), port: Number(target.slice(colon + 1)) };
}

function accept(state: State, client: Socket): void {
  client.on('error', () => undefined);
  if (state.mode === 'refuse' || happens(state, 'refuse')) {
    state.counts.refused += 1;
    client.resetAndDestroy();
    return;
  }
  state.counts.connections += 1;
  const server = connect(state.target);
  const link: Link = { client, server, stalled: false, losing: undefined };
  state.links.add(link);
  client.setNoDelay(true);
  server.setNoDelay(true);
  server.on('error', () => undefined);
  if (state.mode === 'stall') stall(state, link);
  carryRequests(state, link);
  carryAnswers(state, link);
  client.on('close', () => ended(state, link, server));
  server.on('close', () => ended(state, link, client));
}

function carryRequests(state: State, link: Link): void {
  const mark = requestMarks[state.protocol]();
  link.client.on('data', (chunk) => {
    if (link.stalled) return;
    const isRequest = mark(chunk);
    if (isRequest) state.counts.requests += 1;
    const { fault, done } = chooseFault(state, chunk, isRequest);
    if (fault === 'stall') {
      stall(state, link);
      return;
    }
    if (fault === 'cut') {
      state.counts.cut += 1;
      cut(link);
      return done?.();
    }
    if (fault === 'loseAnswer') {
      link.losing ??= () => {
        state.counts.answersLost += 1;
        done?.();
      };
    }
    forward(link.client, link.server, chunk);
  });
  link.client.on('end', () => {
    if (!link.stalled) link.server.end();
  });
}

function carryAnswers(state: State, link: Link): void {
  const mark = answerMarks[state.protocol]();
  link.server.on('data', (chunk) => {
    if (link.stalled) return;
    const isAnswer = mark(chunk);
    if (link.losing) {
      if (!isAnswer) return;
      cut(link);
      link.losing();
      return;
    }
    const fault = state.options.onServerData?.(chunk) ?? 'pass';
    if (fault === 'stall') {
      stall(state, link);
      return;
    }
    if (fault === 'cut') {
      state.counts.answersLost += 1;
      cut(link);
      return;
    }
    forward(link.server, link.client, fault === 'pass' ? chunk : fault);
  });
  link.server.on('end', () => {
    if (!link.stalled) link.client.end();
  });
}

function chooseFault(
  state: State,
  chunk: Buffer,
  isRequest: boolean,
): { readonly fault: ClientFault; readonly done?: () => void } {
  const asked = state.options.onClientData?.(chunk) ?? 'pass';
  if (asked !== 'pass' || !isRequest) return { fault: asked };
  const index = state.plans.findIndex((plan) => plan.matches(chunk));
  const [plan] = index < 0 ? [] : state.plans.splice(index, 1);
  if (plan) return plan;
  for (const fault of ['cut', 'loseAnswer', 'stall'] as const) {
    if (happens(state, fault)) return { fault };
  }
  return { fault: 'pass' };
}

function happens(state: State, fault: 'refuse' | 'cut' | 'loseAnswer' | 'stall'): boolean {
  const chance = state.random?.[fault] ?? 0;
  return chance > 0 && state.random !== undefined && state.random.next() < chance;
}

/** Keeps the slower side from filling this process's memory. */
function forward(from: Socket, to: Socket, chunk: Buffer): void {
  if (to.write(chunk)) return;
  from.pause();
  to.once('drain', () => from.resume());
}

function stall(state: State, link: Link): void {
  if (link.stalled) return;
  link.stalled = true;
  state.counts.stalled += 1;
}

/** A Unix socket has no reset; there the server just finds the connection closed. */
function cut(link: Link): void {
  // A socket that is shutting down can't be reset: Node would hold on to it, and spin at the process's end.
  if (link.client.writableEnded) link.client.destroy();
  else link.client.resetAndDestroy();
  link.server.destroy();
}

/** On a half-open connection neither side learns of the other's end. */
function ended(state: State, link: Link, other: Socket): void {
  if (link.stalled && !other.destroyed) return;
  other.destroy();
  state.links.delete(link);
}
