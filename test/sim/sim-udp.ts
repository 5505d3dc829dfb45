/**
 * UDP as in net/ipv4/udp.c: ports of its own, delivery to the most specific socket, port-unreachable answers that
 * become errors, and a network that may lose, repeat and delay what it carries.
 */

import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  ECONNREFUSED,
  EDESTADDRREQ,
  EINVAL,
  EMSGSIZE,
  ENOTCONN,
} from '../../src/base/errno.js';
import { AF_INET, AF_INET6 } from '../../src/base/linux.js';
import {
  destination,
  formatInternet,
  type InternetAddress,
  isIpv4,
  isLocal,
  isWildcard,
  parseInternet,
  sourceFor,
  WILDCARD4,
  WILDCARD6,
  writeInternet,
} from './sim-address.js';
import { SimDatagramSocket } from './sim-datagram-socket.js';
import type { SimNetwork } from './sim-network.js';

const BYTES_MAX_IPV4 = 65_507;
const BYTES_MAX_IPV6 = 65_527;
const PORT_FIRST = 32_768;
const PORT_LAST = 60_999;

interface Packet {
  readonly bytes: Uint8Array;
  readonly from: InternetAddress;
  readonly to: InternetAddress;
  readonly sender: UdpSocket;
}

/** Who is bound to which UDP port. */
export class UdpPorts {
  readonly network: SimNetwork;
  /** Datagrams that found a full receive buffer. */
  lost = 0;
  readonly #bound = new Map<number, Set<UdpSocket>>();

  constructor(network: SimNetwork) {
    this.network = network;
  }

  /** Gives `socket` the address, with a port of its own if that is 0: the port, or -EADDRINUSE. */
  claim(socket: UdpSocket, { host, port }: InternetAddress): number {
    if (port !== 0) {
      if (this.#isTaken(socket, host, port)) return -EADDRINUSE;
      this.#enter(socket, port);
      return port;
    }
    const range = PORT_LAST - PORT_FIRST + 1;
    const start = this.network.random.below(range);
    for (let i = 0; i < range; i++) {
      const candidate = PORT_FIRST + ((start + i) % range);
      if (this.#bound.has(candidate)) continue;
      this.#enter(socket, candidate);
      return candidate;
    }
    return -EADDRINUSE;
  }

  leave(socket: UdpSocket, port: number): void {
    const sockets = this.#bound.get(port);
    if (sockets?.delete(socket) === true && sockets.size === 0) this.#bound.delete(port);
  }

  /** Puts a datagram on its way. */
  carry(packet: Packet): void {
    const { faults } = this.network;
    if (faults.hit('datagramLost')) return;
    this.#schedule(packet);
    if (faults.hit('datagramTwice')) this.#schedule(packet);
  }

  #schedule(packet: Packet): void {
    const delay = this.network.latency();
    if (delay === 0) this.#arrive(packet);
    else this.network.timeline.schedule(delay, { deliver: () => this.#arrive(packet) }, 0);
  }

  #arrive(packet: Packet): void {
    const receiver = this.#find(packet);
    if (receiver === undefined) {
      packet.sender.unreachable(packet.to, packet.bytes);
      return;
    }
    const from = new Uint8Array(28);
    const n = writeInternet(receiver.domain, packet.from, from);
    if (!receiver.push({ bytes: packet.bytes, from: from.slice(0, n) })) this.lost += 1;
  }

  /** The most specific socket; among equals (SO_REUSEPORT) always the same for the same pair of addresses. */
  #find({ from, to }: Packet): UdpSocket | undefined {
    let best: UdpSocket[] = [];
    let bestScore = 0;
    for (const socket of this.#bound.get(to.port) ?? []) {
      const score = socket.scoreFor(from, to);
      if (score === 0 || score < bestScore) continue;
      if (score > bestScore) best = [];
      bestScore = score;
      best.push(socket);
    }
    return best[(from.port * 31 + to.port) % Math.max(1, best.length)];
  }

  #enter(socket: UdpSocket, port: number): void {
    const sockets = this.#bound.get(port);
    if (sockets === undefined) this.#bound.set(port, new Set([socket]));
    else sockets.add(socket);
  }

  #isTaken(socket: UdpSocket, host: string, port: number): boolean {
    for (const other of this.#bound.get(port) ?? []) {
      if (other === socket || !overlaps(socket, host, other)) continue;
      const { options } = socket;
      if (options.reusePort && other.options.reusePort) continue;
      if (options.reuseAddress && other.options.reuseAddress) continue;
      return true;
    }
    return false;
  }
}

function overlaps(socket: UdpSocket, host: string, other: UdpSocket): boolean {
  const theirs = other.local.host;
  if (host === theirs) return true;
  if (isIpv4(host) === isIpv4(theirs)) return isWildcard(host) || isWildcard(theirs);
  if (host === WILDCARD6) return !socket.options.ipv6Only;
  return theirs === WILDCARD6 && !other.options.ipv6Only;
}

