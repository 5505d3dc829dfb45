/**
 * Addresses as the kernel's socket addresses: `encodeSockaddr` makes the bytes for bind and connect, `decodeSockaddr` a
 * URL of what getsockname and getpeername filled. Nothing that the kernel or a peer gives throws. `address-url.ts`
 * reads and writes the URLs; what it exports can be had here as well.
 */

import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';

import { SystemError } from '../errors.js';
import {
  type Address,
  formatAddress,
  isInterfaceName,
  type TcpAddress,
  UNIX_NAME_BYTES_MAX,
} from './address-url.js';
import { ENODEV } from './errno.js';
import {
  formatIpv4,
  formatIpv6,
  isIpv4Mapped,
  mappedIpv4,
  parseIpv4,
  parseIpv6,
} from './ip-address.js';
import {
  SOCKADDR_FAMILY,
  SOCKADDR_IN_ADDRESS,
  SOCKADDR_IN_PORT,
  SOCKADDR_IN_SIZE,
  SOCKADDR_IN6_ADDRESS,
  SOCKADDR_IN6_PORT,
  SOCKADDR_IN6_SCOPE,
  SOCKADDR_IN6_SIZE,
  SOCKADDR_UN_PATH,
  SOCKADDR_UN_SIZE,
} from './layout.js';
import { AF_INET, AF_INET6, AF_UNIX } from './linux.js';

export {
  type AbstractAddress,
  type Address,
  checkUnixName,
  type DescriptorAddress,
  formatAddress,
  type HostAndPort,
  parseAddress,
  parseHostAndPort,
  type SystemdAddress,
  type TcpAddress,
  UNIX_NAME_BYTES_MAX,
  type UnixAddress,
} from './address-url.js';

/** Looks up the index of an interface by name; 0 when there is none. */
export type InterfaceIndex = (name: string) => number;

const PORT_MAX = 0xffff;

const DECIMAL = /^\d+$/;
/** What would garble a log line. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to be found.
const CONTROL = /[\x00-\x1f\x7f]/g;

/** The socket family, AF_*, of an address that `encodeSockaddr` takes; TypeError for others. */
export function familyOf(address: Address): number {
  if (address.kind === 'unix' || address.kind === 'unix-abstract') return AF_UNIX;
  if (address.kind === 'fd' || address.kind === 'systemd') {
    throw new TypeError(`${formatAddress(address)} names an open socket and has no socket address`);
  }
  if (address.version === 0) {
    throw new TypeError(`${formatAddress(address)} has a host name, which must be resolved first`);
  }
  return address.version === 4 ? AF_INET : AF_INET6;
}

/**
 * The bytes that bind and connect take, of exactly the length that counts: a path with its NUL, an abstract name
 * without. TypeError for a name that is not resolved and for `fd://` and `systemd://`; SystemError (ENODEV) when there
 * is no interface of the scope's name.
 */
