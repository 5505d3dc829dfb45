/**
 * Addresses as URLs: `parseAddress` makes an `Address` of what a user wrote, `formatAddress` the URL again.
 *
 * Rules:
 * - A wrong URL throws: TypeError when it has the wrong form, RangeError when a value is out of range. The message
 *   says which part is wrong and what was expected.
 * - Host names are kept as they are, for the resolver; numeric hosts are kept in canonical form.
 * - What follows `unix://` is the path as it is, without percent escapes: a path may hold `%`, `?` and `#`.
 * - A scope follows `%` as it is (RFC 9844; `%25` of the obsolete RFC 6874 is not an escape here).
 *
 * Called through `address.ts`, which has the socket addresses.
 */

import { formatIpv6, parseIpv4, parseIpv6 } from './ip-address.js';
import { SOCKADDR_UN_PATH, SOCKADDR_UN_SIZE } from './layout.js';

/** Schemes with a host and a port. */
type InternetScheme = 'tcp' | 'tcp4' | 'tcp6' | 'udp' | 'udp4' | 'udp6';

export interface TcpAddress {
  /** `tcp4` and `tcp6` restrict what a name resolves to; a numeric host always fits them. */
  readonly kind: 'tcp' | 'tcp4' | 'tcp6';
  /** A canonical IPv4 or IPv6 address without brackets, or a name. */
  readonly host: string;
  /** What `host` is: 4 or 6 when it is numeric, 0 for a name. */
  readonly version: 0 | 4 | 6;
  /** An IPv6 address's interface, by name or by index; empty for none. */
  readonly scope: string;
  /** 0 to 65,535; 0 lets the system choose when listening. */
  readonly port: number;
}

export interface UnixAddress {
  readonly kind: 'unix';
  /** Absolute, or relative to the working directory. At most 107 bytes of UTF-8, without NUL. */
  readonly path: string;
}

export interface AbstractAddress {
  readonly kind: 'unix-abstract';
  /** Without the NUL that the kernel wants in front. 1 to 107 bytes of UTF-8. */
  readonly name: string;
}

/** A descriptor that the process was started with. */
export interface DescriptorAddress {
  readonly kind: 'fd';
  readonly fd: number;
}

/** The sockets that systemd passed: all of them, or those of one name (sd_listen_fds_with_names(3)). */
export interface SystemdAddress {
  readonly kind: 'systemd';
  /** Undefined: all. */
  readonly name: string | undefined;
}

export type Address =
  | TcpAddress
  | UnixAddress
  | AbstractAddress
  | DescriptorAddress
  | SystemdAddress;

/** One less than `sun_path`: a path ends with a NUL, an abstract name begins with one (unix(7)). */
export const UNIX_NAME_BYTES_MAX = SOCKADDR_UN_SIZE - SOCKADDR_UN_PATH - 1;

const PORT_MAX = 0xffff;
const FD_MAX = 0x7fff_ffff;
const SCOPE_MAX = 0xffff_ffff;
const HOST_NAME_MAX = 253;
/** FDNAME_MAX of systemd. */
const SYSTEMD_NAME_MAX = 255;
const FORMS =
  'tcp://host:port, tcp4://…, tcp6://…, unix://path, unix-abstract://name, fd://number, ' +
  'systemd:// or systemd://name';

const DECIMAL = /^(?:0|[1-9]\d*)$/;
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;
const HOST_LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
/** A last label that resolvers take for a number: `127.1`, `0x7f.1`. WHATWG URL calls it "ends in a number". */
const NUMERIC_LABEL = /^(?:\d+|0[xX][0-9A-Fa-f]*)$/;
/** IFNAMSIZ - 1 bytes, without what dev_valid_name() of the kernel forbids. */
const INTERFACE_NAME = /^[^\s/:%[\]]{1,15}$/;
/** Printable ASCII without colon: fdname_is_valid() of systemd. */
const SYSTEMD_NAME = /^[\x20-\x39\x3b-\x7e]*$/;

