/**
 * TCP sockets as in net/ipv4/af_inet.c: addresses, listening, the handshake, shutdown and close; the data are in
 * sim-tcp-stream.ts. The handshake has two deliveries: the SYN, after which the client is connected, and the ACK, after
 * which the connection can be accepted.
 */

import {
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EINVAL,
  EISCONN,
  ENETUNREACH,
  ENOTCONN,
  ETIMEDOUT,
} from '../../src/base/errno.js';
import { AF_INET } from '../../src/base/linux.js';
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
import type { SimNetwork } from './sim-network.js';
import { BOTH_SHUT, RECEIVE_SHUT, SEND_SHUT } from './sim-socket.js';
import { SEGMENT, TcpStream } from './sim-tcp-stream.js';

/** Deliveries beside SEGMENT. */
const SYN = 1;
const ACK = 2;

/** Linux repeats a SYN after 1, 2, 4, ... seconds and gives up after net.ipv4.tcp_syn_retries repetitions. */
const SYN_RETRY_MS = 1000;
const SYN_RETRIES = 6;

export class TcpSocket extends TcpStream {
  local: InternetAddress;
  #remote: InternetAddress | undefined;
  #isBound = false;
  /** What becomes of this socket's SYN. Set by faults. */
  fate: 'answered' | 'refused' | 'lost' = 'answered';
  #synRepeats = 0;
  /** `connect` has told the outcome of the attempt. */
  #isOutcomeKnown = false;
  #isDisconnecting = false;
  /** Of a listener: what can be accepted, and how many are still in the handshake. */
  #queue: TcpSocket[] = [];
  #handshakes = 0;
  #backlog = 0;
  /** Of a connection in its handshake: the listener that made it. */
  #listener: TcpSocket | undefined;

  constructor(network: SimNetwork, domain: number) {
    super(network, domain, network.shape.sendBuffer, network.shape.receiveBuffer);
    this.local = { host: domain === AF_INET ? WILDCARD4 : WILDCARD6, port: 0 };
  }

  override get backlogLength(): number {
    return this.#queue.length;
  }

  override get url(): string {
    return formatInternet(this.local);
  }

  /** The peer's address as a URL, while there is one. */
  get remoteUrl(): string | undefined {
    return this.#remote === undefined ? undefined : formatInternet(this.#remote);
  }

  /** Never used for a connection or an attempt. */
  get isFresh(): boolean {
    return this.state === 'fresh';
  }

