/** What a client has of one origin: connections, those of them that rest, attempts to connect, and waiting requests. */

import type { ClientConnection } from './client-connection.js';
import type { ClientExchange } from './client-exchange.js';
import type { OutgoingRequest } from './client-request.js';

export class ClientOrigin {
  readonly key: string;
  readonly address: string;
  readonly hostname: string;
  readonly isSecure: boolean;
  readonly proxy: URL | undefined;
  readonly connections = new Set<ClientConnection>();
  /** Those of `connections` that rest, the last one last. */
  readonly resting: ClientConnection[] = [];
  readonly dials = new Map<ClientConnection, AbortController>();
  readonly queue: ClientExchange[] = [];

  constructor(request: OutgoingRequest) {
    this.key = request.key;
    this.address = request.address;
    this.hostname = request.hostname;
    this.isSecure = request.isSecure;
    this.proxy = request.proxy;
  }

  /** The waiting request that may go on that connection: one that is sent again wants a fresh one. */
  nextFor(connection: ClientConnection): ClientExchange | undefined {
    if (connection.served === 0) {
      return this.queue[0];
    }
    return this.queue.find((exchange) => !exchange.isRetried);
  }

  /** Connections, and attempts to connect. */
  get size(): number {
    return this.connections.size + this.dials.size;
  }

  /** The order of the oldest request for which no connection is being opened; Infinity if there is none. */
  get uncovered(): number {
    return this.queue[this.dials.size]?.order ?? Number.POSITIVE_INFINITY;
  }

  /** The connection with the fewest requests under way behind which that one may be sent. */
  leastBusyFor(exchange: ClientExchange): ClientConnection | undefined {
    let best: ClientConnection | undefined;
    for (const connection of this.connections) {
      if (connection.depth < (best?.depth ?? Number.POSITIVE_INFINITY)) {
        best = connection.hasRoomFor(exchange) ? connection : best;
      }
    }
    return best;
  }

  /** After a request was given up: nobody waits for the last attempt to connect. */
  abortNeedlessDial(): void {
    if (this.dials.size > this.queue.length) {
      [...this.dials.values()].findLast(({ signal }) => !signal.aborted)?.abort();
    }
  }

  /** Whether it was at rest. */
  forgetResting(connection: ClientConnection): boolean {
    const at = this.resting.indexOf(connection);
    if (at >= 0) {
      this.resting.splice(at, 1);
    }
    return at >= 0;
  }

  get isEmpty(): boolean {
    return this.size + this.queue.length === 0;
  }
}

/** Of the origins with a request for which no connection is being opened, that of the oldest one. */
export function oldestWaiting(
  origins: Iterable<ClientOrigin>,
  isMeant: (origin: ClientOrigin) => boolean,
): ClientOrigin | undefined {
  let oldest: ClientOrigin | undefined;
  for (const origin of origins) {
    const isOlder = origin.uncovered < (oldest?.uncovered ?? Number.POSITIVE_INFINITY);
    if (isOlder && isMeant(origin)) {
      oldest = origin;
    }
  }
  return oldest;
}

/** The connection that has rested for longest. */
export function longestResting(origins: Iterable<ClientOrigin>): ClientConnection | undefined {
  let longest: ClientConnection | undefined;
  for (const { resting } of origins) {
    const first = resting[0];
    if (first !== undefined && first.restedAt < (longest?.restedAt ?? Number.POSITIVE_INFINITY)) {
      longest = first;
    }
  }
  return longest;
}