export class UdpSocket extends SimDatagramSocket {
  local: InternetAddress;
  #peer: InternetAddress | undefined;
  readonly #ports: UdpPorts;

  constructor(network: SimNetwork, domain: number) {
    super(network, domain, network.shape.receiveBuffer);
    this.#ports = network.udpPorts;
    this.local = { host: domain === AF_INET ? WILDCARD4 : WILDCARD6, port: 0 };
  }

  override get isConnected(): boolean {
    return this.#peer !== undefined;
  }

  override get url(): string {
    return formatInternet(this.local).replace(/^tcp/, 'udp');
  }

  /** 0: the datagram is not for this socket. */
  scoreFor(from: InternetAddress, to: InternetAddress): number {
    const peer = this.#peer;
    if (peer !== undefined && (peer.host !== from.host || peer.port !== from.port)) return 0;
    const { host } = this.local;
    const base = peer === undefined ? 0 : 4;
    if (host === to.host) return base + 3;
    if (!isWildcard(host)) return 0;
    if (isIpv4(host) === isIpv4(to.host)) return base + 2;
    return host === WILDCARD6 && isIpv4(to.host) && !this.options.ipv6Only ? base + 1 : 0;
  }

  override bind(sockaddr: Uint8Array): number {
    const address = parseInternet(this.domain, sockaddr);
    if (typeof address === 'number') return address;
    if (this.local.port !== 0) return -EINVAL;
    if (this.isConfined && !isLocal(address.host)) return -EADDRNOTAVAIL;
    const port = this.#ports.claim(this, address);
    if (port < 0) return port;
    this.local = { host: address.host, port };
    return 0;
  }

  override connect(sockaddr: Uint8Array): number {
    const address = parseInternet(this.domain, sockaddr);
    if (typeof address === 'number') return address;
    const host = destination(address.host);
    const bound = this.#bindAnywhere();
    if (bound < 0) return bound;
    // Connecting fixes the local address, too.
    if (isWildcard(this.local.host)) this.local = { ...this.local, host: sourceFor(host) };
    this.#peer = { host, port: address.port };
    return 0;
  }

  #bindAnywhere(): number {
    if (this.local.port !== 0) return 0;
    const port = this.#ports.claim(this, this.local);
    if (port >= 0) this.local = { ...this.local, port };
    return port;
  }

  override sendMessage(bytes: Uint8Array, to: Uint8Array | undefined): number {
    // First of all, whatever comes of it (inet_send_prepare).
    const bound = this.#bindAnywhere();
    if (bound < 0) return bound;
    const named = to === undefined ? this.#peer : parseInternet(this.domain, to);
    if (named === undefined) return -EDESTADDRREQ;
    if (typeof named === 'number') return named;
    if (named.port === 0) return -EINVAL;
    const isSix = this.domain === AF_INET6 && !isIpv4(named.host);
    if (bytes.length > (isSix ? BYTES_MAX_IPV6 : BYTES_MAX_IPV4)) return -EMSGSIZE;
    if (this.error !== 0) return -this.takeError();
    const host = destination(named.host);
    const source = isWildcard(this.local.host) ? sourceFor(host) : this.local.host;
    this.#ports.carry({
      bytes: Uint8Array.from(bytes),
      from: { host: source, port: this.local.port },
      to: { host, port: named.port },
      sender: this,
    });
    return bytes.length;
  }

  /** Nobody is at the port that something was sent to. */
  unreachable(to: InternetAddress, bytes: Uint8Array): void {
    if (this.options.wantsErrors(this.domain)) {
      const address = new Uint8Array(28);
      const n = writeInternet(this.domain, to, address);
      const destinationBytes = address.slice(0, n);
      const offender = address.slice(0, n);
      // The one who complains has no port.
      offender.fill(0, 2, 4);
      this.errorQueue.push({
        errno: ECONNREFUSED,
        bytes,
        destination: destinationBytes,
        offender,
      });
    } else if (this.#peer === undefined) {
      return;
    }
    this.error = ECONNREFUSED;
    this.notify();
  }

  override shutdown(how: number): number {
    if (how < 0 || how > 2) return -EINVAL;
    if (this.#peer === undefined) return -ENOTCONN;
    this.shutdownMask |= how + 1;
    this.notify();
    return 0;
  }

  override localName(target: Uint8Array): number {
    return writeInternet(this.domain, this.local, target);
  }

  override peerName(target: Uint8Array): number {
    return this.#peer === undefined ? -ENOTCONN : writeInternet(this.domain, this.#peer, target);
  }

  override closed(): void {
    if (this.local.port !== 0) this.#ports.leave(this, this.local.port);
    this.queue.length = 0;
  }
}
