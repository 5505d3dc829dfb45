/** Peers that a program names: a URL with a numeric host, or the peer of another socket. */

import { encodeSockaddr, familyOf, parseAddress } from '../../base/address.js';
import {
  type DatagramScheme,
  parseDatagramAddress,
  placeOf,
  schemeOf,
} from '../../base/datagram-address.js';
import { AF_INET, AF_INET6 } from '../../base/linux.js';
import type { DatagramPeer } from '../../datagrams.js';
import { PeerAddress } from './peer-address.js';

/** Throws TypeError for what a socket of that family cannot send to. */
export function resolvePeer(
  to: DatagramPeer | string,
  family: number,
  scheme: DatagramScheme,
): PeerAddress {
  if (typeof to !== 'string' && !(to instanceof PeerAddress)) {
    throw new TypeError(
      `Cannot send to ${String(to)}: expected a peer or a URL such as udp://127.0.0.1:53`,
    );
  }
  const url = typeof to === 'string' ? to : to.address;
  const address = parseDatagramAddress(url);
  let place = placeOf(address);
  if ('version' in place && place.version === 4 && family === AF_INET6) {
    // A socket of both families sends to an IPv4 address in this form.
    place = parseAddress(`tcp6://[::ffff:${place.host}]:${place.port}`) as typeof place;
  }
  if (schemeOf(address) !== scheme || familyOf(place) !== family) {
    const own = family === AF_INET ? 'IPv4' : family === AF_INET6 ? 'IPv6' : scheme;
    throw new TypeError(`Cannot send to ${url}: the socket is one of ${own}`);
  }
  return PeerAddress.of(scheme, encodeSockaddr(place));
}
