/**
 * Options of datagram sockets as data: which level, name and bytes stand for an option of the public face in a family.
 * Nothing here makes a system call. Values and limits are those of ip(7), ipv6(7), udp(7) and socket(7).
 */

import { indexOfInterface } from '../../base/address.js';
import { ENODEV } from '../../base/errno.js';
import { IP_MREQN_INTERFACE, IP_MREQN_SIZE } from '../../base/layout.js';
import * as linux from '../../base/linux.js';
import type { DatagramOptions } from '../../datagrams.js';
import { SystemError } from '../../errors.js';
import {
  checkInteger,
  encodeDevice,
  encodeFlag,
  encodeInteger,
  INT_MAX,
} from '../option-values.js';

export interface DatagramOption {
  readonly level: number;
  readonly name: number;
  readonly value: Uint8Array;
}

/** Those that can be set on an open socket. */
export type LiveOption =
  | 'ttl'
  | 'multicastTtl'
  | 'multicastLoopback'
  | 'multicastInterface'
  | 'broadcast';

const { AF_INET, AF_INET6, AF_UNIX, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, SOL_SOCKET } = linux;

/** One option of the family; undefined where it has none. Throws TypeError, RangeError, SystemError (ENODEV). */
export function encodeLive(
  option: LiveOption,
  value: unknown,
  family: number,
): DatagramOption | undefined {
  const isSix = family === AF_INET6;
  const level = isSix ? IPPROTO_IPV6 : IPPROTO_IP;
  const encoded = encodeValue(option, value, family);
  switch (option) {
    case 'broadcast':
      return family === AF_INET
        ? { level: SOL_SOCKET, name: linux.SO_BROADCAST, value: encoded }
        : undefined;
    case 'ttl':
      return onInternet(family, level, isSix ? linux.IPV6_UNICAST_HOPS : linux.IP_TTL, encoded);
    case 'multicastTtl': {
      const name = isSix ? linux.IPV6_MULTICAST_HOPS : linux.IP_MULTICAST_TTL;
      return onInternet(family, level, name, encoded);
    }
    case 'multicastLoopback': {
      const name = isSix ? linux.IPV6_MULTICAST_LOOP : linux.IP_MULTICAST_LOOP;
      return onInternet(family, level, name, encoded);
    }
    case 'multicastInterface': {
      const name = isSix ? linux.IPV6_MULTICAST_IF : linux.IP_MULTICAST_IF;
      return onInternet(family, level, name, encoded);
    }
  }
}

function encodeValue(option: LiveOption, value: unknown, family: number): Uint8Array {
  switch (option) {
    case 'ttl':
      return encodeInteger(checkInteger(option, value, 1, 255));
    case 'multicastTtl':
      return encodeInteger(checkInteger(option, value, 0, 255));
    case 'multicastInterface':
      return encodeInterface(interfaceIndexOf(value), family);
    default:
      return encodeFlag(option, value);
  }
}

function onInternet(
  family: number,
  level: number,
  name: number,
  value: Uint8Array,
): DatagramOption | undefined {
  return family === AF_UNIX ? undefined : { level, name, value };
}

function encodeInterface(index: number, family: number): Uint8Array {
  if (family === AF_INET6) {
    return encodeInteger(index);
  }
  const bytes = new Uint8Array(IP_MREQN_SIZE);
  new DataView(bytes.buffer).setInt32(IP_MREQN_INTERFACE, index, true);
  return bytes;
}

/** The index of an interface given by name or index. Throws SystemError (ENODEV) for a name that none has. */
export function interfaceIndexOf(device: unknown): number {
  if (typeof device === 'number') {
    return checkInteger('interface', device, 0, INT_MAX);
  }
  if (typeof device !== 'string') {
    throw new TypeError(`Expected the name or index of an interface, got ${String(device)}`);
  }
  const index = indexOfInterface(device);
  if (index === 0) {
    throw new SystemError('find the interface', ENODEV, device);
  }
  return index;
}

const LIVE: readonly LiveOption[] = [
  'ttl',
  'multicastTtl',
  'multicastLoopback',
  'multicastInterface',
  'broadcast',
];

/** What is set before a socket is bound, in order. `wantsErrors`: they are to be queued with whom they are about. */
export function compileDatagramOptions(
  options: DatagramOptions,
  family: number,
  isIpv6Only: boolean,
  wantsErrors: boolean,
): DatagramOption[] {
  const list: DatagramOption[] = [];
  const add = (level: number, name: number, value: Uint8Array) => list.push({ level, name, value });
  const isSix = family === AF_INET6;
  const { receiveBufferBytes, sendBufferBytes, bindToDevice } = options;
  if (receiveBufferBytes !== undefined) {
    const n = checkInteger('receiveBufferBytes', receiveBufferBytes, 1, INT_MAX);
    add(SOL_SOCKET, linux.SO_RCVBUF, encodeInteger(n));
  }
  if (sendBufferBytes !== undefined) {
    const n = checkInteger('sendBufferBytes', sendBufferBytes, 1, INT_MAX);
    add(SOL_SOCKET, linux.SO_SNDBUF, encodeInteger(n));
  }
  for (const option of ['reusePort', 'reuseAddress', 'ipv6Only'] as const) {
    if (options[option] !== undefined) {
      encodeFlag(option, options[option]);
    }
  }
  if (family === AF_UNIX) {
    return list;
  }
  if (bindToDevice !== undefined) {
    add(SOL_SOCKET, linux.SO_BINDTODEVICE, encodeDevice('bindToDevice', bindToDevice));
  }
  if (options.reuseAddress === true) {
    add(SOL_SOCKET, linux.SO_REUSEADDR, encodeInteger(1));
  }
  if (isSix) {
    add(IPPROTO_IPV6, linux.IPV6_V6ONLY, encodeInteger(isIpv6Only ? 1 : 0));
  }
  // Linux gives a socket that is bound to the wildcard what comes to any group that anybody on the machine has joined.
  add(
    isSix ? IPPROTO_IPV6 : IPPROTO_IP,
    isSix ? linux.IPV6_MULTICAST_ALL : linux.IP_MULTICAST_ALL,
    encodeInteger(0),
  );
  add(SOL_SOCKET, linux.SO_RXQ_OVFL, encodeInteger(1));
  if (wantsErrors) {
    addBoth(list, isSix && !isIpv6Only, isSix, linux.IP_RECVERR, linux.IPV6_RECVERR);
  }
  if (options.localAddresses === true) {
    addBoth(list, isSix && !isIpv6Only, isSix, linux.IP_PKTINFO, linux.IPV6_RECVPKTINFO);
  }
  if (options.gro === true) {
    add(IPPROTO_UDP, linux.UDP_GRO, encodeInteger(1));
  }
  for (const option of LIVE) {
    const value = options[option];
    const encoded = value === undefined ? undefined : encodeLive(option, value, family);
    if (encoded !== undefined) {
      list.push(encoded);
    }
  }
  return list;
}

/** A dual-stack socket wants both: what comes by IPv4 is told in IPv4's way. */
function addBoth(
  list: DatagramOption[],
  isDual: boolean,
  isSix: boolean,
  four: number,
  six: number,
): void {
  const value = encodeInteger(1);
  if (isSix) {
    list.push({ level: IPPROTO_IPV6, name: six, value });
  }
  if (!isSix || isDual) {
    list.push({ level: IPPROTO_IP, name: four, value });
  }
}
