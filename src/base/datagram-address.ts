/**
 * Addresses of sockets that carry datagrams, as URLs: `udp://`, `udp4://`, `udp6://`, `unixgram://path` and
 * `seqpacket://path`, the last two with `-abstract` for names without a file. The rules are those of address-url.ts.
 *
 * The kernel's socket addresses are those of the stream sockets: `placeOf` gives the address to encode, and the URL of
 * one that the kernel filled in has its scheme replaced (`datagramUrl`).
 */

import {
  type AbstractAddress,
  type Address,
  checkUnixName,
  decodeSockaddr,
  formatAddress,
  type HostAndPort,
  parseAddress,
  parseHostAndPort,
  type TcpAddress,
  type UnixAddress,
} from './address.js';

export interface UdpAddress extends HostAndPort {
  /** `udp4` and `udp6` restrict what a name resolves to. */
  readonly kind: 'udp' | 'udp4' | 'udp6';
}

export interface UnixDatagramAddress {
  readonly kind: 'unixgram' | 'seqpacket';
  readonly path: string;
}

export interface AbstractDatagramAddress {
  readonly kind: 'unixgram-abstract' | 'seqpacket-abstract';
  readonly name: string;
}

export type DatagramAddress = UdpAddress | UnixDatagramAddress | AbstractDatagramAddress;

/** What `serve` can listen on. */
export type ListenAddress = Address | DatagramAddress;

/** What begins the URLs of a socket's peers. */
export type DatagramScheme = 'udp' | 'unixgram' | 'seqpacket';

const SCHEME = /^(udp[46]?|(?:unixgram|seqpacket)(?:-abstract)?):\/\//i;

/** An address of either sort. Throws as `parseAddress` does. */
export function parseListenAddress(url: string): ListenAddress {
  return typeof url === 'string' && SCHEME.test(url)
    ? parseDatagramAddress(url)
    : parseAddress(url);
}

/** Throws TypeError or RangeError, with the URL and what is wrong in the message. */
export function parseDatagramAddress(url: string): DatagramAddress {
  const scheme = typeof url === 'string' ? SCHEME.exec(url)?.[1]?.toLowerCase() : undefined;
  if (scheme === undefined) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(url)} as the address of a datagram socket: expected udp://host:port, ` +
        'unixgram://path or seqpacket://path',
    );
  }
  const rest = url.slice(scheme.length + '://'.length);
  switch (scheme) {
    case 'unixgram':
    case 'seqpacket':
      checkUnixName(url, rest, 'path', scheme);
      return { kind: scheme, path: rest };
    case 'unixgram-abstract':
    case 'seqpacket-abstract':
      checkUnixName(url, rest, 'name', schemeOf({ kind: scheme, name: '' }));
      return { kind: scheme, name: rest };
    default: {
      const kind = scheme as UdpAddress['kind'];
      return { kind, ...parseHostAndPort(url, kind, rest) };
    }
  }
}

export function isDatagramAddress(address: ListenAddress): address is DatagramAddress {
  return /^(?:udp|unixgram|seqpacket)/.test(address.kind);
}

export function isUdp(address: ListenAddress): address is UdpAddress {
  return address.kind.startsWith('udp');
}

export function schemeOf({ kind }: DatagramAddress): DatagramScheme {
  return kind.startsWith('udp') ? 'udp' : kind.startsWith('unixgram') ? 'unixgram' : 'seqpacket';
}

/** The stream address with the same socket address. */
export function placeOf(address: UdpAddress): TcpAddress;
export function placeOf(address: DatagramAddress): TcpAddress | UnixAddress | AbstractAddress;
export function placeOf(address: DatagramAddress): TcpAddress | UnixAddress | AbstractAddress {
  if ('path' in address) {
    return { kind: 'unix', path: address.path };
  }
  if ('name' in address) {
    return { kind: 'unix-abstract', name: address.name };
  }
  return { ...address, kind: `tcp${address.kind.slice(3)}` as TcpAddress['kind'] };
}

/** A UDP address whose name was resolved: the one that was asked for, at a numeric host. */
export function withPlace(asked: UdpAddress, place: TcpAddress): UdpAddress {
  return { ...place, kind: asked.kind };
}

/** The URL of a socket address as the kernel filled it; see `decodeSockaddr`. */
export function datagramUrl(bytes: Uint8Array, length: number, scheme: DatagramScheme): string {
  return decodeSockaddr(bytes, length).replace(/^(?:tcp|unix)/, scheme);
}

/** The URL of an address, such that `parseDatagramAddress` gives the same one back. */
export function datagramAddressUrl(address: DatagramAddress): string {
  return formatAddress(placeOf(address)).replace(/^[a-z0-9]+(?:-abstract)?/, address.kind);
}
