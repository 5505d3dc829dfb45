/**
 * Socket options as data: which level, name and bytes stand for an option of the public face, checked once and encoded
 * once. Nothing here makes a system call; what is encoded goes through the driver (`setOption`), or through the kernel
 * for a socket that no driver has yet.
 *
 * Rules:
 * - A wrong value throws TypeError (type) or RangeError (range) before anything is set.
 * - An option that the family does not have is left out, as the public face promises; Unix sockets have the two buffer
 *   sizes only.
 * - Compiled options are shared by all connections and must not be changed: applying them allocates nothing.
 *
 * Called by the listener (before bind, after listen), for each accepted Unix connection, by the dialer before connect,
 * and by `Connection.setOption` and `getOption`. Values and limits are those of tcp(7), socket(7), ipv6(7) and
 * net/ipv4/tcp.c.
 */

import type { ListenerOptions, SocketOptions } from '../api.js';
import type { Address } from '../base/address.js';
import { LINGER_SIZE } from '../base/layout.js';
import {
  AF_INET6,
  AF_UNIX,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  SO_BINDTODEVICE,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_RCVBUF,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOL_SOCKET,
  TCP_DEFER_ACCEPT,
  TCP_FASTOPEN,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_NOTSENT_LOWAT,
  TCP_USER_TIMEOUT,
} from '../base/linux.js';
import {
  checkInteger,
  DEVICE_BYTES,
  decodeDevice,
  decodeInteger,
  decodeLinger,
  describeValue,
  encodeDevice,
  encodeFlag,
  encodeInteger,
  encodeLinger,
  INT_BYTES,
  INT_MAX,
} from './option-values.js';

/** What setsockopt takes, and which option of the public face it came from. */
export interface EncodedOption {
  readonly option: keyof SocketOptions | keyof ListenerOptions;
  readonly level: number;
  readonly name: number;
  readonly value: Uint8Array;
}

export type EncodedOptions = readonly EncodedOption[];

/** Sets an option of one socket: `n >= 0`, or -errno. */
export type SetOption = (level: number, name: number, value: Uint8Array) => number;

/** Fills `value` and returns its length, or -errno. */
export type GetOption = (level: number, name: number, value: Uint8Array) => number;

export interface CompiledListenerOptions {
  readonly beforeBind: EncodedOptions;
  readonly afterListen: EncodedOptions;
}

type SocketOptionName = keyof SocketOptions;
type ListenerOptionName = Exclude<keyof ListenerOptions, 'backlog' | 'mode'>;

interface Row {
  readonly level: number;
  readonly name: number;
  /** `keepAlive` and `lingerSeconds` have a form of their own in addition. */
  readonly encoding: 'flag' | 'number' | 'device' | 'keep-alive' | 'linger';
  /** Which sockets have it. */
  readonly family: 'all' | 'internet' | 'ipv6';
  /** Of a number. */
  readonly min: number;
  readonly max: number;
}

/** MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL and MAX_TCP_KEEPCNT of net/tcp.h. */
const KEEP_SECONDS_MAX = 32_767;
const KEEP_COUNT_MAX = 127;
/** The kernel stores the queue's length in 32 bits and cuts it to net.core.somaxconn; 16 bits are portable. */
const FAST_OPEN_MAX = 0xffff;
const MODE_MAX = 0o777;

// In the order in which they are set: the device and the buffers matter before a socket connects.
const SOCKET_ROWS: Record<SocketOptionName, Row> = {
  bindToDevice: row(SOL_SOCKET, SO_BINDTODEVICE, 'device', 'internet'),
  sendBufferBytes: row(SOL_SOCKET, SO_SNDBUF, 'number', 'all', 1, INT_MAX),
  receiveBufferBytes: row(SOL_SOCKET, SO_RCVBUF, 'number', 'all', 1, INT_MAX),
  noDelay: row(IPPROTO_TCP, TCP_NODELAY, 'flag', 'internet'),
  keepAlive: row(SOL_SOCKET, SO_KEEPALIVE, 'keep-alive', 'internet'),
  lingerSeconds: row(SOL_SOCKET, SO_LINGER, 'linger', 'internet'),
  userTimeoutMs: row(IPPROTO_TCP, TCP_USER_TIMEOUT, 'number', 'internet', 0, INT_MAX),
  notSentLowWaterBytes: row(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 'number', 'internet', 0, INT_MAX),
};

