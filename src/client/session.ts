import { Metadata, status, type Client, type ClientDuplexStream, type ServiceError } from '@grpc/grpc-js';
import { limits } from '../core/limits.js';
import {
  BatchResponse,
  CoordinatorService,
  SessionResponse,
  type Answer,
} from '../gen/onceward/v1/coordinator.js';
import { RoundTrip } from './round-trip.js';
import { SendQueue, type Queued } from './send-queue.js';
import { UnderWay } from './under-way.js';
import { varintBytes, writeVarint } from './varint.js';

/** One call on its way: encoded once, however often it is sent. */
export interface Sending extends Queued {
  /** The encoded `Call` without its id, which every sending has its own of. */
  readonly bytes: Uint8Array;
  /** Finishing calls go before all others: what they end makes room. */
  readonly finishing: boolean;
  /** Of the try under way, on `performance.now()`: when it began, and when it is given up. */
  readonly tryStartTime: number;
  readonly tryEndTime: number;
  /** Called once a try: with the answer, or with the error that broke the connection. Its effect is then unknown. */
  settle(from: Session, answer: Answer['response'] | ServiceError): void;
  /** It waited until no answer can be expected in this try's time, and is not sent. */
  tooLate(roundTripMs: number): void;
}

/** Bytes of one encoded call: with its frame it fits into a message of 4 MiB, which is what the coordinator takes. */
export const callBytes = 4 * 1024 * 1024 - 32;
/** Calls under way on one stream beyond which others than finishing ones are held back; the server stops reading at 1,024. */
const underWayMax = 768;
/**
 * A call that waited longer than an answer takes, until less than so many times that is left, is not sent: it would be answered too
 * late. The coordinator would work for nobody, and who waits behind it would be late in turn.
 */
const roundTripsLeft = 3;
/** How long frames go by unary calls before the stream is tried again, ms. */
const unaryMs = 60_000;
/** How long a coordinator that failed is left out before one call looks again, ms; doubled by each failure. */
const leftOut = { firstMs: 200, mostMs: 5000 };
/** A batch is answered when its slowest call is, ms. None of them waits for another owner. */
const batchDeadlineMs = 10_000;

/**
 * Answers that are given out in one turn of the event loop: half of what came, within these bounds. What their callers ask for
 * next is on its way to the coordinator, and in the store, while the next ones are. In frames as large as they come, client, coordinator
 * and store would take turns.
 */
const answersPerTurn = { least: 16, most: 32 };

interface Frame {
  readonly calls: Sending[];
  /** Of each call. */
  readonly ids: number[];
}

/**
 * The way to one coordinator: a Session stream that is opened when there is something to send and opened anew after it broke.
 * What one turn of the event loop asks for rides in one frame. A peer without streams gets the same frames as Batch calls.
 */
export class Session {
  readonly #client: Client;
  #stream: ClientDuplexStream<Frame, SessionResponse> | undefined;
  #unaryUntil: number;
  /** Not sent yet: finishing calls, and all others. */
  readonly #queues = [new SendQueue<Sending>(), new SendQueue<Sending>()] as const;
  readonly #underWay = new UnderWay<Sending>();
  readonly #roundTrip = new RoundTrip<Sending>();
  #flushing = false;
  /** Came, and not given out yet. */
  #answers: Answer[] = [];
  #writable = true;
  /** Since the last answer. */
  #failures = 0;
  #lookAgainTime = 0;
  #answeredTime = -Infinity;

  constructor(client: Client, transport: 'session' | 'unary') {
    this.#client = client;
    this.#unaryUntil = transport === 'unary' ? Infinity : 0;
  }

  /** Whether a call may go here rather than elsewhere. While it fails, one call now and then may. */
  takesTurn(now: number): boolean {
    if (this.#failures === 0) return true;
    if (now < this.#lookAgainTime) return false;
    this.#lookAgainLater(now);
    return true;
  }

  /** It has not answered since it failed. */
  get failing(): boolean {
    return this.#failures > 0;
  }

  send(call: Sending): void {
    this.#queueOf(call).push(call);
    this.#flushSoon();
  }

  /** Nobody waits for the answer any more: what was not sent never is. */
  forget(call: Sending): void {
    this.#queueOf(call).remove(call);
  }

  /** A call had no answer in its time: other calls had better go elsewhere. */
  overdue(call: Sending): void {
    this.forget(call);
    this.#roundTrip.lost(call);
    this.#failed();
  }

  /** What is on its way still arrives; its answers find nobody. */
  close(): void {
    this.#giveOut(Infinity);
    const left = [...this.#underWay.takeAll(), ...this.#queues.flatMap((queue) => queue.takeAll())];
    const error = serviceError(status.CANCELLED, 'the client was closed');
    for (const call of left) call.settle(this, error);
    this.#stream?.end();
    this.#client.close();
  }

  #failed(): void {
    const now = performance.now();
    // Many calls fail of one cause.
    if (this.#failures > 0 && now < this.#lookAgainTime) return;
    this.#failures += 1;
    this.#lookAgainLater(now);
  }

  #lookAgainLater(now: number): void {
    const { firstMs, mostMs } = leftOut;
    this.#lookAgainTime = now + Math.min(mostMs, firstMs * 2 ** Math.min(this.#failures - 1, 10));
  }

  #flushSoon(): void {
    if (this.#flushing || !this.#writable || this.#queues.every(({ size }) => size === 0)) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      while (this.#writable) {
        const frame = this.#takeFrame();
        if (frame.calls.length === 0) return;
        if (performance.now() < this.#unaryUntil) this.#sendBatch(frame);
        else this.#writable = (this.#stream ?? this.#open()).write(frame);
      }
    });
  }

