/** The way from Node's connections to ours. */

import type { Socket } from 'node:net';

import type { AdoptOptions, Connection, Reactor } from '../api.js';
import { adopt } from '../engine/adopt.js';

/**
 * A `net.Socket` becomes a connection, at any time: `adopt` for Node's events, such as an HTTP server's `upgrade`, with
 * its `head`. On `reactor`, if given, else on the calling thread's own.
 *
 * @throws As `adopt`.
 */
export async function fromSocket(
  socket: Socket,
  options: AdoptOptions & { reactor?: Reactor } = {},
): Promise<Connection> {
  const { reactor, ...rest } = options;
  return reactor === undefined ? adopt(socket, rest) : reactor.adopt(socket, rest);
}
