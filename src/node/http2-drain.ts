/**
 * How connections of an `http2` server end when the server of millrace that gives them closes: each with a GOAWAY, and
 * when the streams that are under way on it are done (RFC 9113 6.8). Node's own `close` does that only for a server
 * that listens.
 */

import type { EventEmitter } from 'node:events';

import type { Connection } from '../api.js';

/** The part of `ServerHttp2Session` that is needed. */
interface Session {
  close(): void;
}

export class Http2Drain {
  readonly #sessions = new WeakMap<Connection, Session>();
  /** The connection that is being announced: its session is made meanwhile. */
  #opening: Connection | undefined;

  constructor(server: EventEmitter) {
    server.prependListener('session', (session: Session) => {
      if (this.#opening !== undefined) {
        this.#sessions.set(this.#opening, session);
      }
    });
  }

  open(connection: Connection, announce: () => void): void {
    this.#opening = connection;
    try {
      announce();
    } finally {
      this.#opening = undefined;
    }
  }

  end(connection: Connection): void {
    const session = this.#sessions.get(connection);
    if (session === undefined) {
      connection.close();
    } else {
      session.close();
    }
  }
}

/** Whether sessions run on the very streams that a server is given: with `createSecureServer` they run on TLS. */
export function isPlainHttp2(server: EventEmitter): boolean {
  const { updateSettings, setSecureContext } = server as EventEmitter & Record<string, unknown>;
  return typeof updateSettings === 'function' && setSecureContext === undefined;
}