  #queueOf({ finishing }: Sending): SendQueue<Sending> {
    return this.#queues[finishing ? 0 : 1];
  }

  #takeFrame(): Frame {
    const frame: Frame = { calls: [], ids: [] };
    let bytes = 0;
    const now = performance.now();
    const fits = (call: Sending) => {
      if (this.#isTooLate(call, now)) {
        call.tooLate(this.#roundTrip.ms);
        return true;
      }
      bytes += call.bytes.length + frameOverheadBytes;
      const { length } = frame.calls;
      const full = length >= limits.callsPerFrame || (length > 0 && bytes > limits.answerBytes);
      const held = this.#underWay.isFull || (!call.finishing && this.#underWay.size >= underWayMax);
      if (full || held) return false;
      frame.calls.push(call);
      frame.ids.push(this.#underWay.add(call));
      if (!call.finishing) this.#roundTrip.sent(call, now);
      return true;
    };
    for (const queue of this.#queues) queue.takeWhile(fits);
    return frame;
  }

  /** Of a coordinator that answers: what another one may do in time is not known. */
  #isTooLate({ finishing, tryStartTime, tryEndTime }: Sending, now: number): boolean {
    const { ms } = this.#roundTrip;
    const answers = now - this.#answeredTime < ms;
    return !finishing && answers && now - tryStartTime > ms && tryEndTime - now < roundTripsLeft * ms;
  }

  #open(): ClientDuplexStream<Frame, SessionResponse> {
    const { path } = CoordinatorService.session;
    const stream = this.#client.makeBidiStreamRequest(path, encodeFrame, decodeSession, new Metadata());
    this.#stream = stream;
    stream.on('data', ({ answers }: SessionResponse) => {
      this.#take(answers);
    });
    stream.on('drain', () => {
      this.#writable = true;
      this.#flushSoon();
    });
    // An orderly end comes as a status too: the server drains, or spreads its clients anew.
    stream.on('error', (error: ServiceError) => {
      this.#broke(stream, error);
    });
    stream.on('status', ({ code, details, metadata }: ServiceError) => {
      if (code === status.OK) this.#broke(stream, serviceError(status.UNAVAILABLE, details, metadata), true);
    });
    return stream;
  }

  #take(answers: readonly Answer[]): void {
    this.#failures = 0;
    this.#answeredTime = performance.now();
    const before = this.#answers.length;
    for (const answer of answers) this.#answers.push(answer);
    if (before === 0) this.#giveOut();
  }

  #giveOut(most = this.#answersOfTurn()): void {
    for (const { id, response } of this.#answers.splice(0, most)) {
      const call = this.#underWay.take(Number(id));
      if (call === undefined) continue;
      this.#roundTrip.answered(call);
      call.settle(this, response);
    }
    this.#flushSoon();
    if (this.#answers.length > 0) {
      setImmediate(() => {
        this.#giveOut();
      });
    }
  }

  #answersOfTurn(): number {
    const { least, most } = answersPerTurn;
    return Math.min(Math.max(Math.ceil(this.#answers.length / 2), least), most);
  }

  #broke(stream: unknown, error: ServiceError, inOrder = false): void {
    if (this.#stream !== stream) return;
    this.#giveOut(Infinity);
    this.#roundTrip.lost();
    this.#stream = undefined;
    this.#writable = true;
    if (error.code === status.UNIMPLEMENTED) this.#unaryUntil = performance.now() + unaryMs;
    else if (!inOrder) this.#failed();
    // One that was given up and waits to be sent again is not lost.
    for (const call of this.#underWay.takeAll()) if (!this.#queueOf(call).has(call)) call.settle(this, error);
    this.#flushSoon();
  }

  #sendBatch(frame: Frame): void {
    const { path } = CoordinatorService.batch;
    const options = { deadline: Date.now() + batchDeadlineMs };
    const done = (error: ServiceError | null, response?: BatchResponse) => {
      if (error === null) {
        this.#take(response?.answers ?? []);
        return;
      }
      this.#failed();
      this.#roundTrip.lost();
      for (const id of frame.ids) this.#underWay.take(id)?.settle(this, error);
    };
    this.#client.makeUnaryRequest(path, encodeFrame, decodeBatch, frame, new Metadata(), options, done);
  }
}

/** Tag, length and id of a call in its frame, at most. */
const frameOverheadBytes = 16;

/** SessionRequest and BatchRequest are both a list of calls in field 1, and a call's id is its field 1. */
function encodeFrame({ calls, ids }: Frame): Buffer {
  let size = 0;
  for (const { bytes } of calls) size += bytes.length + frameOverheadBytes;
  const message = Buffer.allocUnsafe(size);
  let at = 0;
  for (let i = 0; i < calls.length; i += 1) {
    const { bytes } = calls[i] as Sending;
    const id = ids[i] as number;
    message[at] = 0x0a;
    at = writeVarint(message, at + 1, 1 + varintBytes(id) + bytes.length);
    message[at] = 0x08;
    at = writeVarint(message, at + 1, id);
    message.set(bytes, at);
    at += bytes.length;
  }
  return message.subarray(0, at);
}

function decodeSession(bytes: Buffer): SessionResponse {
  return SessionResponse.decode(bytes);
}

function decodeBatch(bytes: Buffer): BatchResponse {
  return BatchResponse.decode(bytes);
}

function serviceError(code: status, details: string, metadata = new Metadata()): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata });
}
