/**
 * What UDP and Unix datagram sockets of the simulated network have in common: a queue of datagrams with their senders,
 * an error queue, and a count of what was lost for want of room. Numbers returned are n >= 0 or -errno.
 */

import { EAGAIN, EOPNOTSUPP } from '../../src/base/errno.js';
import { EPOLLERR, EPOLLIN, EPOLLOUT, SOCK_DGRAM } from '../../src/base/linux.js';
import type { SimNetwork } from './sim-network.js';
import { RECEIVE_SHUT, SimSocket } from './sim-socket.js';

export interface Datagram {
  readonly bytes: Uint8Array;
  /** The sender's socket address; empty for an unnamed one. */
  readonly from: Uint8Array;
}

/** What the error queue holds: a datagram that did not arrive. */
export interface QueuedError {
  readonly errno: number;
  readonly bytes: Uint8Array;
  readonly destination: Uint8Array;
  /** Who says so; its address. */
  readonly offender: Uint8Array;
}

/** What Linux charges a socket for each datagram beside its bytes, roughly. */
const OVERHEAD_BYTES = 768;

export abstract class SimDatagramSocket extends SimSocket {
  override readonly kind = 'datagram';
  readonly type = SOCK_DGRAM;
  readonly queue: Datagram[] = [];
  readonly errorQueue: QueuedError[] = [];
  /** Datagrams that found no room (SO_RXQ_OVFL). */
  lost = 0;
  #queuedBytes = 0;

  constructor(network: SimNetwork, domain: number, buffer: number) {
    super(network, domain, buffer, buffer);
  }

  /** Sends one datagram to a socket address, or to the peer. */
  abstract sendMessage(bytes: Uint8Array, to: Uint8Array | undefined): number;

  /** A datagram arrives. False if there is no room. */
  push(datagram: Datagram): boolean {
    const charged = datagram.bytes.length + OVERHEAD_BYTES;
    // One is always taken, however small the buffer (__udp_enqueue_schedule_skb).
    if (this.queue.length > 0 && this.#queuedBytes + charged > this.options.receiveBuffer * 2) {
      this.lost += 1;
      return false;
    }
    this.#queuedBytes += charged;
    this.queue.push(datagram);
    this.notify();
    return true;
  }

  /** The next datagram, or -errno. */
  take(): Datagram | number {
    if (this.error !== 0) return -this.takeError();
    const datagram = this.queue.shift();
    if (datagram === undefined) return -EAGAIN;
    this.#queuedBytes -= datagram.bytes.length + OVERHEAD_BYTES;
    return datagram;
  }

  /** The next of the error queue; the pending error goes with the last. */
  takeQueuedError(): QueuedError | number {
    const error = this.errorQueue.shift();
    if (error === undefined) return -EAGAIN;
    this.error = this.errorQueue[0]?.errno ?? 0;
    return error;
  }

  override poll(): number {
    let mask = this.error === 0 && this.errorQueue.length === 0 ? 0 : EPOLLERR;
    if (this.queue.length > 0 || (this.shutdownMask & RECEIVE_SHUT) !== 0) mask |= EPOLLIN;
    return mask | EPOLLOUT;
  }

  override get isListening(): boolean {
    return false;
  }

  override get backlogLength(): number {
    return 0;
  }

  override get hasInput(): boolean {
    return this.queue.length > 0;
  }

  override listen(): number {
    return -EOPNOTSUPP;
  }

  override accept(): number {
    return -EOPNOTSUPP;
  }

  override receive(target: Uint8Array): number {
    const datagram = this.take();
    if (typeof datagram === 'number') return datagram;
    const n = Math.min(target.length, datagram.bytes.length);
    target.set(datagram.bytes.subarray(0, n));
    return n;
  }

  override send(source: Uint8Array): number {
    return this.sendMessage(source, undefined);
  }

  override abort(): void {
    this.closed();
  }
}
