/** Version 2 of the PROXY protocol: addresses and values in binary, after its signature. */

import { formatIpv4, formatIpv6 } from '../base/ip-address.js';
import { crc32c } from './crc32c.js';
import type { ProxyOutcome, ProxyValue } from './proxy-header.js';

/** Command in the low half of the byte after the signature, the version, 2, in the high one. */
export const V2_LOCAL = 0x20;
export const V2_PROXY = 0x21;
/** Families: address family in the high half, 1 for a stream in the low one. */
export const V2_TCP4 = 0x11;
export const V2_TCP6 = 0x21;
export const V2_UNIX = 0x31;
/** The type of the value with the checksum of the header. */
export const V2_CRC32C = 0x03;
/** A Unix path, padded with zeros. */
export const V2_PATH_BYTES = 108;

/** `signatureLength` bytes are known to be right. */
export function readProxyV2(bytes: Buffer, signatureLength: number, max: number): ProxyOutcome {
  const at = signatureLength;
  if (bytes.length < at + 4) {
    return 'more';
  }
  const command = bytes[at]!;
  const family = bytes[at + 1]!;
  const bodyLength = bytes.readUInt16BE(at + 2);
  const byteLength = at + 4 + bodyLength;
  if ((command !== V2_LOCAL && command !== V2_PROXY) || byteLength > max) {
    return 'bad';
  }
  if (bytes.length < byteLength) {
    return 'more';
  }
  const header = bytes.subarray(0, byteLength);
  const body = header.subarray(at + 4);
  if (command === V2_LOCAL) {
    // The proxy's own connection: addresses and values are to be skipped.
    return { header: nobody([]), byteLength };
  }
  const addresses = readAddresses(family, body);
  if (addresses === undefined) {
    return 'bad';
  }
  const values = readValues(body.subarray(addresses.byteLength));
  if (values === undefined || !isChecksumRight(header, values)) {
    return 'bad';
  }
  const { source, destination } = addresses;
  return { header: { version: 2, source, destination, values }, byteLength };
}

function nobody(values: readonly ProxyValue[]) {
  return { version: 2, source: undefined, destination: undefined, values } as const;
}

interface Addresses {
  readonly source: string | undefined;
  readonly destination: string | undefined;
  readonly byteLength: number;
}

/** Undefined if they do not fit. Families that are not ours, such as datagrams, are told as unknown. */
function readAddresses(family: number, body: Buffer): Addresses | undefined {
  const addressLength = family === V2_TCP4 ? 4 : family === V2_TCP6 ? 16 : V2_PATH_BYTES;
  if (family === V2_TCP4 || family === V2_TCP6) {
    const byteLength = addressLength * 2 + 4;
    if (body.length < byteLength) {
      return undefined;
    }
    const url = (start: number, portAt: number) => {
      const address = body.subarray(start, start + addressLength);
      const text = family === V2_TCP4 ? formatIpv4(address) : `[${formatIpv6(address)}]`;
      return `tcp://${text}:${body.readUInt16BE(portAt)}`;
    };
    const source = url(0, addressLength * 2);
    return { source, destination: url(addressLength, addressLength * 2 + 2), byteLength };
  }
  if (family === V2_UNIX) {
    const byteLength = V2_PATH_BYTES * 2;
    if (body.length < byteLength) {
      return undefined;
    }
    const url = (start: number) => {
      const path = body.subarray(start, start + V2_PATH_BYTES);
      const end = path.indexOf(0);
      return `unix://${path.toString('utf8', 0, end < 0 ? undefined : end)}`;
    };
    return { source: url(0), destination: url(V2_PATH_BYTES), byteLength };
  }
  // AF_UNSPEC, or datagrams: all of the rest is skipped, since its layout is not known.
  return family === 0 || (family & 0x0f) === 2
    ? { source: undefined, destination: undefined, byteLength: body.length }
    : undefined;
}

/** Type, length, bytes, again and again to the end. Undefined if that does not come out even. */
function readValues(bytes: Buffer): ProxyValue[] | undefined {
  const values: ProxyValue[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 3) {
      return undefined;
    }
    const length = bytes.readUInt16BE(at + 1);
    const end = at + 3 + length;
    if (end > bytes.length) {
      return undefined;
    }
    values.push({ type: bytes[at]!, bytes: Buffer.from(bytes.subarray(at + 3, end)) });
    at = end;
  }
  return values;
}

/** The sum over the header, with its own four bytes as zeros. A receiver that knows it has to check it. */
function isChecksumRight(header: Buffer, values: readonly ProxyValue[]): boolean {
  const sums = values.filter(({ type }) => type === V2_CRC32C);
  if (sums.length === 0) {
    return true;
  }
  const [{ bytes }] = sums as [ProxyValue];
  if (sums.length > 1 || bytes.length !== 4) {
    return false;
  }
  const copy = Buffer.from(header);
  const at = positionOfValue(copy, values, V2_CRC32C);
  copy.fill(0, at, at + 4);
  return crc32c(copy) === bytes.readUInt32BE(0);
}

/** Where the bytes of a value are: the values are the last that the header has. */
function positionOfValue(header: Buffer, values: readonly ProxyValue[], type: number): number {
  let at = header.length;
  for (const value of values) {
    at -= 3 + value.bytes.length;
  }
  for (const value of values) {
    if (value.type === type) {
      break;
    }
    at += 3 + value.bytes.length;
  }
  return at + 3;
}
