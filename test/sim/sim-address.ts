/**
 * Socket addresses of the simulated network: from and to the bytes of Linux's sockaddr structures, and from and to
 * the URLs that tests write. The offsets are written out here rather than taken from src/base/layout.ts, so that
 * production and simulation cannot agree on a wrong one.
 *
 * An Internet host is kept as text: IPv4 in dotted form, IPv6 as 32 hexadecimal digits. An IPv4 address in IPv6 form
 * (::ffff:a.b.c.d) is kept as IPv4, so that a dual-stack listener is found by comparing texts.
 */

import { EAFNOSUPPORT, EINVAL } from '../../src/base/errno.js';
import { AF_INET, AF_INET6, AF_UNIX } from '../../src/base/linux.js';

export interface InternetAddress {
  readonly host: string;
  readonly port: number;
}

export const WILDCARD4 = '0.0.0.0';
export const WILDCARD6 = '0'.repeat(32);
const LOOPBACK4 = '127.0.0.1';
const LOOPBACK6 = `${'0'.repeat(31)}1`;
const MAPPED_PREFIX = `${'0'.repeat(20)}ffff`;

export function isIpv4(host: string): boolean {
  return host.length < 32;
}

export function isWildcard(host: string): boolean {
  return host === WILDCARD4 || host === WILDCARD6;
}

/** Whether a process on the simulated machine may bind to it: its only interface is the loopback. */
export function isLocal(host: string): boolean {
  return isWildcard(host) || host === LOOPBACK6 || host.startsWith('127.');
}

/** Where a connection to `host` goes: Linux takes the wildcard for the loopback. */
export function destination(host: string): string {
  if (host === WILDCARD4) return LOOPBACK4;
  return host === WILDCARD6 ? LOOPBACK6 : host;
}

/** The local end of a connection to `host` that was not bound before. */
export function sourceFor(host: string): string {
  if (isLocal(host)) return host;
  return isIpv4(host) ? '10.0.0.1' : LOOPBACK6;
}

/** Parses sockaddr_in or sockaddr_in6 for a socket of `domain`; a number is -errno. */
export function parseInternet(domain: number, bytes: Uint8Array): InternetAddress | number {
  if (bytes.length < 2) return -EINVAL;
  const family = bytes[0]! | (bytes[1]! << 8);
  if (domain === AF_INET) {
    if (bytes.length < 16) return -EINVAL;
    if (family !== AF_INET) return -EAFNOSUPPORT;
    return { host: bytes.subarray(4, 8).join('.'), port: (bytes[2]! << 8) | bytes[3]! };
  }
  // SIN6_LEN_RFC2133: the scope may be missing.
  if (bytes.length < 24) return -EINVAL;
  if (family !== AF_INET6) return -EAFNOSUPPORT;
  const digits = Buffer.from(bytes.subarray(8, 24)).toString('hex');
  const port = (bytes[2]! << 8) | bytes[3]!;
  if (!digits.startsWith(MAPPED_PREFIX)) return { host: digits, port };
  return { host: bytes.subarray(20, 24).join('.'), port };
}

/** The name of a sockaddr_un: a path, NUL and an abstract name, or empty for none; a number is -errno. */
export function parseUnix(bytes: Uint8Array): string | number {
  if (bytes.length < 2 || bytes.length > 110) return -EINVAL;
  if ((bytes[0]! | (bytes[1]! << 8)) !== AF_UNIX) return -EINVAL;
  const path = bytes.subarray(2);
  if (path.length === 0) return '';
  if (path[0] === 0) return Buffer.from(path).toString('latin1');
  const end = path.indexOf(0);
  return Buffer.from(end < 0 ? path : path.subarray(0, end)).toString('latin1');
}

/** Writes as much as fits and returns how much that was. */
export function writeInternet(
  domain: number,
  address: InternetAddress,
  target: Uint8Array,
): number {
  const bytes = internetBytes(domain, address);
  const n = Math.min(bytes.length, target.length);
  target.set(bytes.subarray(0, n));
  return n;
}

export function writeUnix(name: string, target: Uint8Array): number {
  const bytes = unixBytes(name);
  const n = Math.min(bytes.length, target.length);
  target.set(bytes.subarray(0, n));
  return n;
}

function internetBytes(domain: number, address: InternetAddress): Uint8Array {
  const { host, port } = address;
  const bytes = new Uint8Array(domain === AF_INET ? 16 : 28);
  bytes[0] = domain;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  if (domain === AF_INET) {
    bytes.set(host.split('.').map(Number), 4);
    return bytes;
  }
  if (!isIpv4(host)) bytes.set(Buffer.from(host, 'hex'), 8);
  else if (host !== WILDCARD4) bytes.set([0xff, 0xff, ...host.split('.').map(Number)], 18);
  return bytes;
}

function unixBytes(name: string): Uint8Array {
  if (name === '') return Uint8Array.of(AF_UNIX, 0);
  const isAbstract = name.charCodeAt(0) === 0;
  // Linux counts the NUL after a path, and an abstract name has none.
  const bytes = new Uint8Array(2 + name.length + (isAbstract ? 0 : 1));
  bytes[0] = AF_UNIX;
  bytes.set(Buffer.from(name, 'latin1'), 2);
  return bytes;
}

/** An address as tests write it, such as `tcp://127.0.0.1:80`, `tcp://[::1]:80`, `unix:///p`, `unix-abstract://n`. */
export interface ParsedUrl {
  readonly domain: number;
  readonly sockaddr: Uint8Array;
}

export function parseUrl(url: string): ParsedUrl {
  const at = url.indexOf('://');
  const scheme = url.slice(0, at);
  const rest = url.slice(at + 3);
  if (scheme === 'unix') return { domain: AF_UNIX, sockaddr: unixBytes(rest) };
  if (scheme === 'unix-abstract') return { domain: AF_UNIX, sockaddr: unixBytes(`\0${rest}`) };
  const colon = rest.lastIndexOf(':');
  const text = rest.slice(0, colon);
  const port = Number(rest.slice(colon + 1));
  if (at < 0 || colon < 0 || !Number.isInteger(port)) throw new TypeError(`not an address: ${url}`);
  const isIpv6 = text.startsWith('[');
  const domain = isIpv6 ? AF_INET6 : AF_INET;
  const host = isIpv6 ? digitsOf(text.slice(1, -1)) : text;
  return { domain, sockaddr: internetBytes(domain, { host, port }) };
}

export function formatInternet(address: InternetAddress): string {
  const { host, port } = address;
  if (isIpv4(host)) return `tcp://${host}:${port}`;
  const groups = host.match(/.{4}/g)!.map((group) => Number.parseInt(group, 16).toString(16));
  const text = groups.join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
  return `tcp://[${text}]:${port}`;
}

export function formatUnix(name: string): string {
  return name.charCodeAt(0) === 0 ? `unix-abstract://${name.slice(1)}` : `unix://${name}`;
}

/** The 32 digits of an IPv6 address in text form, without embedded IPv4. */
function digitsOf(text: string): string {
  const [left = '', right] = text.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = new Array<string>(8 - head.length - tail.length).fill('0');
  return [...head, ...zeros, ...tail].map((group) => group.padStart(4, '0')).join('');
}
