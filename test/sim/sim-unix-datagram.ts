/**
 * Unix datagram sockets as in net/unix/af_unix.c. Nothing is lost: a sender is told that the other's queue is full
 * (net.unix.max_dgram_qlen), and whoever is not connected is not told when it no longer is.
 */

import {
  EAGAIN,
  ECONNREFUSED,
  EINVAL,
  EMSGSIZE,
  ENOTCONN,
  EPROTOTYPE,
} from '../../src/base/errno.js';
import { AF_UNIX, EPOLLOUT } from '../../src/base/linux.js';
import { formatUnix, parseUnix, writeUnix } from './sim-address.js';
import { type Datagram, SimDatagramSocket } from './sim-datagram-socket.js';
import type { SimNetwork } from './sim-network.js';

/** net.unix.max_dgram_qlen: so many may wait, and one more. */
const QUEUE_MAX = 10;
const NAME_BYTES = 110;

export class UnixDatagramSocket extends SimDatagramSocket {
  #name = '';
  #peer: UnixDatagramSocket | undefined;
  #isClosed = false;

  constructor(network: SimNetwork) {
    super(network, AF_UNIX, network.shape.unixBuffer);
    network.unixDatagrams.add(this);
  }

  override get isConnected(): boolean {
    return this.#peer !== undefined;
  }

  override get url(): string {
    return formatUnix(this.#name).replace(/^unix/, 'unixgram');
  }

  get isFull(): boolean {
    return this.queue.length > QUEUE_MAX;
  }

  override poll(): number {
    const mask = super.poll();
    return this.#peer?.isFull === true ? mask & ~EPOLLOUT : mask;
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

  override connect(sockaddr: Uint8Array): number {
    const peer = this.#find(sockaddr);
    if (typeof peer === 'number') return peer;
    this.#peer = peer;
    return 0;
  }

  #find(sockaddr: Uint8Array): UnixDatagramSocket | number {
    const name = parseUnix(sockaddr);
    if (typeof name === 'number') return name;
    const socket = name === '' ? -ECONNREFUSED : this.network.files.find(name, this.kind);
    if (typeof socket === 'number') return socket;
    return socket instanceof UnixDatagramSocket ? socket : -EPROTOTYPE;
  }

  override sendMessage(bytes: Uint8Array, to: Uint8Array | undefined): number {
    if (bytes.length > this.options.sendBuffer * 2 - 32) return -EMSGSIZE;
    const peer = to === undefined ? this.#peer : this.#find(to);
    if (peer === undefined) return -ENOTCONN;
    if (typeof peer === 'number') return peer;
    if (peer.#isClosed) {
      if (to === undefined) this.#peer = undefined;
      return -ECONNREFUSED;
    }
    if (peer.isFull) return -EAGAIN;
    const from = new Uint8Array(NAME_BYTES);
    const n = this.#name === '' ? 0 : writeUnix(this.#name, from);
    peer.queue.push({ bytes: Uint8Array.from(bytes), from: from.slice(0, n) });
    peer.notify();
    return bytes.length;
  }

  override take(): Datagram | number {
    if (this.error !== 0) return -this.takeError();
    const datagram = this.queue.shift();
    if (datagram === undefined) return -EAGAIN;
    for (const sender of this.network.unixDatagrams) sender.onRoom(this);
    return datagram;
  }

  /** Someone has read: its senders may go on. */
  onRoom(reader: UnixDatagramSocket): void {
    if (this.#peer === reader) this.notify();
  }

  override shutdown(how: number): number {
    if (how < 0 || how > 2) return -EINVAL;
    this.shutdownMask |= how + 1;
    this.notify();
    return 0;
  }

  override localName(target: Uint8Array): number {
    return writeUnix(this.#name, target);
  }

  override peerName(target: Uint8Array): number {
    return this.#peer === undefined ? -ENOTCONN : writeUnix(this.#peer.#name, target);
  }

  override closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.network.files.forget(this.#name, this);
    this.queue.length = 0;
    this.network.unixDatagrams.delete(this);
  }
}
