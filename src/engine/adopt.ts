/** `adopt` without a server: connections of the calling thread, on its shared reactor. */

import type { Socket } from 'node:net';

import type { AdoptOptions, Connection } from '../api.js';
import { sharedReactor } from './shared-reactor.js';

/**
 * Makes a connected stream socket (TCP or Unix) a connection of the calling thread: a descriptor, or a `net.Socket` at
 * any time of its life. From then on it belongs to the connection: the number that was given is closed, or the
 * `net.Socket` destroyed, without the peer noticing. If this fails, nothing was taken.
 *
 * Of a `net.Socket`, what was written before is sent first, and what Node has read and nobody took is delivered first.
 * A direction that has ended stays ended. The socket's options stay as they are, but for those that `options` names:
 * TCP_NODELAY, too, is set only then.
 *
 * @throws TypeError for what is no connected stream socket, such as a `tls.TLSSocket`, which has no descriptor of its
 *   own; SystemError with `fd://<number>` as address: EBADF, ENOTSOCK, ENOTCONN, ETIMEDOUT (`flushTimeoutMs`), EMFILE;
 *   MillraceError ERR_CLOSED for a socket that is closed, ERR_PLATFORM; the signal's reason.
 */
export async function adopt(
  source: number | Socket,
  options: AdoptOptions = {},
): Promise<Connection> {
  return sharedReactor().adopt(source, options);
}
