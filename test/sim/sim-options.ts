/**
 * Socket options: what is set is stored, checked and rounded as Linux does, and given back. Only few change what the
 * model does: SO_LINGER, the buffer sizes, SO_REUSEADDR, SO_REUSEPORT and IPV6_V6ONLY.
 */

import { EINVAL, ENODEV, ENOPROTOOPT, EOPNOTSUPP } from '../../src/base/errno.js';
import * as linux from '../../src/base/linux.js';

/** What SO_TYPE and its like answer. */
export interface SocketFacts {
  readonly domain: number;
  readonly isListening: boolean;
  /** SO_TYPE; a stream when left out. */
  readonly type?: number;
  /** SO_ERROR: returns and clears the pending error. */
  takeError(): number;
}

interface IntegerRule {
  readonly low: number;
  readonly high: number;
  readonly initial: number;
}

const FLAG: IntegerRule = { low: 0, high: 1, initial: 0 };
const ANY = 0x7fff_ffff;

const SOCKET_RULES = new Map<number, IntegerRule>([
  [linux.SO_REUSEADDR, FLAG],
  [linux.SO_KEEPALIVE, FLAG],
  [linux.SO_REUSEPORT, FLAG],
  [linux.SO_BROADCAST, FLAG],
  [linux.SO_RXQ_OVFL, FLAG],
  [linux.SO_SNDBUF, { low: -ANY, high: ANY, initial: 0 }],
  [linux.SO_RCVBUF, { low: -ANY, high: ANY, initial: 0 }],
  [linux.SO_INCOMING_CPU, { low: -ANY, high: ANY, initial: -1 }],
]);

const TCP_RULES = new Map<number, IntegerRule>([
  [linux.TCP_NODELAY, FLAG],
  [linux.TCP_CORK, FLAG],
  [linux.TCP_KEEPIDLE, { low: 1, high: 32_767, initial: 7200 }],
  [linux.TCP_KEEPINTVL, { low: 1, high: 32_767, initial: 75 }],
  [linux.TCP_KEEPCNT, { low: 1, high: 127, initial: 9 }],
  [linux.TCP_DEFER_ACCEPT, { low: -ANY, high: ANY, initial: 0 }],
  [linux.TCP_USER_TIMEOUT, { low: 0, high: ANY, initial: 0 }],
  [linux.TCP_FASTOPEN, { low: 0, high: ANY, initial: 0 }],
  [linux.TCP_FASTOPEN_CONNECT, { low: 0, high: 1, initial: 0 }],
  [linux.TCP_NOTSENT_LOWAT, { low: -ANY, high: ANY, initial: 0 }],
]);

const IP_RULES = new Map<number, IntegerRule>([
  [linux.IP_RECVERR, FLAG],
  [linux.IP_MULTICAST_ALL, { low: 0, high: 1, initial: 1 }],
]);

const IPV6_RULES = new Map<number, IntegerRule>([
  [linux.IPV6_V6ONLY, FLAG],
  [linux.IPV6_RECVERR, FLAG],
  [linux.IPV6_MULTICAST_ALL, { low: 0, high: 1, initial: 1 }],
]);

export class SocketOptions {
  readonly #integers = new Map<number, number>();
  #device = '';
  /** SO_LINGER; -1 is off. */
  lingerSeconds = -1;

  constructor(sendBuffer: number, receiveBuffer: number) {
    // Linux reports the double of what the application gets, for its own overhead.
    this.#integers.set(key(linux.SOL_SOCKET, linux.SO_SNDBUF), sendBuffer * 2);
    this.#integers.set(key(linux.SOL_SOCKET, linux.SO_RCVBUF), receiveBuffer * 2);
  }

  get sendBuffer(): number {
    return this.integer(linux.SOL_SOCKET, linux.SO_SNDBUF) >> 1;
  }

  get receiveBuffer(): number {
    return this.integer(linux.SOL_SOCKET, linux.SO_RCVBUF) >> 1;
  }

  get reuseAddress(): boolean {
    return this.integer(linux.SOL_SOCKET, linux.SO_REUSEADDR) !== 0;
  }

  get reusePort(): boolean {
    return this.integer(linux.SOL_SOCKET, linux.SO_REUSEPORT) !== 0;
  }

  get ipv6Only(): boolean {
    return this.integer(linux.IPPROTO_IPV6, linux.IPV6_V6ONLY) !== 0;
  }

  /** SO_RXQ_OVFL. */
  get wantsOverflow(): boolean {
    return this.integer(linux.SOL_SOCKET, linux.SO_RXQ_OVFL) !== 0;
  }

  /** IP_RECVERR or IPV6_RECVERR. */
  wantsErrors(domain: number): boolean {
    return domain === linux.AF_INET6
      ? this.integer(linux.IPPROTO_IPV6, linux.IPV6_RECVERR) !== 0
      : this.integer(linux.IPPROTO_IP, linux.IP_RECVERR) !== 0;
  }

