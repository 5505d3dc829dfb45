/** What a client has of one origin: connections, those of them that rest, attempts to connect, and waiting requests. */

import type { ClientConnection } from './client-connection.js';
import type { ClientExchange } from './client-exchange.js';
import type { OutgoingRequest } from './client-request.js';

export class ClientOrigin {
  readonly key: string;
  readonly address: string;
  readonly hostname: string;
  readonly isSecure: boolean;
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
  }

  /** The waiting request that may go on that connection: one that is sent again wants a fresh one. */
  nextFor(connection: ClientConnection): ClientExchange | undefined {
    if (connection.served === 0) {
      return this.queue[0];
    }
    return this.queue.find((exchange) => !exchange.isRetried);
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
    return this.connections.size + this.dials.size + this.queue.length === 0;
  }
}