export function encodeSockaddr(
  address: Address,
  interfaceIndex: InterfaceIndex = indexOfInterface,
): Uint8Array {
  const family = familyOf(address);
  const bytes = new Uint8Array(SOCKADDR_UN_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint16(SOCKADDR_FAMILY, family, true);
  switch (address.kind) {
    case 'unix':
      return bytes.slice(0, putName(bytes, SOCKADDR_UN_PATH, address.path) + 1);
    case 'unix-abstract':
      return bytes.slice(0, putName(bytes, SOCKADDR_UN_PATH + 1, address.name));
    case 'fd':
    case 'systemd':
      throw new TypeError(`${formatAddress(address)} has no socket address`);
  }
  if (family === AF_INET) {
    view.setUint16(SOCKADDR_IN_PORT, portOf(address));
    bytes.set(numericHost(address, parseIpv4(address.host)), SOCKADDR_IN_ADDRESS);
    return bytes.slice(0, SOCKADDR_IN_SIZE);
  }
  view.setUint16(SOCKADDR_IN6_PORT, portOf(address));
  bytes.set(numericHost(address, parseIpv6(address.host)), SOCKADDR_IN6_ADDRESS);
  view.setUint32(SOCKADDR_IN6_SCOPE, scopeIndex(address, interfaceIndex), true);
  return bytes.slice(0, SOCKADDR_IN6_SIZE);
}

/**
 * The URL of the first `length` bytes as the kernel filled them: `tcp://127.0.0.1:9000`, `tcp://[fe80::1%2]:9000`,
 * `unix:///run/a.sock`, `unix-abstract://name`, and `unix://` for an unnamed socket. IPv4-mapped peers are shown as the
 * IPv4 addresses they are. In names of Unix sockets, control characters are shown as `%0A` and bytes that are no UTF-8
 * as U+FFFD, since a peer chooses its name and it ends in log lines. Other families: `unknown://` and the number.
 */
export function decodeSockaddr(bytes: Uint8Array, length: number): string {
  // The kernel returns the full length even where it cut the address to the buffer (getsockname(2)).
  const end = Math.min(length, bytes.length);
  if (end < SOCKADDR_UN_PATH) return 'unknown://0';
  const view = new DataView(bytes.buffer, bytes.byteOffset, end);
  const family = view.getUint16(SOCKADDR_FAMILY, true);
  if (family === AF_UNIX) return decodeUnix(bytes.subarray(SOCKADDR_UN_PATH, end));
  if (family === AF_INET && end >= SOCKADDR_IN_SIZE) {
    const host = formatIpv4(bytes.subarray(SOCKADDR_IN_ADDRESS));
    return `tcp://${host}:${view.getUint16(SOCKADDR_IN_PORT)}`;
  }
  if (family === AF_INET6 && end >= SOCKADDR_IN6_SIZE) {
    const ip = bytes.subarray(SOCKADDR_IN6_ADDRESS, SOCKADDR_IN6_SCOPE);
    const port = view.getUint16(SOCKADDR_IN6_PORT);
    if (isIpv4Mapped(ip)) return `tcp://${formatIpv4(mappedIpv4(ip))}:${port}`;
    const scope = view.getUint32(SOCKADDR_IN6_SCOPE, true);
    return `tcp://[${formatIpv6(ip)}${scope === 0 ? '' : `%${scope}`}]:${port}`;
  }
  return `unknown://${family}`;
}

/**
 * The index of a network interface, 0 when there is none. Node tells it with an interface's link-local address; for one
 * that has none it is asked of sysfs, which comes second as it may be mounted from another network namespace.
 */
export function indexOfInterface(name: string): number {
  const interfaces = networkInterfaces();
  // A name from a URL may be `constructor`.
  for (const entry of (Object.hasOwn(interfaces, name) && interfaces[name]) || []) {
    if (entry.family === 'IPv6' && entry.scopeid > 0) return entry.scopeid;
  }
  if (!isInterfaceName(name)) return 0;
  try {
    return Number.parseInt(readFileSync(`/sys/class/net/${name}/ifindex`, 'latin1'), 10);
  } catch {
    return 0;
  }
}

function decodeUnix(name: Uint8Array): string {
  if (name.length === 0) return 'unix://';
  if (name[0] === 0) return `unix-abstract://${decodeName(name.subarray(1))}`;
  // A path that fills all of sun_path has no NUL (unix(7)).
  const nul = name.indexOf(0);
  return `unix://${decodeName(nul < 0 ? name : name.subarray(0, nul))}`;
}

function decodeName(name: Uint8Array): string {
  const text = Buffer.from(name.buffer, name.byteOffset, name.length).toString();
  return text.replace(CONTROL, escapeCharacter);
}

function escapeCharacter(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/** Writes `text` at `at`; returns the position after it. */
function putName(bytes: Uint8Array, at: number, text: string): number {
  const encoded = Buffer.from(text);
  const { length: byteLength } = encoded;
  if (byteLength < 1 || byteLength > UNIX_NAME_BYTES_MAX) {
    throw new RangeError(
      `The name of a Unix socket has ${byteLength} bytes; expected 1 to ${UNIX_NAME_BYTES_MAX}`,
    );
  }
  if (encoded.includes(0)) throw new TypeError('The name of a Unix socket contains a NUL');
  bytes.set(encoded, at);
  return at + byteLength;
}

function portOf({ port }: TcpAddress): number {
  if (!Number.isInteger(port) || port < 0 || port > PORT_MAX) {
    throw new RangeError(`The port is ${port}; expected a number from 0 to ${PORT_MAX}`);
  }
  return port;
}

function numericHost(address: TcpAddress, bytes: Uint8Array | undefined): Uint8Array {
  if (bytes !== undefined) return bytes;
  throw new TypeError(`"${address.host}" is not an IPv${address.version} address`);
}

function scopeIndex(address: TcpAddress, interfaceIndex: InterfaceIndex): number {
  if (address.scope === '') return 0;
  if (DECIMAL.test(address.scope)) return Number(address.scope);
  const index = interfaceIndex(address.scope);
  if (index === 0) throw new SystemError('find the interface of', ENODEV, formatAddress(address));
  return index;
}