/** What a user wrote. Throws TypeError or RangeError, with the URL and what is wrong in the message. */
export function parseAddress(url: string): Address {
  if (typeof url !== 'string') {
    throw new TypeError(`Cannot use ${String(url)} as an address: expected a string, ${FORMS}`);
  }
  const scheme = SCHEME.exec(url)?.[1]?.toLowerCase();
  if (scheme === undefined) throw missingScheme(url);
  const rest = url.slice(scheme.length + '://'.length);
  switch (scheme) {
    case 'tcp':
    case 'tcp4':
    case 'tcp6':
      return { kind: scheme, ...parseHostAndPort(url, scheme, rest) };
    case 'unix':
      checkUnixName(url, rest, 'path');
      return { kind: 'unix', path: rest };
    case 'unix-abstract':
      checkUnixName(url, rest, 'name');
      return { kind: 'unix-abstract', name: rest };
    case 'fd':
      return { kind: 'fd', fd: parseDecimal(url, rest, 'descriptor', 0, FD_MAX) };
    case 'systemd':
      return { kind: 'systemd', name: parseSystemdName(url, rest) };
    default:
      throw unknownScheme(url, scheme);
  }
}

/** The URL of an address, such that `parseAddress` gives the same one back. */
export function formatAddress(address: Address): string {
  switch (address.kind) {
    case 'unix':
      return `unix://${address.path}`;
    case 'unix-abstract':
      return `unix-abstract://${address.name}`;
    case 'fd':
      return `fd://${address.fd}`;
    case 'systemd':
      return `systemd://${address.name ?? ''}`;
    default: {
      const scope = address.scope === '' ? '' : `%${address.scope}`;
      const host = address.version === 6 ? `[${address.host}${scope}]` : address.host;
      return `${address.kind}://${host}:${address.port}`;
    }
  }
}

/** Whether the text has the form that the kernel allows for the name of a network interface. */
export function isInterfaceName(text: string): boolean {
  return text !== '.' && text !== '..' && INTERFACE_NAME.test(text);
}

/** What follows the scheme of an Internet address. */
export function parseHostAndPort(url: string, kind: InternetScheme, rest: string): HostAndPort {
  const form = `${kind}://host:port`;
  const isBracketed = rest.startsWith('[');
  const close = rest.indexOf(']');
  if (isBracketed && close < 0) {
    throw wrongForm(url, 'the bracket of the IPv6 address is not closed', `${kind}://[::1]:port`);
  }
  const colon = rest.indexOf(':', isBracketed ? close : 0);
  const end = isBracketed ? close + 1 : colon < 0 ? rest.length : colon;
  const host = isBracketed ? rest.slice(1, close) : rest.slice(0, end);
  if (!isBracketed && (parseIpv6(rest) !== undefined || rest.indexOf(':', end + 1) >= 0)) {
    throw wrongForm(url, 'an IPv6 address needs brackets', `${kind}://[::1]:port`);
  }
  if (host === '') {
    throw wrongForm(url, 'the host is missing', `${form}, with 0.0.0.0 or [::] for all interfaces`);
  }
  if (end === rest.length || rest[end] !== ':') {
    throw wrongForm(
      url,
      end === rest.length ? 'the port is missing' : 'text follows the host',
      form,
    );
  }
  const port = parseDecimal(url, rest.slice(end + 1), 'port', 0, PORT_MAX);
  return { ...(isBracketed ? parseHost6(url, kind, host) : parseHost(url, kind, host)), port };
}

export type HostAndPort = Omit<TcpAddress, 'kind'>;
type Host = Omit<HostAndPort, 'port'>;

function parseHost6(url: string, kind: InternetScheme, text: string): Host {
  const percent = text.indexOf('%');
  const bytes = parseIpv6(percent < 0 ? text : text.slice(0, percent));
  if (bytes === undefined) {
    throw wrongForm(url, `[${text}] is not an IPv6 address`, 'such as [::1] or [fe80::1%eth0]');
  }
  if (kind.endsWith('4')) throw wrongFamily(url, kind, 6);
  const scope = percent < 0 ? '' : parseScope(url, text.slice(percent + 1));
  return { host: formatIpv6(bytes), version: 6, scope };
}

function parseScope(url: string, text: string): string {
  if (DECIMAL.test(text)) return String(parseDecimal(url, text, 'scope', 1, SCOPE_MAX));
  if (isInterfaceName(text)) return text;
  throw wrongForm(url, `"${text}" is not a scope`, 'the name or the index of a network interface');
}

