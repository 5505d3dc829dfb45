/**
 * Datagrams that the kernel had no room for, in their order, bounded by number and bytes. Usually all wait for the same
 * thing, room in the socket. A Unix socket that is not connected waits for each peer by itself (`isPerPeer`): one that
 * does not read must not hold up the others, nor fill the queue.
 */

import type { PeerAddress } from './peer-address.js';

export interface QueuedDatagram {
  readonly bytes: Buffer;
  /** Undefined: to whom the socket is connected. */
  readonly peer: PeerAddress | undefined;
  readonly segmentBytes: number;
  /** When it was queued, in milliseconds of the reactor's clock. */
  readonly since: number;
  /** Of the peer; empty unless `isPerPeer`. */
  readonly key: string;
}

/** The part of the queue that one peer may have. */
const PEER_SHARE = 8;

export class Backlog {
  readonly isPerPeer: boolean;
  readonly countMax: number;
  readonly bytesMax: number;
  byteLength = 0;
  #items: QueuedDatagram[] = [];
  /** By peer, how many wait. */
  readonly #waiting = new Map<string, number>();

  constructor(isPerPeer: boolean, countMax: number, bytesMax: number) {
    this.isPerPeer = isPerPeer;
    this.countMax = countMax;
    this.bytesMax = bytesMax;
  }

  get count(): number {
    return this.#items.length;
  }

  /** Whether a datagram to this peer has to wait behind others. */
  holds(peer: PeerAddress | undefined): boolean {
    if (this.#items.length === 0) {
      return false;
    }
    return !this.isPerPeer || this.#waiting.has(this.keyOf(peer));
  }

  hasRoom(byteLength: number, peer: PeerAddress | undefined): boolean {
    if (this.#items.length >= this.countMax || this.byteLength + byteLength > this.bytesMax) {
      return false;
    }
    const share = Math.max(1, Math.floor(this.countMax / PEER_SHARE));
    return !this.isPerPeer || (this.#waiting.get(this.keyOf(peer)) ?? 0) < share;
  }

  keyOf(peer: PeerAddress | undefined): string {
    return this.isPerPeer && peer !== undefined ? String(peer.key(0, 0)) : '';
  }

  push(item: QueuedDatagram): void {
    this.#items.push(item);
    this.#count(item, 1);
  }

  /** Takes the oldest out: of that peer, where each waits by itself. Undefined when there is none. */
  dropOldest(peer: PeerAddress | undefined): QueuedDatagram | undefined {
    const key = this.keyOf(peer);
    const at = this.isPerPeer ? this.#items.findIndex((item) => item.key === key) : 0;
    const [item] = at < 0 ? [] : this.#items.splice(at, 1);
    if (item !== undefined) {
      this.#count(item, -1);
    }
    return item;
  }

  /** Takes all out. */
  takeAll(): QueuedDatagram[] {
    const items = this.#items;
    this.#items = [];
    this.#waiting.clear();
    this.byteLength = 0;
    return items;
  }

  /** Puts back what was taken, before what has come meanwhile. */
  restore(items: QueuedDatagram[]): void {
    for (const item of items) {
      this.#count(item, 1);
    }
    this.#items = this.#items.length === 0 ? items : items.concat(this.#items);
  }

  #count(item: QueuedDatagram, sign: 1 | -1): void {
    this.byteLength += sign * item.bytes.length;
    if (this.isPerPeer) {
      const n = (this.#waiting.get(item.key) ?? 0) + sign;
      if (n > 0) {
        this.#waiting.set(item.key, n);
      } else {
        this.#waiting.delete(item.key);
      }
    }
  }
}