  override bind(sockaddr: Uint8Array): number {
    const address = parseInternet(this.domain, sockaddr);
    if (typeof address === 'number') return address;
    if (this.#isBound || this.state !== 'fresh') return -EINVAL;
    if (this.isConfined && !isLocal(address.host)) return -EADDRNOTAVAIL;
    return this.claim(address);
  }

  override listen(backlog: number): number {
    if (this.state === 'listening') {
      this.#backlog = Math.max(0, backlog);
      return 0;
    }
    if (this.state !== 'fresh' || this.#isDisconnecting) return -EINVAL;
    if (!this.#isBound) {
      const result = this.claim(this.local);
      if (result < 0) return result;
    }
    // SO_REUSEADDR lets several bind; only one of them may listen.
    if (this.network.isTaken(this, this.local.host, this.local.port)) return -EADDRINUSE;
    this.state = 'listening';
    this.#backlog = Math.max(0, backlog);
    this.network.startListening(this, this.local.port);
    this.notify();
    return 0;
  }

  override accept(): TcpSocket | number {
    if (this.state !== 'listening') return -EINVAL;
    return this.#queue.shift() ?? -EAGAIN;
  }

  override connect(sockaddr: Uint8Array): number {
    const address = parseInternet(this.domain, sockaddr);
    if (typeof address === 'number') return address;
    const refusal = this.refuseConnect();
    if (refusal !== undefined) return refusal;
    const host = destination(address.host);
    if (isIpv4(host) && this.domain !== AF_INET && this.options.ipv6Only) return -ENETUNREACH;
    if (!this.#isBound) {
      const result = this.claim({ host: sourceFor(host), port: 0 });
      if (result < 0) return -EADDRNOTAVAIL;
    } else if (isWildcard(this.local.host)) {
      this.local = { host: sourceFor(host), port: this.local.port };
    }
    this.#remote = { host, port: address.port };
    this.state = 'connecting';
    this.#isOutcomeKnown = false;
    this.#synRepeats = 0;
    this.network.timeline.schedule(this.network.latency(), this, SYN);
    return -EINPROGRESS;
  }

  /** Makes the handshake of a connecting socket at once, if the SYN would be answered: whether it is connected. */
  hurry(): boolean {
    const { host, port } = this.#remote!;
    const listener = this.network.findListener(host, port);
    if (listener === undefined || listener.isFull || this.fate !== 'answered') return false;
    this.arriveSyn();
    this.#isOutcomeKnown = this.isConnected;
    return this.isConnected;
  }

  override shutdown(how: number): number {
    if (how < 0 || how > 2) return -EINVAL;
    const mask = how + 1;
    if (this.state === 'listening') {
      if ((mask & RECEIVE_SHUT) !== 0) this.stopListening();
      return 0;
    }
    if (this.state === 'connecting') {
      this.state = 'fresh';
      this.error = ECONNRESET;
      this.notify();
      return 0;
    }
    this.shutdownMask |= mask;
    if (this.state === 'connected') {
      if ((mask & SEND_SHUT) !== 0) this.queueFin();
      this.notify();
      return 0;
    }
    if (this.state === 'dead' && !this.#isOutcomeKnown) this.#isDisconnecting = true;
    this.notify();
    return -ENOTCONN;
  }

  override localName(target: Uint8Array): number {
    return writeInternet(this.domain, this.local, target);
  }

  override peerName(target: Uint8Array): number {
    if (this.state !== 'connected' || this.#remote === undefined) return -ENOTCONN;
    return writeInternet(this.domain, this.#remote, target);
  }

  override abort(): void {
    this.options.lingerSeconds = 0;
    this.closed();
  }

  override closed(): void {
    if (this.isOrphan) return;
    this.isOrphan = true;
    if (this.state === 'listening') this.stopListening();
    if (this.state === 'connected') {
      const isReset = this.received.length > 0 || this.options.lingerSeconds === 0;
      this.received.clear();
      this.shutdownMask = BOTH_SHUT;
      if (isReset) this.sendReset();
      else this.queueFin();
    }
    // A connection that still has to end keeps its port until then.
    if (!this.isConnected) this.retire();
  }

  override deliver(kind: number): void {
    if (kind === SEGMENT) this.arriveSegment();
    else if (kind === SYN) this.arriveSyn();
    else this.completeHandshake();
  }

  /** The ACK arrives at a listener's new connection. */
  protected override completeHandshake(): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#listener = undefined;
    listener.#handshakes--;
    if (!this.isConnected || !listener.isListening) {
      this.abort();
      return;
    }
    listener.#queue.push(this);
    listener.notify();
  }

  protected override retire(): void {
    this.state = 'dead';
    if (this.#isBound) this.network.leave(this, this.local.port);
    this.#isBound = false;
  }

  /** What `connect` answers without an attempt; undefined when there is to be one. */
  private refuseConnect(): number | undefined {
    if (this.#isDisconnecting) return -EINVAL;
    if (this.state === 'listening') return -EISCONN;
    if (this.state === 'connecting') return -EALREADY;
    if (this.state === 'fresh') return undefined;
    if (this.#isOutcomeKnown) return -EISCONN;
    if (this.state === 'connected') {
      // The first call after the handshake tells its outcome.
      this.#isOutcomeKnown = true;
      return 0;
    }
    const error = this.takeError();
    this.state = 'fresh';
    this.shutdownMask = 0;
    return error === 0 ? -ECONNABORTED : -error;
  }

  private claim(address: InternetAddress): number {
    const before = this.local;
    this.local = address;
    const port = this.network.claim(this, address);
    if (port < 0) {
      this.local = before;
      return port;
    }
    this.local = { host: address.host, port };
    this.#isBound = true;
    return 0;
  }

  private arriveSyn(): void {
    if (this.state !== 'connecting') return;
    const { host, port } = this.#remote!;
    const { faults, blackholes, timeline } = this.network;
    const isLost = this.fate === 'lost' && faults.rates.connectLost > 0;
    const listener = this.network.findListener(host, port);
    if (isLost || blackholes.has(host) || listener?.isFull === true) {
      if (this.#synRepeats > SYN_RETRIES) this.failConnect(ETIMEDOUT);
      else timeline.schedule(SYN_RETRY_MS * 2 ** this.#synRepeats++, this, SYN);
      return;
    }
    if (listener === undefined || this.fate === 'refused') {
      this.failConnect(ECONNREFUSED);
      return;
    }
    const child = listener.answer(this);
    this.peer = child;
    this.state = 'connected';
    this.notify();
    timeline.schedule(this.network.latency(), child, ACK);
  }

  /** A full backlog drops the SYN (tcp_conn_request). Linux lets one more in than the backlog says. */
  private get isFull(): boolean {
    return this.#queue.length + this.#handshakes > this.#backlog;
  }

  /** The listener's end of a new connection. */
  private answer(client: TcpSocket): TcpSocket {
    const child = new TcpSocket(this.network, this.domain);
    child.options.inherit(this.options);
    child.local = client.#remote!;
    child.#remote = client.local;
    child.state = 'connected';
    child.#isBound = true;
    child.#isOutcomeKnown = true;
    child.#listener = this;
    child.peer = client;
    this.network.enter(child, child.local.port);
    this.#handshakes++;
    return child;
  }

  private failConnect(errno: number): void {
    this.state = 'dead';
    this.shutdownMask = BOTH_SHUT;
    this.error = errno;
    this.notify();
  }

  private stopListening(): void {
    this.state = 'fresh';
    this.network.stopListening(this, this.local.port);
    for (const child of this.#queue.splice(0)) child.abort();
    this.notify();
  }
}
