/**
 * The addresses of a connection's own socket and of its peer, as URLs: asked of the kernel when first wanted, then
 * remembered with the connection object, so that they are still known in onClose if they were asked for before.
 */

import { decodeSockaddr } from '../base/address.js';
import type { SocketConnection } from './connection.js';
import { DESTROYED } from './connection-table.js';

const SOCKADDR_BYTES_MAX = 128;
const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
const localAddresses = new WeakMap<SocketConnection, string>();
const remoteAddresses = new WeakMap<SocketConnection, string>();

/** Empty when the connection closed before anybody asked. */
export function localAddressOf(connection: SocketConnection): string {
  return lookUp(connection, localAddresses, true);
}

export function remoteAddressOf(connection: SocketConnection): string {
  return lookUp(connection, remoteAddresses, false);
}

function lookUp(
  connection: SocketConnection,
  known: WeakMap<SocketConnection, string>,
  isLocal: boolean,
): string {
  const remembered = known.get(connection);
  if (remembered !== undefined) {
    return remembered;
  }
  const { owner, slot } = connection;
  if (slot < 0 || (owner.table.flags[slot] & DESTROYED) !== 0) {
    return '';
  }
  const { driver } = owner;
  const n = isLocal ? driver.localAddress(slot, sockaddr) : driver.peerAddress(slot, sockaddr);
  if (n < 0) {
    return '';
  }
  const address = decodeSockaddr(sockaddr, n);
  known.set(connection, address);
  return address;
}
