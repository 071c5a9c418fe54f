import { Client, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import { Session } from './session.js';

/** The way to one coordinator. */
export interface Link {
  readonly session: Session;
  /**
   * Begins that wait have calls, and a connection, of their own: a unary call tells the coordinator when its caller leaves,
   * and however many wait, finishing calls are not behind them.
   */
  readonly waiting: Client;
}

export interface LinksOptions {
  /** `host:port` each, or gRPC targets. */
  readonly addresses: readonly string[];
  readonly credentials: ChannelCredentials;
  readonly transport: 'session' | 'unary';
}

const channelOptions: ChannelOptions = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.enable_retries': 0,
  'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
};

/** The ways to all coordinators of a client, taken in turn. */
export class Links {
  readonly #links: readonly Link[];
  #next = 0;

  constructor({ addresses, credentials, transport }: LinksOptions) {
    this.#links = addresses.map((address) => ({
      session: new Session(new Client(address, credentials, channelOptions), transport),
      waiting: new Client(address, credentials, {
        ...channelOptions,
        'grpc.use_local_subchannel_pool': 1,
      }),
    }));
  }

  get count(): number {
    return this.#links.length;
  }

  /** The next in turn; those that failed are left out while there are others, but for a call now and then that looks again. */
  pick(): Link {
    const now = performance.now();
    const count = this.#links.length;
    let at = this.#next;
    for (let i = 0; i < count; i += 1) {
      const turn = (this.#next + i) % count;
      if (this.#links[turn]?.session.takesTurn(now) === true) {
        at = turn;
        break;
      }
    }
    this.#next = (at + 1) % count;
    const link = this.#links[at];
    if (link === undefined) throw new Error('there is no coordinator');
    return link;
  }

  close(): void {
    for (const { session, waiting } of this.#links) {
      session.close();
      waiting.close();
    }
  }
}
