/**
 * The simulated network: who is bound to which port, which listener a SYN reaches, and how long a segment takes. The
 * process and its peers live on it alike; only the process is confined to the loopback addresses.
 */

import { EADDRINUSE } from '../../src/base/errno.js';
import { AF_UNIX, SOCK_DGRAM, SOCK_STREAM } from '../../src/base/linux.js';
import type { Faults } from './faults.js';
import type { Random } from './random.js';
import type { WorldShape } from './shape.js';
import { type InternetAddress, isIpv4, isWildcard, WILDCARD6 } from './sim-address.js';
import type { SimFiles } from './sim-files.js';
import type { SimSocket } from './sim-socket.js';
import { TcpSocket } from './sim-tcp.js';
import type { Timeline } from './sim-timeline.js';
import { UdpPorts, UdpSocket } from './sim-udp.js';
import { UnixSocket } from './sim-unix.js';
import { UnixDatagramSocket } from './sim-unix-datagram.js';

/** Linux's default range of ports that it picks itself (ip_local_port_range). */
const PORT_FIRST = 32_768;
const PORT_LAST = 60_999;

export class SimNetwork {
  readonly timeline: Timeline;
  readonly files: SimFiles;
  readonly shape: WorldShape;
  readonly faults: Faults;
  readonly random: Random;
  /** Hosts whose SYNs nobody answers. */
  readonly blackholes = new Set<string>();
  readonly udpPorts: UdpPorts = new UdpPorts(this);
  readonly unixDatagrams = new Set<UnixDatagramSocket>();
  readonly #bound = new Map<number, Set<TcpSocket>>();
  readonly #listeners = new Map<number, TcpSocket[]>();

  constructor(
    timeline: Timeline,
    files: SimFiles,
    shape: WorldShape,
    faults: Faults,
    random: Random,
  ) {
    this.timeline = timeline;
    this.files = files;
    this.shape = shape;
    this.faults = faults;
    this.random = random;
  }

  /** A fresh socket that no descriptor names yet. */
  socket(domain: number, type = SOCK_STREAM): SimSocket {
    if (type === SOCK_DGRAM) {
      return domain === AF_UNIX ? new UnixDatagramSocket(this) : new UdpSocket(this, domain);
    }
    return domain === AF_UNIX ? new UnixSocket(this) : new TcpSocket(this, domain);
  }

  /** How long the next segment takes, in milliseconds. */
  latency(): number {
    const max = this.shape.latencyMaxMs;
    return max === 0 ? 0 : this.random.fraction() * max;
  }

  /** Gives `socket` the address, with a port of its own if that is 0: the port, or -EADDRINUSE. */
  claim(socket: TcpSocket, address: InternetAddress): number {
    const { host, port } = address;
    if (port !== 0) {
      if (this.isTaken(socket, host, port)) return -EADDRINUSE;
      this.enter(socket, port);
      return port;
    }
    const range = PORT_LAST - PORT_FIRST + 1;
    const start = this.random.below(range);
    for (let i = 0; i < range; i++) {
      const candidate = PORT_FIRST + ((start + i) % range);
      if (this.#bound.has(candidate)) continue;
      this.enter(socket, candidate);
      return candidate;
    }
    return -EADDRINUSE;
  }

  /** Notes a socket at a port without asking: an accepted connection shares its listener's. */
  enter(socket: TcpSocket, port: number): void {
    const sockets = this.#bound.get(port);
    if (sockets === undefined) this.#bound.set(port, new Set([socket]));
    else sockets.add(socket);
  }

  leave(socket: TcpSocket, port: number): void {
    const sockets = this.#bound.get(port);
    if (sockets === undefined || !sockets.delete(socket)) return;
    if (sockets.size === 0) this.#bound.delete(port);
  }

  /** Whether another socket forbids `socket` to have this address (inet_csk_get_port). */
  isTaken(socket: TcpSocket, host: string, port: number): boolean {
    const others = this.#bound.get(port);
    if (others === undefined) return false;
    for (const other of others) {
      if (other === socket || !overlaps(socket, host, other)) continue;
      if (socket.options.reusePort && other.options.reusePort) continue;
      const mayShare = socket.options.reuseAddress && other.options.reuseAddress;
      if (!mayShare || other.isListening) return true;
    }
    return false;
  }

  startListening(socket: TcpSocket, port: number): void {
    const listeners = this.#listeners.get(port);
    if (listeners === undefined) this.#listeners.set(port, [socket]);
    else listeners.push(socket);
  }

  stopListening(socket: TcpSocket, port: number): void {
    const listeners = this.#listeners.get(port);
    if (listeners === undefined) return;
    const at = listeners.indexOf(socket);
    if (at >= 0) listeners.splice(at, 1);
    if (listeners.length === 0) this.#listeners.delete(port);
  }

  /** The listener that a SYN to this address reaches: the most specific one, by chance among equals. */
  findListener(host: string, port: number): TcpSocket | undefined {
    const listeners = this.#listeners.get(port);
    if (listeners === undefined) return undefined;
    let best: TcpSocket[] = [];
    let bestScore = 0;
    for (const listener of listeners) {
      const score = scoreOf(listener, host);
      if (score === 0 || score < bestScore) continue;
      if (score > bestScore) best = [];
      bestScore = score;
      best.push(listener);
    }
    if (best.length <= 1) return best[0];
    return this.random.pick(best);
  }
}

/** 0: not reached. Linux prefers an exact address, then the family's own wildcard, then a dual-stack one. */
function scoreOf(listener: TcpSocket, host: string): number {
  const own = listener.local.host;
  if (own === host) return 3;
  if (!isWildcard(own)) return 0;
  if (isIpv4(own) === isIpv4(host)) return 2;
  return own === WILDCARD6 && isIpv4(host) && !listener.options.ipv6Only ? 1 : 0;
}

function overlaps(socket: TcpSocket, host: string, other: TcpSocket): boolean {
  const theirs = other.local.host;
  if (host === theirs) return true;
  if (isIpv4(host) === isIpv4(theirs)) return isWildcard(host) || isWildcard(theirs);
  if (host === WILDCARD6) return !socket.options.ipv6Only;
  return theirs === WILDCARD6 && !other.options.ipv6Only;
}