const LISTENER_ROWS: Record<ListenerOptionName, Row> = {
  reuseAddress: row(SOL_SOCKET, SO_REUSEADDR, 'flag', 'internet'),
  reusePort: row(SOL_SOCKET, SO_REUSEPORT, 'flag', 'internet'),
  ipv6Only: row(IPPROTO_IPV6, IPV6_V6ONLY, 'flag', 'ipv6'),
  fastOpenQueue: row(IPPROTO_TCP, TCP_FASTOPEN, 'number', 'internet', 0, FAST_OPEN_MAX),
  deferAcceptSeconds: row(IPPROTO_TCP, TCP_DEFER_ACCEPT, 'number', 'internet', 0, INT_MAX),
};

const BEFORE_BIND = ['reuseAddress', 'reusePort', 'ipv6Only', 'fastOpenQueue'] as const;
const SOCKET_OPTION_NAMES = Object.keys(SOCKET_ROWS) as SocketOptionName[];

/**
 * One option as one or more calls, in order; `not-applicable` when sockets of `family` (AF_*) do not have it.
 * Throws TypeError or RangeError for a value that the option cannot have, whatever the family.
 */
export function encodeOption<Name extends SocketOptionName>(
  name: Name,
  value: SocketOptions[Name],
  family: number,
): EncodedOptions | 'not-applicable' {
  if (!Object.hasOwn(SOCKET_ROWS, name)) {
    const expected = SOCKET_OPTION_NAMES.join(', ');
    throw new TypeError(`There is no socket option "${String(name)}"; expected one of ${expected}`);
  }
  return encodeRow(name, SOCKET_ROWS[name], value, family);
}

/**
 * The options of one socket, ready to be set in order, before it connects or listens. TCP_NODELAY is on unless switched
 * off.
 */
export function compileSocketOptions(options: SocketOptions, family: number): EncodedOptions {
  const list: EncodedOption[] = [];
  for (const name of SOCKET_OPTION_NAMES) {
    const value = name === 'noDelay' ? (options.noDelay ?? true) : options[name];
    if (value === undefined) continue;
    const encoded = encodeOption(name, value, family);
    if (encoded !== 'not-applicable') list.push(...encoded);
  }
  return list;
}

/**
 * The options of a listening socket, those of its connections among them: TCP connections inherit all of them
 * (tcp_create_openreq_child in net/ipv4/tcp_minisocks.c; the window scale is settled by the receive buffer before there
 * is anything to accept, tcp(7)), which saves system calls for each. See the API for the defaults. `address` tells
 * `tcp6://`, which takes no IPv4 peers unless `ipv6Only` is false, from `tcp://`, which is dual-stack whatever
 * net.ipv6.bindv6only says. Checks `backlog` and `mode`, which are no socket options, too.
 */
export function compileListenerOptions(
  options: ListenerOptions & SocketOptions,
  family: number,
  address?: Address,
): CompiledListenerOptions {
  if (options.backlog !== undefined) checkInteger('backlog', options.backlog, 0, INT_MAX);
  if (options.mode !== undefined) checkInteger('mode', options.mode, 0, MODE_MAX);
  const beforeBind: EncodedOption[] = [];
  const afterListen: EncodedOption[] = [];
  const withDefaults = {
    ...options,
    reuseAddress: options.reuseAddress ?? true,
    ipv6Only: options.ipv6Only ?? address?.kind === 'tcp6',
  };
  for (const name of BEFORE_BIND) {
    push(beforeBind, name, LISTENER_ROWS[name], withDefaults[name], family);
  }
  beforeBind.push(...compileSocketOptions(options, family));
  const defer = LISTENER_ROWS.deferAcceptSeconds;
  push(afterListen, 'deferAcceptSeconds', defer, options.deferAcceptSeconds, family);
  return { beforeBind, afterListen };
}

/**
 * Sets compiled options in order and stops at the first that the system refuses: 0, or the positive errno and the
 * option.
 */
export function applyEncodedOptions(
  set: SetOption,
  options: EncodedOptions,
): 0 | { readonly errno: number; readonly option: EncodedOption['option'] } {
  for (const { option, level, name, value } of options) {
    const n = set(level, name, value);
    if (n < 0) return { errno: -n, option };
  }
  return 0;
}

/** Sets the options of one socket that is not connected yet; see `compileSocketOptions` for the default. */
export function applySocketOptions(
  set: SetOption,
  family: number,
  options: SocketOptions,
): ReturnType<typeof applyEncodedOptions> {
  return applyEncodedOptions(set, compileSocketOptions(options, family));
}

/**
 * The value in force, in the units of the public face; undefined where the family does not have the option or the
 * system does not tell. Linux reports twice the buffer sizes that were set, to account for its own bookkeeping
 * (socket(7)), at least its minimum and at most twice net.core.wmem_max or rmem_max. `bindToDevice` is empty when not
 * bound.
 */