function parseHost(url: string, kind: InternetScheme, text: string): Host {
  const bytes = parseIpv4(text);
  if (bytes !== undefined) {
    if (kind.endsWith('6')) throw wrongFamily(url, kind, 4);
    return { host: text, version: 4, scope: '' };
  }
  // A name may end with the dot of the root.
  const labels = (text.endsWith('.') ? text.slice(0, -1) : text).split('.');
  if (NUMERIC_LABEL.test(labels.at(-1)!)) {
    const expected = 'four numbers from 0 to 255 without leading zeros, such as 127.0.0.1';
    throw wrongForm(url, `"${text}" is not an IPv4 address`, expected);
  }
  if (text.length > HOST_NAME_MAX) {
    throw wrongValue(url, `the host has ${text.length} characters`, `at most ${HOST_NAME_MAX}`);
  }
  if (!labels.every((label) => HOST_LABEL.test(label))) {
    const expected = 'labels of 1 to 63 letters, digits, "-" and "_" (others in the form xn--…)';
    throw wrongForm(url, `"${text}" is not a host name`, expected);
  }
  return { host: text, version: 0, scope: '' };
}

function wrongFamily(url: string, kind: InternetScheme, version: 4 | 6): TypeError {
  const any = kind.slice(0, 3);
  const problem = `${kind}:// takes no IPv${version} address`;
  return wrongForm(url, problem, `${any}:// or ${any}${version}://`);
}

function parseDecimal(url: string, text: string, what: string, min: number, max: number): number {
  const range = `a number from ${min} to ${max}`;
  if (text === '') throw wrongForm(url, `the ${what} is missing`, range);
  if (!DECIMAL.test(text)) throw wrongForm(url, `the ${what} "${text}" is not a number`, range);
  const value = Number(text);
  if (value < min || value > max) throw wrongValue(url, `the ${what} is ${text}`, range);
  return value;
}

/** Checks what follows the scheme of a Unix socket's address. */
export function checkUnixName(
  url: string,
  text: string,
  what: 'path' | 'name',
  kind = 'unix',
): void {
  const form =
    what === 'path' ? `${kind}:///absolute/path or ${kind}://./path` : `${kind}-abstract://name`;
  if (text === '') throw wrongForm(url, `the ${what} is empty`, form);
  if (text.includes('\0')) throw wrongForm(url, `the ${what} contains a NUL`, form);
  const bytes = Buffer.from(text);
  if (bytes.toString() !== text) throw wrongForm(url, `the ${what} has a lone surrogate`, form);
  if (bytes.length > UNIX_NAME_BYTES_MAX) {
    const length = `the ${what} is ${bytes.length} bytes long`;
    throw wrongValue(url, length, `at most ${UNIX_NAME_BYTES_MAX}, the room in a socket address`);
  }
}

function parseSystemdName(url: string, text: string): string | undefined {
  if (!SYSTEMD_NAME.test(text)) {
    throw wrongForm(url, `"${text}" is not a name`, 'printable ASCII characters without ":"');
  }
  if (text.length > SYSTEMD_NAME_MAX) {
    throw wrongValue(url, `the name is ${text.length} bytes long`, `at most ${SYSTEMD_NAME_MAX}`);
  }
  return text === '' ? undefined : text;
}

function missingScheme(url: string): TypeError {
  if (url.startsWith('/') || url.startsWith('.')) {
    return wrongForm(url, 'the scheme is missing', `unix://${url} for a Unix socket`);
  }
  if (url.startsWith('@')) {
    return wrongForm(url, 'the scheme is missing', `unix-abstract://${url.slice(1)}`);
  }
  if (/^[^/]+:\d+$/.test(url)) {
    return wrongForm(url, 'the scheme is missing', `tcp://${url}`);
  }
  return wrongForm(url, 'the scheme is missing', FORMS);
}

function unknownScheme(url: string, scheme: string): TypeError {
  const problem = `the scheme "${scheme}" is unknown`;
  if (/^(?:https?|wss?|tls|ssl|h2c?|grpcs?)$/.test(scheme)) {
    return wrongForm(
      url,
      `${scheme}:// is a protocol above TCP`,
      'the socket alone: tcp://host:port',
    );
  }
  if (/^(?:udp[46]?|unixgram(?:-abstract)?|unixpacket|seqpacket(?:-abstract)?)$/.test(scheme)) {
    return wrongForm(url, `${scheme}:// is not a stream socket`, FORMS);
  }
  return wrongForm(url, problem, FORMS);
}

function wrongForm(url: string, problem: string, expected: string): TypeError {
  return new TypeError(describeProblem(url, problem, expected));
}

function wrongValue(url: string, problem: string, expected: string): RangeError {
  return new RangeError(describeProblem(url, problem, expected));
}

function describeProblem(url: string, problem: string, expected: string): string {
  return `Cannot use the address ${JSON.stringify(url)}: ${problem}; expected ${expected}`;
}
