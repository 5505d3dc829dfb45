/** What a server listens on for datagrams, in whichever thread: sockets of a reactor, and seqpacket listeners. */

import { type DatagramAddress, placeOf, schemeOf } from '../base/datagram-address.js';
import type { Kernel } from '../base/kernel.js';
import { SOCK_SEQPACKET } from '../base/linux.js';
import { hubOf } from '../connection/datagram/hub.js';
import {
  acceptConnection,
  addressOf,
  openEndpoint,
  openSocket,
  type Sharing,
} from '../connection/datagram/open-socket.js';
import { DatagramProfile } from '../connection/datagram/profile.js';
import { create, type ListenSocket } from '../connection/listen-socket.js';
import { Profile } from '../connection/profile.js';
import type { Reactor } from '../connection/reactor.js';
import type { DatagramOptions } from '../datagrams.js';

/** What stands in place of a family for a seqpacket connection that is handed to another thread. */
export const SEQPACKET = 0x100;

const LISTENER = new Profile({}, {});

function profileOf(reactor: Reactor): DatagramProfile {
  const { handler, datagram = {} } = reactor.options;
  return hubOf(reactor.state).profileOf(handler, datagram);
}

/** Opens a datagram socket, or a seqpacket listener, on a reactor of this thread. Returns its URL, with the port. */
export function listenForDatagrams(
  reactor: Reactor,
  address: DatagramAddress,
  sharing: Sharing = 'none',
): string {
  const { kernel } = reactor.options;
  const profile = profileOf(reactor);
  if (schemeOf(address) === 'seqpacket') {
    const socket = listenForPackets(kernel, address, profile.options);
    reactor.addListener(socket, LISTENER, (fd) => takePackets(reactor, fd));
    return socket.url;
  }
  const parts = openSocket(kernel, { bind: address, connect: undefined }, profile, sharing);
  const url = addressOf(kernel, parts);
  openEndpoint(hubOf(reactor.state), parts);
  return url;
}

/**
 * Binds a socket that nobody else has, and lets the reactors' sockets in beside it: what it would receive is lost,
 * until it is closed.
 */
export function holdPort(
  kernel: Kernel,
  address: DatagramAddress,
  options: DatagramOptions,
): { fd: number; url: string } {
  const profile = new DatagramProfile({}, options);
  const parts = openSocket(kernel, { bind: address, connect: undefined }, profile, 'first');
  return { fd: parts.fd, url: addressOf(kernel, parts) };
}

/** A listening seqpacket socket. */
export function listenForPackets(
  kernel: Kernel,
  address: DatagramAddress,
  { mode }: DatagramOptions,
): ListenSocket {
  const options = mode === undefined ? {} : { mode };
  const socket = create(kernel, placeOf(address), options, SOCK_SEQPACKET);
  return { ...socket, family: SEQPACKET, url: socket.url.replace(/^unix/, 'seqpacket') };
}

/** Takes an accepted seqpacket connection; false if there is no room: the descriptor is the caller's. */
export function takePackets(reactor: Reactor, fd: number): boolean {
  return !reactor.draining.isOn && acceptConnection(hubOf(reactor.state), fd, profileOf(reactor));
}
