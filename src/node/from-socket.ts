/** The way from Node's connections to ours. */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { AdoptOptions, Connection, Reactor } from '../api.js';
import { adopt } from '../engine/adopt.js';
import { fromDuplex } from './from-duplex.js';

/**
 * The stream of an event of Node's, such as an HTTP server's `upgrade` with its `head`, becomes a connection. A
 * `net.Socket` is adopted; others, such as a TLS socket or a stream that `nodeHandler` gave to the server, go as with
 * `fromDuplex`. On `reactor`, if given, else on the calling thread's own.
 *
 * @throws As `adopt` and `fromDuplex`.
 */
export async function fromSocket(
  socket: Duplex,
  options: AdoptOptions & { reactor?: Reactor } = {},
): Promise<Connection> {
  if (socket instanceof Socket && !isEncrypted(socket)) {
    const { reactor, ...rest } = options;
    return reactor === undefined ? adopt(socket, rest) : reactor.adopt(socket, rest);
  }
  const { flushTimeoutMs: _onlyOfSockets, ...rest } = options;
  return fromDuplex(socket, rest);
}

/** A TLS socket is a `net.Socket`, too, whose descriptor has what nobody else can read. */
function isEncrypted(socket: Socket): boolean {
  return (socket as { encrypted?: boolean }).encrypted === true;
}
