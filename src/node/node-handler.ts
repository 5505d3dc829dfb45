/** Servers of Node on our connections: each is announced by their own `connection` event. */

import type { EventEmitter } from 'node:events';

import type { Connection, Handler } from '../api.js';
import { type ConnectionDuplex, type DuplexOptions, toDuplex } from './connection-duplex.js';
import { HttpDrain, isPlainHttp } from './http-drain.js';
import { Http2Drain, isPlainHttp2 } from './http2-drain.js';

/** How connections of a server of Node end when ours closes. */
interface Drain {
  /** `announce` gives the connection's stream to the server. */
  open(connection: Connection, announce: () => void, duplex: ConnectionDuplex): void;
  end(connection: Connection): void;
}

/**
 * A handler that gives its connections to a server of Node that does not listen itself: `http`, `https`, `http2`,
 * `tls` or plain `net`, and what stands on one, such as Express or `ws`. With `millrace/tls` around it, an `http`
 * server serves HTTPS.
 *
 * `serve` it as any handler, and close the server that `serve` gives: connections of an `http` server end when the
 * responses that are under way are done, those of an `http2` server with GOAWAY and when their streams are done, those
 * of others (with TLS of Node's own, too) in good order at once. Node's own has nothing to close.
 *
 * @throws TypeError for what emits no events.
 */
export function nodeHandler(server: EventEmitter, options: DuplexOptions = {}): Handler {
  if (typeof server?.emit !== 'function' || typeof server.listeners !== 'function') {
    throw new TypeError(
      `Expected a server of Node, got ${server === null ? 'null' : typeof server}`,
    );
  }
  const duplexOptions = { allowHalfOpen: allowHalfOpenOf(server), ...options };
  const drain = drainOf(server);
  return {
    onBoot(): void {
      startConnectionChecks(server);
    },
    onOpen(connection): void {
      const duplex = toDuplex(connection, duplexOptions);
      duplex.server = server;
      const announce = (): void => void server.emit('connection', duplex);
      if (drain === undefined) {
        announce();
      } else {
        drain.open(connection, announce, duplex);
      }
    },
    ...(drain === undefined
      ? {}
      : { onServerClose: (connection: Connection): void => drain.end(connection) }),
  };
}

function drainOf(server: EventEmitter): Drain | undefined {
  if (isPlainHttp(server)) {
    return new HttpDrain(server);
  }
  return isPlainHttp2(server) ? new Http2Drain(server) : undefined;
}

/** A server's own setting, which it gives to its sockets: http.Server has true. */
function allowHalfOpenOf(server: EventEmitter): boolean {
  return (server as EventEmitter & { allowHalfOpen?: boolean }).allowHalfOpen === true;
}

/**
 * An http.Server starts to look for connections beyond `headersTimeout` and `requestTimeout` when it is told that it
 * listens. Only this listener is called: others might ask for an address, which it does not have.
 */
function startConnectionChecks(server: EventEmitter): void {
  for (const listener of server.listeners('listening')) {
    if (listener.name === 'setupConnectionsTracking') {
      listener.call(server);
    }
  }
}
