/** Headers of the PROXY protocol as a proxy sends them, before anything else, on a connection that it makes. */

import { isIpv4Mapped, mappedIpv4, parseIpv4, parseIpv6 } from '../base/ip-address.js';
import { crc32c } from './crc32c.js';
import { type ProxyValue, tcpUrl, V2_SIGNATURE } from './proxy-header.js';
import {
  V2_CRC32C,
  V2_LOCAL,
  V2_PATH_BYTES,
  V2_PROXY,
  V2_TCP4,
  V2_TCP6,
  V2_UNIX,
} from './proxy-v2.js';

export interface ProxyHeaderOptions {
  /** 2 by default; 1 is text, for TCP only. */
  version?: 1 | 2;
  /** The client's address and the one it connected to, as `connection.remoteAddress` and `localAddress` give them. */
  source?: string;
  destination?: string;
  /** Version 2 only. */
  values?: readonly ProxyValue[];
  /** Adds a checksum; version 2 only. false. */
  checksum?: boolean;
}

/** Lengths are 16 bits. */
const LENGTH_MAX = 0xffff;

interface TcpEnd {
  readonly address: Uint8Array;
  readonly port: number;
}

/**
 * A header to be written first: `connection.write(encodeProxyHeader({ source: client.remoteAddress, destination:
 * client.localAddress }))`. Without addresses, or with those of two families, it says that they are not known. Throws
 * TypeError for what is no address, RangeError for too much.
 */
export function encodeProxyHeader(options: ProxyHeaderOptions = {}): Buffer {
  const { version = 2, source, destination } = options;
  if (version !== 1 && version !== 2) {
    throw new RangeError(`Expected version 1 or 2, got ${String(version)}`);
  }
  if ((source === undefined) !== (destination === undefined)) {
    throw new TypeError('Expected both source and destination, or none');
  }
  return version === 1 ? encodeV1(options) : encodeV2(options);
}

function encodeV1({ source, destination, values = [], checksum }: ProxyHeaderOptions): Buffer {
  if (values.length > 0 || checksum === true) {
    throw new TypeError('Values and checksums need version 2');
  }
  const from = source === undefined ? undefined : tcpEnd(source);
  const to = destination === undefined ? undefined : tcpEnd(destination);
  if (from === undefined || to?.address.length !== from.address.length) {
    return Buffer.from('PROXY UNKNOWN\r\n');
  }
  const family = from.address.length === 4 ? 'TCP4' : 'TCP6';
  const [a, b] = [from, to].map(({ address }) =>
    tcpUrl(address, 0).slice('tcp://'.length, -':0'.length).replace(/[[\]]/g, ''),
  );
  return Buffer.from(`PROXY ${family} ${a} ${b} ${from.port} ${to.port}\r\n`);
}

function encodeV2({
  source,
  destination,
  values = [],
  checksum = false,
}: ProxyHeaderOptions): Buffer {
  const addresses = source === undefined ? undefined : encodeAddresses(source, destination!);
  const pieces = addresses === undefined ? [] : [addresses.bytes];
  for (const { type, bytes } of values) {
    if (!Number.isInteger(type) || type < 0 || type > 0xff || type === V2_CRC32C) {
      throw new RangeError(`Expected the type of a value to be a byte other than 3, got ${type}`);
    }
    pieces.push(encodeValue(type, bytes));
  }
  if (checksum) {
    pieces.push(encodeValue(V2_CRC32C, Buffer.alloc(4)));
  }
  const body = Buffer.concat(pieces);
  if (body.length > LENGTH_MAX) {
    throw new RangeError(`The header has ${body.length} bytes, at most ${LENGTH_MAX}`);
  }
  const start = Buffer.alloc(4);
  start[0] = addresses === undefined ? V2_LOCAL : V2_PROXY;
  start[1] = addresses?.family ?? 0;
  start.writeUInt16BE(body.length, 2);
  const header = Buffer.concat([V2_SIGNATURE, start, body]);
  if (checksum) {
    header.writeUInt32BE(crc32c(header), header.length - 4);
  }
  return header;
}

function encodeValue(type: number, bytes: Uint8Array): Buffer {
  if (bytes.length > LENGTH_MAX) {
    throw new RangeError(`A value has ${bytes.length} bytes, at most ${LENGTH_MAX}`);
  }
  const start = Buffer.from([type, bytes.length >> 8, bytes.length & 0xff]);
  return Buffer.concat([start, bytes]);
}

/** Undefined for two families that have nothing in common. */
function encodeAddresses(
  source: string,
  destination: string,
): { readonly family: number; readonly bytes: Buffer } | undefined {
  const paths = [source, destination].map((url) =>
    url.startsWith('unix://') ? url.slice('unix://'.length) : undefined,
  );
  if (paths[0] !== undefined && paths[1] !== undefined) {
    const bytes = Buffer.alloc(V2_PATH_BYTES * 2);
    for (const [i, path] of paths.entries()) {
      if (Buffer.byteLength(path!) > V2_PATH_BYTES) {
        throw new RangeError(`The path ${path} is longer than ${V2_PATH_BYTES} bytes`);
      }
      bytes.write(path!, i * V2_PATH_BYTES);
    }
    return { family: V2_UNIX, bytes };
  }
  const from = tcpEnd(source);
  const to = tcpEnd(destination);
  if (from === undefined || to?.address.length !== from.address.length) {
    return undefined;
  }
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(from.port, 0);
  ports.writeUInt16BE(to.port, 2);
  const family = from.address.length === 4 ? V2_TCP4 : V2_TCP6;
  return { family, bytes: Buffer.concat([from.address, to.address, ports]) };
}

/** The bytes of `tcp://address:port`; undefined for another kind of URL. */
function tcpEnd(url: string): TcpEnd | undefined {
  if (!/^tcp[46]?:\/\//.test(url)) {
    if (/^unix(-abstract)?:\/\//.test(url)) {
      return undefined;
    }
    throw new TypeError(`Expected an address such as tcp://192.0.2.1:80, got ${url}`);
  }
  const authority = url.slice(url.indexOf('//') + 2);
  const colon = authority.lastIndexOf(':');
  const host = authority.slice(0, colon);
  const port = Number(authority.slice(colon + 1));
  const isSix = host.startsWith('[');
  const address = isSix ? parseIpv6(host.slice(1, -1).replace(/%.*$/, '')) : parseIpv4(host);
  if (address === undefined || !Number.isInteger(port) || port < 0 || port > 65_535 || colon < 0) {
    throw new TypeError(`Expected an address such as tcp://192.0.2.1:80, got ${url}`);
  }
  return { address: isSix && isIpv4Mapped(address) ? mappedIpv4(address) : address, port };
}
