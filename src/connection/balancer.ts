/**
 * Which reactor gets a new connection. The main reactor asks once for each connection that it accepted; what it knows
 * of the others is what it passes in: how many connections each has, and whether it takes more.
 *
 * - `connections(i)` has to include those that were handed over and not yet seen there: the reactor's own counter is
 *   late by as much as its mailbox holds, and a burst of new connections would all go to the same one.
 * - A reactor that is not available is never picked. With the two hashes the next one in turn gets its connections, and
 *   everyone else keeps theirs; once it is back, so are new connections of its sources.
 * - Nothing is allocated for a pick.
 */

import type { Balance } from '../api.js';
import { AF_INET, AF_INET6 } from '../base/linux.js';

export interface BalancerOptions {
  /** How many reactors there are. */
  readonly count: number;
  /** Connections of a reactor, those on their way to it included. */
  readonly connections: (index: number) => number;
  /** Whether a reactor takes connections now. */
  readonly isAvailable: (index: number) => boolean;
  /** A random unsigned 32-bit integer. */
  readonly random: () => number;
}

export interface Balancer {
  /**
   * The index of the reactor for a new connection, or -1 when none is available. `sourceHash` is any 32-bit integer
   * that is the same for all connections of a source (see `hashAddress`); only `source-hash` looks at it, and only
   * `descriptor-hash` at `fd`.
   */
  pick(fd: number, sourceHash: number): number;
}

export function createBalancer(kind: Balance, options: BalancerOptions): Balancer {
  if (!Number.isInteger(options.count) || options.count < 1) {
    throw new RangeError(`A balancer needs at least 1 reactor, not ${options.count}`);
  }
  switch (kind) {
    case 'round-robin':
      return new RoundRobin(options);
    case 'least-connections':
      return new LeastConnections(options);
    case 'source-hash':
      return new SourceHash(options);
    case 'descriptor-hash':
      return new DescriptorHash(options);
    case 'random':
      return new RandomChoice(options);
    case 'power-of-two':
      return new PowerOfTwo(options);
    default:
      throw new TypeError(`There is no balance ${String(kind)}`);
  }
}

class RoundRobin implements Balancer {
  readonly #options: BalancerOptions;
  #next = 0;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  pick(): number {
    const index = firstAvailable(this.#options, this.#next);
    this.#next = index < 0 ? this.#next : (index + 1) % this.#options.count;
    return index;
  }
}

class LeastConnections implements Balancer {
  readonly #options: BalancerOptions;
  #next = 0;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  pick(): number {
    const { count, connections, isAvailable } = this.#options;
    let best = -1;
    let fewest = Number.POSITIVE_INFINITY;
    // Starting behind the last pick rotates those that have equally many.
    for (let n = 0; n < count; n++) {
      const index = (this.#next + n) % count;
      if (isAvailable(index)) {
        const held = connections(index);
        if (held < fewest) {
          fewest = held;
          best = index;
        }
      }
    }
    this.#next = best < 0 ? this.#next : (best + 1) % count;
    return best;
  }
}

class SourceHash implements Balancer {
  readonly #options: BalancerOptions;
  /** Not known to a peer, who could otherwise choose addresses that all fall to one reactor. */
  readonly #seed: number;

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#seed = options.random();
  }

  pick(_fd: number, sourceHash: number): number {
    return firstAvailable(this.#options, scale(mix(sourceHash ^ this.#seed), this.#options.count));
  }
}

class DescriptorHash implements Balancer {
  readonly #options: BalancerOptions;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  pick(fd: number): number {
    // Mixed, since the remainder alone keeps patterns: a proxy that opens one descriptor for each that it accepts gives
    // all its clients even numbers, and half of its reactors nothing.
    return firstAvailable(this.#options, scale(mix(fd), this.#options.count));
  }
}

class RandomChoice implements Balancer {
  readonly #options: BalancerOptions;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  pick(): number {
    const available = countAvailable(this.#options);
    if (available === 0) {
      return -1;
    }
    return nthAvailable(this.#options, scale(this.#options.random(), available));
  }
}

/** Two at random, of which the one with fewer connections: close to the least-connections without its herd. */
class PowerOfTwo implements Balancer {
  readonly #options: BalancerOptions;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  pick(): number {
    const { connections, random } = this.#options;
    const available = countAvailable(this.#options);
    if (available === 0) {
      return -1;
    }
    const first = scale(random(), available);
    if (available === 1) {
      return nthAvailable(this.#options, first);
    }
    // Two that differ: the second is 1 to available - 1 places further.
    const second = (first + 1 + scale(random(), available - 1)) % available;
    const one = nthAvailable(this.#options, first);
    const other = nthAvailable(this.#options, second);
    return connections(other) < connections(one) ? other : one;
  }
}

/** The first available reactor at or after `start`, in turn; -1 for none. */
function firstAvailable(options: BalancerOptions, start: number): number {
  const { count, isAvailable } = options;
  for (let n = 0; n < count; n++) {
    const index = (start + n) % count;
    if (isAvailable(index)) {
      return index;
    }
  }
  return -1;
}

function countAvailable(options: BalancerOptions): number {
  let available = 0;
  for (let index = 0; index < options.count; index++) {
    available += options.isAvailable(index) ? 1 : 0;
  }
  return available;
}

/** The available reactor that `n` others precede. */
function nthAvailable(options: BalancerOptions, n: number): number {
  let left = n;
  for (let index = 0; index < options.count; index++) {
    if (options.isAvailable(index)) {
      if (left === 0) {
        return index;
      }
      left--;
    }
  }
  return -1;
}

/** Spreads every bit of a 32-bit integer over all of them, one to one (the finalizer of MurmurHash3). */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A number from 0 to count - 1 from an evenly spread 32-bit one. Takes the upper bits, which a remainder would not. */
function scale(value: number, count: number): number {
  return Math.floor(((value >>> 0) / 2 ** 32) * count);
}

const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;
/** ::ffff:0:0/96, in front of an IPv4 address that came in through a dual-stack listener. */
const MAPPED_PREFIX_BYTES = 12;

/**
 * A 32-bit hash (FNV-1a) of the address in the first `length` bytes of a Linux sockaddr, without the port, so that all
 * connections of a host have the same. An IPv4 address has the same one in its IPv6-mapped form. Unix sockets, whose
 * peers have no address, and what is cut short give 0.
 */
export function hashAddress(sockaddr: Uint8Array, length: number): number {
  // The family is a 16-bit integer of the machine, and all machines we run on are little-endian.
  const family = length < 2 ? 0 : sockaddr[0] | (sockaddr[1] << 8);
  if (family === AF_INET && length >= 8) {
    return hashBytes(sockaddr, 4, 8);
  }
  if (family === AF_INET6 && length >= 24) {
    return hashBytes(sockaddr, isMapped(sockaddr) ? 8 + MAPPED_PREFIX_BYTES : 8, 24);
  }
  return 0;
}

function isMapped(sockaddr: Uint8Array): boolean {
  for (let i = 8; i < 18; i++) {
    if (sockaddr[i] !== 0) {
      return false;
    }
  }
  return sockaddr[18] === 0xff && sockaddr[19] === 0xff;
}

function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_OFFSET;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ bytes[i], FNV_PRIME);
  }
  return hash >>> 0;
}
