/**
 * How connections of an `http.Server` end when the server of millrace that gives them closes: each when the responses
 * that are under way on it are done. Node's own `close` waits for them, but only for a server that listens.
 */

import type { EventEmitter } from 'node:events';

import type { Connection } from '../api.js';
import type { ConnectionDuplex } from './connection-duplex.js';

interface Life {
  readonly duplex: ConnectionDuplex;
  /** Requests that were announced and whose responses have not closed. */
  responses: number;
  isEnding: boolean;
}

export class HttpDrain {
  /** By stream, for requests, and by connection. */
  readonly #lives = new WeakMap<object, Life>();

  constructor(server: EventEmitter) {
    server.prependListener('request', (request: { socket: object }, response: EventEmitter) => {
      const life = this.#lives.get(request.socket);
      if (life !== undefined) {
        life.responses += 1;
        response.once('close', () => this.#onResponseEnd(life));
      }
    });
  }

  open(connection: Connection, announce: () => void, duplex: ConnectionDuplex): void {
    const life = { duplex, responses: 0, isEnding: false };
    this.#lives.set(duplex, life).set(connection, life);
    announce();
  }

  /** Ends a connection now, if nothing is under way on it; also one that has left HTTP by an upgrade. */
  end(connection: Connection): void {
    const life = this.#lives.get(connection);
    if (life === undefined || life.responses === 0) {
      connection.close();
    } else {
      life.isEnding = true;
    }
  }

  #onResponseEnd(life: Life): void {
    life.responses -= 1;
    if (life.isEnding && life.responses === 0) {
      life.duplex.destroySoon();
    }
  }
}

/** Whether requests come over the very streams that a server is given: with `https` they come over those of TLS. */
export function isPlainHttp(server: EventEmitter): boolean {
  const { closeIdleConnections, setSecureContext } = server as EventEmitter &
    Record<string, unknown>;
  return typeof closeIdleConnections === 'function' && setSecureContext === undefined;
}