  /** An accepted connection has its listener's options. */
  inherit(from: SocketOptions): void {
    for (const [name, value] of from.#integers) this.#integers.set(name, value);
    this.lingerSeconds = from.lingerSeconds;
    this.#device = from.#device;
  }

  set(facts: SocketFacts, level: number, name: number, value: Uint8Array): number {
    if (level === linux.SOL_SOCKET && name === linux.SO_BINDTODEVICE) {
      const device = Buffer.from(value).toString('latin1').replace(/\0.*$/s, '');
      if (device !== '' && device !== 'lo') return -ENODEV;
      this.#device = device;
      return 0;
    }
    const rule = ruleOf(facts.domain, level, name);
    if (typeof rule === 'number' && !isLinger(level, name)) return rule;
    if (value.length < 4) return -EINVAL;
    const view = new DataView(value.buffer, value.byteOffset, value.length);
    const number = view.getInt32(0, true);
    if (isLinger(level, name)) {
      if (value.length < 8) return -EINVAL;
      this.lingerSeconds = number === 0 ? -1 : view.getInt32(4, true);
      return 0;
    }
    if (typeof rule === 'number') return rule;
    const stored = rule === FLAG ? Number(number !== 0) : number;
    if (stored < rule.low || stored > rule.high) return -EINVAL;
    this.#integers.set(key(level, name), rounded(level, name, stored));
    return 0;
  }

  /** Fills `value` and returns the length written. */
  get(facts: SocketFacts, level: number, name: number, value: Uint8Array): number {
    if (level === linux.SOL_SOCKET) {
      if (name === linux.SO_BINDTODEVICE) {
        const text = this.#device === '' ? '' : `${this.#device}\0`;
        return fill(value, Buffer.from(text, 'latin1'));
      }
      if (name === linux.SO_LINGER) {
        const isOn = this.lingerSeconds >= 0;
        return fill(value, words(Number(isOn), isOn ? this.lingerSeconds : 0));
      }
      const fact = factOf(facts, name);
      if (fact !== undefined) return fill(value, words(fact));
    }
    if (level === linux.IPPROTO_TCP && name === linux.TCP_INFO && facts.domain !== linux.AF_UNIX) {
      // Only tcpi_state is filled, with TCP_LISTEN or TCP_ESTABLISHED.
      const info = new Uint8Array(104);
      info[0] = facts.isListening ? 10 : 1;
      return fill(value, info);
    }
    const rule = ruleOf(facts.domain, level, name);
    if (typeof rule === 'number') return rule;
    return fill(value, words(this.integer(level, name, rule.initial)));
  }

  private integer(level: number, name: number, initial = 0): number {
    return this.#integers.get(key(level, name)) ?? initial;
  }
}

function key(level: number, name: number): number {
  return level * 65_536 + name;
}

function isLinger(level: number, name: number): boolean {
  return level === linux.SOL_SOCKET && name === linux.SO_LINGER;
}

function ruleOf(domain: number, level: number, name: number): IntegerRule | number {
  if (level === linux.SOL_SOCKET) return SOCKET_RULES.get(name) ?? -ENOPROTOOPT;
  if (domain === linux.AF_UNIX) return -EOPNOTSUPP;
  if (level === linux.IPPROTO_IP) return IP_RULES.get(name) ?? -ENOPROTOOPT;
  if (level === linux.IPPROTO_TCP) return TCP_RULES.get(name) ?? -ENOPROTOOPT;
  if (level === linux.IPPROTO_IPV6) {
    if (domain === linux.AF_INET6) return IPV6_RULES.get(name) ?? -ENOPROTOOPT;
    return -ENOPROTOOPT;
  }
  return -ENOPROTOOPT;
}

function rounded(level: number, name: number, value: number): number {
  if (level === linux.SOL_SOCKET) {
    // SOCK_MIN_SNDBUF and SOCK_MIN_RCVBUF of the kernel; the limits are those of a common system.
    if (name === linux.SO_SNDBUF) return Math.max(4608, Math.min(value >>> 0, 4_194_304) * 2);
    if (name === linux.SO_RCVBUF) return Math.max(2304, Math.min(value >>> 0, 4_194_304) * 2);
  }
  if (level === linux.IPPROTO_TCP && name === linux.TCP_DEFER_ACCEPT) {
    // Kept as a number of SYN-ACK retransmissions, each twice as long as the one before.
    if (value <= 0) return 0;
    let seconds = 1;
    let next = 2;
    while (seconds < value && next <= 64) {
      seconds += next;
      next *= 2;
    }
    return seconds;
  }
  return value;
}

function factOf(facts: SocketFacts, name: number): number | undefined {
  if (name === linux.SO_TYPE) return facts.type ?? linux.SOCK_STREAM;
  if (name === linux.SO_ERROR) return facts.takeError();
  if (name === linux.SO_ACCEPTCONN) return Number(facts.isListening);
  if (name === linux.SO_DOMAIN) return facts.domain;
  if (name === linux.SO_PROTOCOL) {
    if (facts.domain === linux.AF_UNIX) return 0;
    return facts.type === linux.SOCK_DGRAM ? linux.IPPROTO_UDP : linux.IPPROTO_TCP;
  }
  return undefined;
}

function words(...numbers: number[]): Uint8Array {
  return new Uint8Array(Int32Array.from(numbers).buffer);
}

function fill(target: Uint8Array, source: Uint8Array): number {
  const n = Math.min(target.length, source.length);
  target.set(source.subarray(0, n));
  return n;
}
