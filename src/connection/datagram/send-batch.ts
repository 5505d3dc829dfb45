/**
 * Where datagrams are gathered that go out in one call: copies of what the user gave, for one socket at a time. One for
 * each reactor.
 */

import type { DatagramScheme } from '../../base/datagram-address.js';
import type { Kernel } from '../../base/kernel.js';
import {
  CMSGHDR_SIZE,
  IN_PKTINFO_DESTINATION,
  IN_PKTINFO_INTERFACE,
  IN_PKTINFO_SIZE,
  IN_PKTINFO_SOURCE,
  IN6_PKTINFO_ADDRESS,
  IN6_PKTINFO_INTERFACE,
  IN6_PKTINFO_SIZE,
} from '../../base/layout.js';
import {
  AF_INET,
  AF_INET6,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_UDP,
  IPV6_PKTINFO,
  UDP_SEGMENT,
} from '../../base/linux.js';
import { findControl, putControl } from './control.js';
import { MessageTable } from './message-table.js';
import { type LocalAddress, PeerAddress } from './peer-address.js';

/** Messages of one call. */
export const SEND_BATCH = 64;
/** Room for their bytes: 64 of 4,096, or a few long ones. */
export const SEND_BATCH_BYTES = 262_144;
/** UDP_MAX_SEGMENTS of Linux before 6.9; later ones take 128. And what one IP packet could hold. */
export const SEGMENTS_MAX = 64;
export const SEGMENTED_BYTES_MAX = 65_507;
/** Payloads begin at multiples of 8, for memcpy's sake. */
const ALIGN = 7;

