/** A watcher, a server whose connections wait for the test, and raw peers at their other ends. */

import type { Connection, ConnectionOptions, Server } from '../../src/index.js';
import { serve } from '../../src/index.js';
import { type Result, Watcher, type WatcherOptions } from '../../src/proactor/index.js';
import { settled } from './await-condition.js';
import { RawClient, type RawOptions } from './raw-client.js';

export interface Pair {
  /** Not the watcher's yet. */
  readonly connection: Connection;
  readonly peer: RawClient;
}

/** A result, with a copy of its bytes: those of shared memory are gone with the next batch. */
export interface Outcome {
  readonly result: Result;
  readonly bytes: Buffer;
}

interface Arrivals {
  readonly connections: Connection[];
  onArrival: () => void;
}

export class WatcherRig {
  readonly watcher: Watcher;
  readonly server: Server;
  readonly #arrivals: Arrivals;
  readonly #peers: RawClient[] = [];
  readonly #waiting: Outcome[] = [];

  private constructor(server: Server, arrivals: Arrivals, options: WatcherOptions) {
    this.server = server;
    this.#arrivals = arrivals;
    this.watcher = new Watcher(options);
  }

  static async open(
    watcher: WatcherOptions = {},
    options: ConnectionOptions & { driver?: 'epoll' | 'uring' } = {},
  ): Promise<WatcherRig> {
    const arrivals: Arrivals = { connections: [], onArrival: () => {} };
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      ...options,
      handler: {
        onOpen(connection) {
          connection.pause();
          arrivals.connections.push(connection);
          arrivals.onArrival();
        },
      },
    });
    return new WatcherRig(server, arrivals, watcher);
  }

  get url(): string {
    return this.server.addresses[0]!;
  }

  async pair(options: RawOptions = {}): Promise<Pair> {
    const peer = await RawClient.connect(this.url, options);
    this.#peers.push(peer);
    return { connection: await this.accepted(), peer };
  }

  /** The next connection that the server got. */
  async accepted(): Promise<Connection> {
    const { connections } = this.#arrivals;
    if (connections.length === 0) {
      const arrival = new Promise<void>((resolve) => {
        this.#arrivals.onArrival = resolve;
      });
      await settled(arrival, 'the connection at the server');
    }
    return connections.shift()!;
  }

  async pairs(count: number): Promise<Pair[]> {
    const pairs: Pair[] = [];
    for (let i = 0; i < count; i += 1) {
      pairs.push(await this.pair());
    }
    return pairs;
  }

  /** The next results, exactly so many. */
  async take(count = 1): Promise<Outcome[]> {
    while (this.#waiting.length < count) {
      const batch = await settled(
        this.watcher.waitIo(),
        `${count} results, of which ${this.#waiting.length} came`,
      );
      for (const result of batch ?? []) {
        const { buffer, operation, size } = result;
        const end = operation === 'read' ? size : 0;
        this.#waiting.push({ result, bytes: Buffer.from(buffer.subarray(0, end)) });
      }
      if (batch === undefined) {
        throw new Error(`The watcher ended after ${this.#waiting.length} of ${count} results`);
      }
    }
    return this.#waiting.splice(0, count);
  }

  /** The next result, which must be the only one that is waiting when it comes. */
  async one(): Promise<Outcome> {
    return (await this.take(1))[0]!;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) {
      peer.close();
    }
    await settled(this.watcher.close(), 'the close of the watcher');
    await this.server.close({ deadlineMs: 0 });
  }
}

/** What of a result most tests look at. */
export function summary({ result, bytes }: Outcome): string {
  const error = result.error === undefined ? '' : ` ${result.error.code}`;
  const text = result.operation === 'read' ? ` ${JSON.stringify(bytes.toString())}` : '';
  return `${result.operation} ${String(result.context)} ${result.size}${text}${error}`;
}
