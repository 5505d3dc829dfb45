/**
 * Where datagrams come from and go to: a socket address as the kernel has it, which becomes text only when somebody
 * asks. The one that hooks are given points into the memory of the batch that is being delivered.
 */

import { type DatagramScheme, datagramUrl } from '../../base/datagram-address.js';
import { formatIpv4, formatIpv6 } from '../../base/ip-address.js';
import {
  SOCKADDR_IN_ADDRESS,
  SOCKADDR_IN_PORT,
  SOCKADDR_IN6_ADDRESS,
  SOCKADDR_IN6_SCOPE,
} from '../../base/layout.js';
import { AF_INET, AF_INET6 } from '../../base/linux.js';
import type { DatagramPeer } from '../../datagrams.js';

/** A local address as IP_PKTINFO and IPV6_PKTINFO have it: the interface's index, and the IP address. */
export interface LocalAddress {
  readonly family: number;
  readonly interfaceIndex: number;
  readonly ip: Uint8Array;
}

const NOTHING = Buffer.alloc(0);
const NO_WORDS = new Int32Array(0);

export class PeerAddress implements DatagramPeer {
  readonly scheme: DatagramScheme;
  /** The memory that the address lies in, at a multiple of 4 from its start; `words` is all of it as words. */
  bytes: Buffer;
  words: Int32Array;
  at = 0;
  byteLength = 0;
  local: LocalAddress | undefined = undefined;
  #text: string | undefined = undefined;

  constructor(scheme: DatagramScheme, bytes: Buffer = NOTHING, words: Int32Array = NO_WORDS) {
    this.scheme = scheme;
    this.bytes = bytes;
    this.words = words;
  }

  /** One that has its own memory. */
  static of(scheme: DatagramScheme, sockaddr: Uint8Array): PeerAddress {
    const memory = new ArrayBuffer((sockaddr.length + 3) & ~3);
    const peer = new PeerAddress(scheme, Buffer.from(memory), new Int32Array(memory));
    peer.bytes.set(sockaddr);
    peer.byteLength = sockaddr.length;
    return peer;
  }

  /** Names another sender from now on. */
  point(at: number, byteLength: number): void {
    this.at = at;
    this.byteLength = byteLength;
    this.#text = undefined;
  }

  get family(): number {
    return this.byteLength < 2 ? 0 : this.bytes[this.at];
  }

  get address(): string {
    this.#text ??= datagramUrl(this.sockaddr, this.byteLength, this.scheme);
    return this.#text;
  }

  get host(): string {
    const { scheme } = this;
    const match = scheme === 'udp' ? /^udp:\/\/\[?(.*?)\]?:\d+$/.exec(this.address) : null;
    return match?.[1] ?? '';
  }

  get port(): number {
    const { family, bytes, at } = this;
    return family === AF_INET || family === AF_INET6
      ? bytes.readUInt16BE(at + SOCKADDR_IN_PORT)
      : 0;
  }

  get localHost(): string {
    const { local } = this;
    if (local === undefined) {
      return '';
    }
    return local.family === AF_INET ? formatIpv4(local.ip) : formatIpv6(local.ip);
  }

  /** The bytes, where they are now. */
  get sockaddr(): Buffer {
    return this.bytes.subarray(this.at, this.at + this.byteLength);
  }

  keep(): PeerAddress {
    const kept = PeerAddress.of(this.scheme, this.sockaddr);
    const { local } = this;
    kept.local = local === undefined ? undefined : { ...local, ip: Uint8Array.from(local.ip) };
    return kept;
  }

  toString(): string {
    return this.address;
  }

  /**
   * What tells peers apart, as cheaply as may be: a number for IPv4, and text for others. `seed`s keep who chooses an
   * address from choosing the place in a hash table.
   */
  key(lowSeed: number, highSeed: number): number | string {
    const word = this.at >> 2;
    if (this.family === AF_INET) {
      const low = (this.words[word + SOCKADDR_IN_ADDRESS / 4] ^ lowSeed) >>> 0;
      return ((this.words[word] >>> 16) ^ highSeed) * 0x1_0000_0000 + low;
    }
    if (this.family === AF_INET6) {
      // Without the flow label, which a peer may change.
      const { bytes, at } = this;
      const port = bytes.toString('latin1', at + SOCKADDR_IN6_PORT, at + SOCKADDR_IN6_PORT + 2);
      return (
        port + bytes.toString('latin1', at + SOCKADDR_IN6_ADDRESS, at + SOCKADDR_IN6_SCOPE + 4)
      );
    }
    return this.bytes.toString('latin1', this.at, this.at + this.byteLength);
  }
}

const SOCKADDR_IN6_PORT = SOCKADDR_IN_PORT;
