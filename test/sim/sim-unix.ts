/**
 * Unix stream sockets as in net/unix/af_unix.c. Nothing is in flight: what is sent lies in the peer's queue at once,
 * and counts against the sender's buffer until the peer reads it.
 */

import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  ENOTCONN,
  EPIPE,
  EPROTOTYPE,
} from '../../src/base/errno.js';
import {
  AF_UNIX,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from '../../src/base/linux.js';
import { ByteQueue } from './byte-queue.js';
import { formatUnix, parseUnix, writeUnix } from './sim-address.js';
import type { SimNetwork } from './sim-network.js';
import { BOTH_SHUT, RECEIVE_SHUT, SEND_SHUT, SimSocket } from './sim-socket.js';

type UnixState = 'fresh' | 'listening' | 'connected';

export class UnixSocket extends SimSocket {
  override readonly kind = 'unix';
  #state: UnixState = 'fresh';
  #name = '';
  #peer: UnixSocket | undefined;
  /** The peer's name is known even after it is gone. */
  #peerName = '';
  #isClosed = false;
  readonly #received = new ByteQueue();
  #queue: UnixSocket[] = [];
  #backlog = 0;

  constructor(network: SimNetwork) {
    super(network, AF_UNIX, network.shape.unixBuffer, network.shape.unixBuffer);
  }

  override get isListening(): boolean {
    return this.#state === 'listening';
  }

  override get isConnected(): boolean {
    return this.#state === 'connected';
  }

  override get backlogLength(): number {
    return this.#queue.length;
  }

  override get hasInput(): boolean {
    return this.#received.length > 0;
  }

  override get url(): string {
    return formatUnix(this.#name);
  }

  override poll(): number {
    let mask = this.error === 0 ? 0 : EPOLLERR;
    if (this.shutdownMask === BOTH_SHUT) mask |= EPOLLHUP;
    if ((this.shutdownMask & RECEIVE_SHUT) !== 0) mask |= EPOLLIN | EPOLLRDHUP;
    if (this.#received.length > 0 || this.#queue.length > 0) mask |= EPOLLIN;
    if (this.#state === 'fresh') mask |= EPOLLHUP;
    if (this.#state !== 'listening' && this.outstanding * 4 <= this.options.sendBuffer) {
      mask |= EPOLLOUT;
    }
    return mask;
  }

  override bind(sockaddr: Uint8Array): number {
    const name = parseUnix(sockaddr);
    if (typeof name === 'number') return name;
    if (this.#name !== '') return -EINVAL;
    const wanted = name === '' ? this.network.files.freeName() : name;
    const result = this.network.files.bind(wanted, this);
    if (result === 0) this.#name = wanted;
    return result;
  }

  override listen(backlog: number): number {
    if (this.#name === '' || this.#state === 'connected') return -EINVAL;
    this.#state = 'listening';
    this.#backlog = Math.max(0, backlog);
    return 0;
  }

  override accept(): UnixSocket | number {
    if (this.#state !== 'listening') return -EINVAL;
    const child = this.#queue.shift();
    if (child !== undefined) return child;
    return (this.shutdownMask & RECEIVE_SHUT) !== 0 ? -EINVAL : -EAGAIN;
  }

  override connect(sockaddr: Uint8Array): number {
    const name = parseUnix(sockaddr);
    if (typeof name === 'number') return name;
    const listener = name === '' ? -ECONNREFUSED : this.network.files.find(name, this.kind);
    if (typeof listener === 'number') return listener;
    if (!(listener instanceof UnixSocket)) return -EPROTOTYPE;
    if (!listener.isListening || (listener.shutdownMask & RECEIVE_SHUT) !== 0) {
      return -ECONNREFUSED;
    }
    // Linux lets one more in than the backlog says (unix_recvq_full).
    if (listener.#queue.length > listener.#backlog) return -EAGAIN;
    if (this.#state === 'connected') return -EISCONN;
    if (this.#state === 'listening') return -EINVAL;
    const child = new UnixSocket(this.network);
    child.options.inherit(listener.options);
    child.#name = listener.#name;
    child.#peerName = this.#name;
    this.#peerName = listener.#name;
    child.#peer = this;
    this.#peer = child;
    child.#state = 'connected';
    this.#state = 'connected';
    listener.#queue.push(child);
    listener.notify();
    this.notify();
    return 0;
  }

  override receive(target: Uint8Array): number {
    if (this.#state !== 'connected') return -EINVAL;
    if (this.#received.length > 0) {
      const n = this.#received.shift(target, 0, target.length);
      this.#peer?.notify();
      return n;
    }
    if (this.error !== 0) return -this.takeError();
    return (this.shutdownMask & RECEIVE_SHUT) !== 0 ? 0 : -EAGAIN;
  }

  override send(source: Uint8Array): number {
    const peer = this.#peer;
    if (this.#state !== 'connected' || peer === undefined) return -ENOTCONN;
    if ((this.shutdownMask & SEND_SHUT) !== 0) return -EPIPE;
    if (source.length === 0) return 0;
    if (peer.#isClosed || (peer.shutdownMask & RECEIVE_SHUT) !== 0) return -EPIPE;
    const room = this.options.sendBuffer - this.outstanding;
    if (room <= 0) return -EAGAIN;
    const n = Math.min(room, source.length);
    peer.#received.push(source, 0, n);
    peer.notify();
    return n;
  }

  override shutdown(how: number): number {
    if (how < 0 || how > 2) return -EINVAL;
    const mask = how + 1;
    // Who waits for this end is not woken, as unix_shutdown does it.
    this.shutdownMask |= mask;
    const peer = this.#peer;
    if (this.#state !== 'connected' || peer === undefined) return 0;
    if ((mask & RECEIVE_SHUT) !== 0) peer.shutdownMask |= SEND_SHUT;
    if ((mask & SEND_SHUT) !== 0) peer.shutdownMask |= RECEIVE_SHUT;
    peer.notify();
    return 0;
  }

  override localName(target: Uint8Array): number {
    return writeUnix(this.#name, target);
  }

  override peerName(target: Uint8Array): number {
    return this.#state === 'connected' ? writeUnix(this.#peerName, target) : -ENOTCONN;
  }

  override abort(): void {
    this.closed();
  }

  override closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.network.files.forget(this.#name, this);
    for (const child of this.#queue.splice(0)) {
      child.#isClosed = true;
      child.hangUp(true);
    }
    this.hangUp(this.#received.length > 0);
    this.#received.clear();
  }

  /** Bytes sent that the peer has not read. */
  private get outstanding(): number {
    return this.#peer === undefined ? 0 : this.#peer.#received.length;
  }

  /** Tells the peer that this end is gone; `isReset` if bytes, or the whole connection, were never looked at. */
  private hangUp(isReset: boolean): void {
    const peer = this.#peer;
    if (peer === undefined) return;
    peer.shutdownMask = BOTH_SHUT;
    if (isReset) peer.error = ECONNRESET;
    peer.notify();
  }
}
