/**
 * The PROXY protocol, versions 1 and 2, without I/O: who a connection is from, told by the proxy that made it in a
 * header before the first byte (haproxy.org, doc/proxy-protocol.txt). Read strictly: what is not a header is not
 * guessed at.
 */

import { formatIpv4, formatIpv6, parseIpv4, parseIpv6 } from '../base/ip-address.js';
import { readProxyV2 } from './proxy-v2.js';

/** What a header says. */
export interface ProxyHeader {
  readonly version: 1 | 2;
  /**
   * Addresses as URLs, such as `tcp://192.0.2.1:4711`; undefined where the proxy speaks for itself (a health check) or
   * does not know.
   */
  readonly source: string | undefined;
  readonly destination: string | undefined;
  /** Further values of version 2, by their type: such as 2, the authority (SNI), or 5, a unique id. */
  readonly values: readonly ProxyValue[];
}

export interface ProxyValue {
  readonly type: number;
  readonly bytes: Buffer;
}

/** `more`: not all of it is there; `bad`: it is none, or not a right one. */
export type ProxyOutcome =
  | 'more'
  | 'bad'
  | { readonly header: ProxyHeader; readonly byteLength: number };

/** The longest line of version 1, with its end. */
const V1_BYTES_MAX = 107;
const V1_START = Buffer.from('PROXY ');
/** What version 2 begins with, which is neither text nor any other protocol. */
export const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Longest header of version 2 that is read: addresses, and values for which a certificate's names have room. */
export const PROXY_BYTES_MAX = 4_096;

/** Reads a header from the start of `bytes`, of which at most PROXY_BYTES_MAX are looked at. */
export function readProxyHeader(bytes: Buffer): ProxyOutcome {
  if (bytes.length === 0) {
    return 'more';
  }
  return bytes[0] === V1_START[0] ? readV1(bytes) : readV2(bytes);
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const n = Math.min(bytes.length, start.length);
  return bytes.compare(start, 0, n, 0, n) === 0;
}

function readV2(bytes: Buffer): ProxyOutcome {
  if (!startsLike(bytes, V2_SIGNATURE)) {
    return 'bad';
  }
  return readProxyV2(bytes, V2_SIGNATURE.length, PROXY_BYTES_MAX);
}

function readV1(bytes: Buffer): ProxyOutcome {
  if (!startsLike(bytes, V1_START)) {
    return 'bad';
  }
  const end = bytes.subarray(0, V1_BYTES_MAX).indexOf('\r\n');
  if (end < 0) {
    return bytes.length >= V1_BYTES_MAX ? 'bad' : 'more';
  }
  const byteLength = end + 2;
  const line = bytes.toString('latin1', V1_START.length, end);
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) {
    // Whatever follows says nothing, by definition.
    const header = { version: 1, source: undefined, destination: undefined, values: [] } as const;
    return { header, byteLength };
  }
  const parts = line.split(' ');
  const [protocol, from = '', to = '', fromPort = '', toPort = ''] = parts;
  if (parts.length !== 5 || (protocol !== 'TCP4' && protocol !== 'TCP6')) {
    return 'bad';
  }
  const isSix = protocol === 'TCP6';
  const source = urlOf(from, fromPort, isSix);
  const destination = urlOf(to, toPort, isSix);
  if (source === undefined || destination === undefined) {
    return 'bad';
  }
  return { header: { version: 1, source, destination, values: [] }, byteLength };
}

function urlOf(address: string, port: string, isSix: boolean): string | undefined {
  const bytes = isSix ? parseIpv6(address) : parseIpv4(address);
  const number = portOf(port);
  if (bytes === undefined || number === undefined) {
    return undefined;
  }
  return tcpUrl(bytes, number);
}

/** 0 to 65535 in its one decimal form. */
function portOf(text: string): number | undefined {
  const number = Number(text);
  return Number.isInteger(number) && number <= 65_535 && String(number) === text && number >= 0
    ? number
    : undefined;
}

/** 4 or 16 bytes of an address, and a port. */
export function tcpUrl(address: Uint8Array, port: number): string {
  return address.length === 4
    ? `tcp://${formatIpv4(address)}:${port}`
    : `tcp://[${formatIpv6(address)}]:${port}`;
}
