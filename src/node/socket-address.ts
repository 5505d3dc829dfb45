/** Addresses of connections, which are URLs, as `net.Socket` has them. */

export interface SocketAddress {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

const TCP = /^tcp:\/\/(?:\[(.+)\]|([^[\]]+)):(\d+)$/;

/** Undefined for Unix sockets, which have none in Node either, and where the address is not known any more. */
export function socketAddressOf(url: string): SocketAddress | undefined {
  const match = TCP.exec(url);
  if (match === null) {
    return undefined;
  }
  const [, ipv6, ipv4, port] = match;
  return ipv6 === undefined
    ? { address: ipv4!, family: 'IPv4', port: Number(port) }
    : { address: ipv6, family: 'IPv6', port: Number(port) };
}
