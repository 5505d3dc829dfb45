/**
 * Making datagram sockets from addresses: options, bind, connect, the file of a Unix socket. Control plane: it throws,
 * and then leaves nothing open.
 */

import { encodeSockaddr } from '../../base/address.js';
import {
  type DatagramAddress,
  datagramAddressUrl,
  placeOf,
  schemeOf,
} from '../../base/datagram-address.js';
import { EINPROGRESS } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import {
  AF_INET,
  AF_UNIX,
  IPPROTO_UDP,
  SO_REUSEPORT,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOL_SOCKET,
  UDP_SEGMENT,
} from '../../base/linux.js';
import { SystemError } from '../../errors.js';
import { bindSocket, nameOf } from '../listen-socket.js';
import { encodeInteger, INT_BYTES } from '../option-values.js';
import type { DatagramEndpoint, EndpointParts } from './endpoint.js';
import type { DatagramHub } from './hub.js';
import { PeerAddress } from './peer-address.js';
import type { DatagramProfile } from './profile.js';
import { compileDatagramOptions } from './socket-options.js';

export interface DatagramPlace {
  /** Resolved: hosts are numeric. At least one of the two. */
  readonly bind: DatagramAddress | undefined;
  readonly connect: DatagramAddress | undefined;
}

/** Several sockets of one address. `first`: nobody else may have it, before it is shared. */
export type Sharing = 'none' | 'first' | 'member';

/** A bound, or connected, socket. */
export function openSocket(
  kernel: Kernel,
  place: DatagramPlace,
  profile: DatagramProfile,
  sharing: Sharing = 'none',
): EndpointParts {
  const address = (place.bind ?? place.connect)!;
  const sockaddr = encodeSockaddr(placeOf(address));
  const family = sockaddr[0];
  const scheme = schemeOf(address);
  const url = datagramAddressUrl(address);
  const type = scheme === 'seqpacket' ? SOCK_SEQPACKET : SOCK_DGRAM;
  const fd = kernel.socket(family, type, 0);
  expect('socket', fd, url);
  const path = place.bind !== undefined && 'path' in place.bind ? place.bind.path : undefined;
  let isBound = false;
  try {
    const hasErrorQueue = family !== AF_UNIX && profile.onDatagramError !== undefined;
    const { options } = profile;
    const isIpv6Only = options.ipv6Only ?? address.kind === 'udp6';
    const list = compileDatagramOptions(options, family, isIpv6Only, hasErrorQueue);
    for (const { level, name, value } of list) {
      expect('setsockopt', kernel.setSocketOption(fd, level, name, value), url);
    }
    const reusesPort = options.reusePort === true || sharing === 'member';
    share(kernel, fd, family, reusesPort, url);
    if (place.bind !== undefined) {
      bindSocket(kernel, fd, sockaddr, path, url, type);
      isBound = true;
      if (path !== undefined && options.mode !== undefined) {
        expect('chmod', kernel.changeMode(path, options.mode), url);
      }
    }
    share(kernel, fd, family, sharing === 'first' && !reusesPort, url);
    const remote =
      place.connect === undefined ? undefined : connect(kernel, fd, place.connect, family);
    const canSegment = family !== AF_UNIX && hasOption(kernel, fd, IPPROTO_UDP, UDP_SEGMENT);
    const isSession = scheme === 'seqpacket' && remote !== undefined && profile.hasSessions;
    return { fd, family, scheme, profile, remote, path, hasErrorQueue, canSegment, isSession };
  } catch (error) {
    kernel.close(fd);
    if (isBound && path !== undefined) {
      kernel.unlink(path);
    }
    throw error;
  }
}

/** SO_REUSEPORT. Set after the bind, it lets others in where the bind itself had to be alone. */
function share(kernel: Kernel, fd: number, family: number, isOn: boolean, url: string): void {
  if (isOn && family !== AF_UNIX) {
    const n = kernel.setSocketOption(fd, SOL_SOCKET, SO_REUSEPORT, encodeInteger(1));
    expect('setsockopt', n, url);
  }
}

function connect(
  kernel: Kernel,
  fd: number,
  address: DatagramAddress,
  family: number,
): PeerAddress {
  let place = placeOf(address);
  const url = datagramAddressUrl(address);
  if ('version' in place && place.version === 4 && family !== AF_INET) {
    place = { ...place, kind: 'tcp6', version: 6, host: `::ffff:${place.host}` };
  }
  const sockaddr = encodeSockaddr(place);
  if (sockaddr[0] !== family) {
    throw new TypeError(
      `Cannot connect to ${url}: the socket is bound to an address of another family`,
    );
  }
  const n = kernel.connect(fd, sockaddr);
  if (n !== -EINPROGRESS) {
    expect('connect', n, url);
  }
  return PeerAddress.of(schemeOf(address), sockaddr);
}

function hasOption(kernel: Kernel, fd: number, level: number, name: number): boolean {
  return kernel.getSocketOption(fd, level, name, new Uint8Array(INT_BYTES)) >= 0;
}

/** Opens a socket on a reactor, joins its groups, and announces it. */
export function openEndpoint(
  hub: DatagramHub,
  parts: EndpointParts,
  context?: unknown,
): DatagramEndpoint {
  const { kernel } = hub.state;
  let endpoint: DatagramEndpoint;
  try {
    endpoint = hub.open({ ...parts, context });
  } catch (error) {
    kernel.close(parts.fd);
    throw error;
  }
  try {
    for (const group of parts.profile.groups) {
      endpoint.joinGroup(group);
    }
    const { session } = endpoint;
    if (session !== undefined && !hub.enroll(session)) {
      throw new RangeError('Cannot open a session: all timers are in use');
    }
  } catch (error) {
    endpoint.end('error');
    throw error;
  }
  endpoint.announce();
  return endpoint;
}

/** An accepted seqpacket connection: a session with a socket of its own. False if there may be no more. */
export function acceptConnection(hub: DatagramHub, fd: number, profile: DatagramProfile): boolean {
  const { kernel } = hub.state;
  if (hub.connectionCount >= profile.sessionsMax) {
    return false;
  }
  for (const { level, name, value } of compileDatagramOptions(
    profile.options,
    AF_UNIX,
    false,
    false,
  )) {
    kernel.setSocketOption(fd, level, name, value);
  }
  let endpoint: DatagramEndpoint;
  try {
    endpoint = hub.open({
      fd,
      family: AF_UNIX,
      scheme: 'seqpacket',
      profile,
      remote: peerOf(kernel, fd),
      path: undefined,
      hasErrorQueue: false,
      canSegment: false,
      isSession: true,
    });
  } catch {
    return false;
  }
  if (!hub.enroll(endpoint.session!)) {
    endpoint.end('error');
    return true;
  }
  endpoint.announce();
  return true;
}

function peerOf(kernel: Kernel, fd: number): PeerAddress {
  const name = new Uint8Array(128);
  const n = kernel.getPeerName(fd, name);
  return PeerAddress.of('seqpacket', name.subarray(0, Math.max(2, n)));
}

/** The address that a socket has, as a URL with its real port. */
export function addressOf(kernel: Kernel, { fd, scheme }: EndpointParts): string {
  return nameOf(kernel, fd).replace(/^(?:tcp|unix)/, scheme);
}

function expect(syscall: string, n: number, url: string): void {
  if (n < 0) {
    throw new SystemError(syscall, -n, url);
  }
}
