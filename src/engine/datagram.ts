/** `datagram`: sockets of the calling thread, for clients and small tools. They share a reactor with `dial`. */

import {
  type DatagramAddress,
  isUdp,
  parseDatagramAddress,
  placeOf,
  withPlace,
} from '../base/datagram-address.js';
import { hubOf } from '../connection/datagram/hub.js';
import { openEndpoint, openSocket } from '../connection/datagram/open-socket.js';
import { DatagramProfile } from '../connection/datagram/profile.js';
import { resolve } from '../connection/resolve.js';
import type { DatagramSocket, DatagramSocketOptions } from '../datagrams.js';
import { sharedReactor } from './shared-reactor.js';

const ANY = 'udp://0.0.0.0:0';

/**
 * Opens a datagram socket: bound to `bind`, connected to `connect`, or both. It keeps the process alive until it is
 * closed.
 *
 * @throws TypeError, RangeError for options that make no sense; SystemError when the system refuses, such as
 *   EADDRINUSE; MillraceError when a name cannot be resolved; the signal's reason.
 */
export async function datagram(options: DatagramSocketOptions = {}): Promise<DatagramSocket> {
  const { bind, connect, handler = {}, context, signal, ...socketOptions } = options;
  const profile = new DatagramProfile(handler, socketOptions);
  const reactor = sharedReactor();
  const release = reactor.keepAlive.hold();
  try {
    const peer = connect === undefined ? undefined : await resolveOne(connect, signal);
    const own = bind ?? (peer === undefined ? ANY : undefined);
    const place = {
      bind: own === undefined ? undefined : await resolveOne(own, signal),
      connect: peer,
    };
    const hub = hubOf(reactor.state);
    const parts = openSocket(reactor.options.kernel, place, profile);
    const endpoint = openEndpoint(hub, parts, context);
    if (signal !== undefined) {
      const onAbort = () => endpoint.close();
      signal.addEventListener('abort', onAbort, { once: true });
      endpoint.onEnd = () => signal.removeEventListener('abort', onAbort);
    }
    return endpoint;
  } finally {
    release();
    reactor.keepAlive.sync();
  }
}

async function resolveOne(url: string, signal: AbortSignal | undefined): Promise<DatagramAddress> {
  signal?.throwIfAborted();
  const address = parseDatagramAddress(url);
  if (!isUdp(address)) {
    return address;
  }
  const [place] = await resolve(placeOf(address), signal);
  return withPlace(address, place);
}