export class SendBatch {
  readonly table: MessageTable;
  count = 0;
  /** Bytes of payload gathered, and how many datagrams they will be. */
  byteLength = 0;
  datagrams = 0;
  /** The length of the datagrams of the last message, if one more can be joined to it; how many it has. */
  #joinable = 0;
  #joined = 0;
  readonly #kernel: Kernel;
  readonly #segments = new Int32Array(SEND_BATCH);
  readonly #hasControl = new Uint8Array(SEND_BATCH);
  #end: number;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.table = new MessageTable(kernel, SEND_BATCH, SEND_BATCH_BYTES);
    this.#end = this.table.payloadAt;
  }

  get isEmpty(): boolean {
    return this.count === 0;
  }

  fits(byteLength: number): boolean {
    return this.count < SEND_BATCH && this.#end + ALIGN + byteLength <= this.table.bytes.length;
  }

  /**
   * Gathers a datagram that fits. `peer` undefined: to whom the socket is connected. `mayJoin`: one that follows others
   * of its length to the same peer becomes a segment of theirs.
   */
  add(
    data: Uint8Array | string,
    byteLength: number,
    peer: PeerAddress | undefined,
    segmentBytes: number,
    mayJoin: boolean,
  ): void {
    const { table } = this;
    const joins = mayJoin && this.#canJoin(byteLength, peer);
    const at = joins ? this.#end : (this.#end + ALIGN) & ~ALIGN;
    if (typeof data === 'string') {
      table.bytes.write(data, at);
    } else {
      table.bytes.set(data, at);
    }
    this.#end = at + byteLength;
    this.byteLength += byteLength;
    this.datagrams += segmentBytes === 0 ? 1 : Math.ceil(byteLength / segmentBytes);
    if (joins) {
      this.#join(byteLength);
      return;
    }
    const i = this.count;
    this.count = i + 1;
    table.setPayload(i, at, byteLength);
    this.#putName(i, peer);
    const local = peer?.local;
    if (segmentBytes !== 0 || local !== undefined) {
      this.#putControl(i, segmentBytes, local);
    } else if (this.#hasControl[i] !== 0) {
      this.#hasControl[i] = 0;
      table.setControl(i, 0);
    }
    this.#segments[i] = segmentBytes;
    this.#joinable = mayJoin && segmentBytes === 0 && local === undefined ? byteLength : 0;
    this.#joined = 1;
  }

  /** Whether a datagram can be a segment of the last message. */
  #canJoin(byteLength: number, peer: PeerAddress | undefined): boolean {
    const segmentBytes = this.#joinable;
    if (
      byteLength === 0 ||
      byteLength > segmentBytes ||
      this.#joined === SEGMENTS_MAX ||
      (this.#joined + 1) * segmentBytes > SEGMENTED_BYTES_MAX ||
      peer?.local !== undefined
    ) {
      return false;
    }
    const { table } = this;
    const i = this.count - 1;
    const nameBytes = table.nameLength(i);
    if (peer === undefined || nameBytes !== peer.byteLength) {
      return peer === undefined && nameBytes === 0;
    }
    const { words } = peer;
    const from = peer.at >> 2;
    const to = table.nameAt(i) >> 2;
    for (let word = 0; word << 2 < nameBytes; word += 1) {
      if (table.words[to + word] !== words[from + word]) {
        return false;
      }
    }
    return true;
  }

  #join(byteLength: number): void {
    const { table } = this;
    const i = this.count - 1;
    if (this.#joined === 1) {
      this.#segments[i] = this.#joinable;
      this.#putControl(i, this.#joinable, undefined);
    }
    this.#joined += 1;
    table.setPayloadLength(i, table.payloadLength(i) + byteLength);
    // A shorter one can only be the last.
    this.#joinable = byteLength < this.#joinable ? 0 : this.#joinable;
  }

  #putName(i: number, peer: PeerAddress | undefined): void {
    const { table } = this;
    if (peer === undefined) {
      table.setName(i, 0);
      return;
    }
    const { words, byteLength } = peer;
    const from = peer.at >> 2;
    const to = table.nameAt(i) >> 2;
    for (let word = 0; word << 2 < byteLength; word += 1) {
      table.words[to + word] = words[from + word];
    }
    table.setName(i, byteLength);
  }

  #putControl(i: number, segmentBytes: number, local: LocalAddress | undefined): void {
    const { table } = this;
    const { words } = table;
    const start = table.controlAt(i);
    let at = start;
    if (segmentBytes !== 0) {
      words[(at + CMSGHDR_SIZE) >> 2] = segmentBytes;
      at = putControl(words, at, IPPROTO_UDP, UDP_SEGMENT, 2);
    }
    if (local !== undefined) {
      const data = at + CMSGHDR_SIZE;
      if (local.family === AF_INET) {
        // An interface, too, would overrule the routes: a reply may leave by another one than the request came by.
        words[(data + IN_PKTINFO_INTERFACE) >> 2] = 0;
        table.bytes.set(local.ip, data + IN_PKTINFO_SOURCE);
        words[(data + IN_PKTINFO_DESTINATION) >> 2] = 0;
        at = putControl(words, at, IPPROTO_IP, IP_PKTINFO, IN_PKTINFO_SIZE);
      } else {
        table.bytes.set(local.ip, data + IN6_PKTINFO_ADDRESS);
        // Link-local addresses mean nothing without their interface.
        const isLinkLocal = local.ip[0] === 0xfe && (local.ip[1] & 0xc0) === 0x80;
        words[(data + IN6_PKTINFO_INTERFACE) >> 2] = isLinkLocal ? local.interfaceIndex : 0;
        at = putControl(words, at, IPPROTO_IPV6, IPV6_PKTINFO, IN6_PKTINFO_SIZE);
      }
    }
    this.#hasControl[i] = 1;
    table.setControl(i, at - start);
  }

  /** Sends from message `first` on: how many, or -errno. */
  send(fd: number, first: number): number {
    return this.#kernel.datagrams.send(fd, this.table.region, first, this.count - first);
  }

  segmentBytes(i: number): number {
    return this.#segments[i];
  }

  /** How many datagrams message `i` is. */
  datagramsOf(i: number): number {
    const segmentBytes = this.#segments[i];
    return segmentBytes === 0 ? 1 : Math.ceil(this.table.payloadLength(i) / segmentBytes);
  }

  payloadLength(i: number): number {
    return this.table.payloadLength(i);
  }

  /** The bytes of message `i`, borrowed. */
  payload(i: number): Buffer {
    const at = this.table.payloadOffset(i);
    return this.table.bytes.subarray(at, at + this.table.payloadLength(i));
  }

  /** Where message `i` goes, as a copy; undefined: to whom the socket is connected. */
  peer(i: number, scheme: DatagramScheme): PeerAddress | undefined {
    const { table } = this;
    const byteLength = table.nameLength(i);
    if (byteLength === 0) {
      return undefined;
    }
    const at = table.nameAt(i);
    const peer = PeerAddress.of(scheme, table.bytes.subarray(at, at + byteLength));
    if (this.#hasControl[i] !== 0) {
      peer.local = localAddressIn(table, i);
    }
    return peer;
  }

  clear(): void {
    this.count = 0;
    this.byteLength = 0;
    this.datagrams = 0;
    this.#joinable = 0;
    this.#end = this.table.payloadAt;
  }

  release(): void {
    this.table.release();
  }
}

/** The local address among the ancillary data of message `i`, as a copy. */
export function localAddressIn(table: MessageTable, i: number): LocalAddress | undefined {
  const { words, bytes } = table;
  const at = table.controlAt(i);
  const length = table.controlLength(i);
  const four = findControl(words, at, length, IPPROTO_IP, IP_PKTINFO);
  if (four >= 0) {
    // What a datagram was sent to is in the second of the two addresses; who sends sets the first.
    const from =
      four +
      (words[(four + IN_PKTINFO_DESTINATION) >> 2] === 0
        ? IN_PKTINFO_SOURCE
        : IN_PKTINFO_DESTINATION);
    const ip = Uint8Array.from(bytes.subarray(from, from + 4));
    return { family: AF_INET, interfaceIndex: words[(four + IN_PKTINFO_INTERFACE) >> 2], ip };
  }
  const six = findControl(words, at, length, IPPROTO_IPV6, IPV6_PKTINFO);
  if (six < 0) {
    return undefined;
  }
  const ip = Uint8Array.from(bytes.subarray(six + IN6_PKTINFO_ADDRESS, six + 16));
  return { family: AF_INET6, interfaceIndex: words[(six + IN6_PKTINFO_INTERFACE) >> 2], ip };
}