export function readOption<Name extends SocketOptionName>(
  get: GetOption,
  name: Name,
  family: number,
): SocketOptions[Name] | undefined {
  if (!Object.hasOwn(SOCKET_ROWS, name) || !isApplicable(SOCKET_ROWS[name], family)) {
    return undefined;
  }
  return readRow(get, SOCKET_ROWS[name]) as SocketOptions[Name] | undefined;
}

function readRow(get: GetOption, row: Row): SocketOptions[SocketOptionName] | undefined {
  switch (row.encoding) {
    case 'number':
      return readInteger(get, row.level, row.name);
    case 'flag': {
      const value = readInteger(get, row.level, row.name);
      return value === undefined ? undefined : value !== 0;
    }
    case 'keep-alive':
      return readKeepAlive(get);
    case 'linger': {
      const value = new Uint8Array(LINGER_SIZE);
      return get(row.level, row.name, value) < LINGER_SIZE ? undefined : decodeLinger(value);
    }
    case 'device': {
      const value = new Uint8Array(DEVICE_BYTES);
      const length = get(row.level, row.name, value);
      return length < 0 ? undefined : decodeDevice(value, length);
    }
  }
}

function readKeepAlive(get: GetOption): SocketOptions['keepAlive'] | undefined {
  const isOn = readInteger(get, SOL_SOCKET, SO_KEEPALIVE);
  if (isOn === undefined || isOn === 0) return isOn === undefined ? undefined : false;
  const idleSeconds = readInteger(get, IPPROTO_TCP, TCP_KEEPIDLE);
  const intervalSeconds = readInteger(get, IPPROTO_TCP, TCP_KEEPINTVL);
  const count = readInteger(get, IPPROTO_TCP, TCP_KEEPCNT);
  if (idleSeconds === undefined || intervalSeconds === undefined || count === undefined) {
    return true;
  }
  return { idleSeconds, intervalSeconds, count };
}

function readInteger(get: GetOption, level: number, name: number): number | undefined {
  const value = new Uint8Array(INT_BYTES);
  return get(level, name, value) < INT_BYTES ? undefined : decodeInteger(value);
}

function push(
  list: EncodedOption[],
  option: EncodedOption['option'],
  row: Row,
  value: unknown,
  family: number,
): void {
  if (value === undefined) return;
  const encoded = encodeRow(option, row, value, family);
  if (encoded !== 'not-applicable') list.push(...encoded);
}

function encodeRow(
  option: EncodedOption['option'],
  row: Row,
  value: unknown,
  family: number,
): EncodedOptions | 'not-applicable' {
  const encoded =
    row.encoding === 'keep-alive'
      ? encodeKeepAlive(value)
      : [{ option, level: row.level, name: row.name, value: encodeValue(option, row, value) }];
  return isApplicable(row, family) ? encoded : 'not-applicable';
}

function encodeValue(option: string, row: Row, value: unknown): Uint8Array {
  switch (row.encoding) {
    case 'linger':
      return encodeLinger(option, value);
    case 'device':
      return encodeDevice(option, value);
    case 'number':
      return encodeInteger(checkInteger(option, value, row.min, row.max));
    default:
      return encodeFlag(option, value);
  }
}

/** The three values come first, so that the timer starts with them. */
function encodeKeepAlive(value: unknown): EncodedOptions {
  const option = 'keepAlive';
  const calls: EncodedOption[] = [];
  if (typeof value === 'object' && value !== null) {
    const { idleSeconds, intervalSeconds, count } = value as Record<string, unknown>;
    const add = (name: number, field: string, fieldValue: unknown, max: number) => {
      const n = checkInteger(`${option}.${field}`, fieldValue, 1, max);
      calls.push({ option, level: IPPROTO_TCP, name, value: encodeInteger(n) });
    };
    add(TCP_KEEPIDLE, 'idleSeconds', idleSeconds, KEEP_SECONDS_MAX);
    add(TCP_KEEPINTVL, 'intervalSeconds', intervalSeconds, KEEP_SECONDS_MAX);
    add(TCP_KEEPCNT, 'count', count, KEEP_COUNT_MAX);
  } else if (typeof value !== 'boolean') {
    const expected = 'true, false or { idleSeconds, intervalSeconds, count }';
    throw new TypeError(`${option} is ${describeValue(value)}; expected ${expected}`);
  }
  const isOn = encodeInteger(value === false ? 0 : 1);
  calls.push({ option, level: SOL_SOCKET, name: SO_KEEPALIVE, value: isOn });
  return calls;
}

function isApplicable({ family: needed }: Row, family: number): boolean {
  if (needed === 'all') return true;
  return needed === 'ipv6' ? family === AF_INET6 : family !== AF_UNIX;
}

function row(
  level: number,
  name: number,
  encoding: Row['encoding'],
  family: Row['family'],
  min = 0,
  max = 0,
): Row {
  return { level, name, encoding, family, min, max };
}
