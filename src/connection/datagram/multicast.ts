/** Groups that a socket joins and leaves (RFC 3678), and the options that can be changed on an open socket. */

import { parseIpv4, parseIpv6 } from '../../base/ip-address.js';
import {
  GROUP_REQ_GROUP,
  GROUP_REQ_INTERFACE,
  GROUP_REQ_SIZE,
  GROUP_SOURCE_REQ_SIZE,
  GROUP_SOURCE_REQ_SOURCE,
  SOCKADDR_IN_ADDRESS,
  SOCKADDR_IN6_ADDRESS,
} from '../../base/layout.js';
import * as linux from '../../base/linux.js';
import type { MulticastGroup } from '../../datagrams.js';
import { SystemError } from '../../errors.js';
import type { DatagramEndpoint } from './endpoint.js';
import { encodeLive, interfaceIndexOf, type LiveOption } from './socket-options.js';

/** Throws SystemError when the system refuses, TypeError for what is no group. Nothing once closed. */
export function changeMembership(
  endpoint: DatagramEndpoint,
  wanted: MulticastGroup | string,
  isJoining: boolean,
): void {
  const {
    group,
    source,
    interface: device = 0,
  } = typeof wanted === 'string' ? { group: wanted } : wanted;
  const family = familyOfIp(group, 'group');
  if (!isMulticast(group)) {
    throw new TypeError(`${group} is not the address of a multicast group`);
  }
  if (
    endpoint.family === linux.AF_UNIX ||
    (endpoint.family === linux.AF_INET && family !== linux.AF_INET)
  ) {
    throw new TypeError(`A socket on ${endpoint.localAddress} cannot join ${group}`);
  }
  const bytes = new Uint8Array(source === undefined ? GROUP_REQ_SIZE : GROUP_SOURCE_REQ_SIZE);
  new DataView(bytes.buffer).setUint32(GROUP_REQ_INTERFACE, interfaceIndexOf(device), true);
  putAddress(bytes, GROUP_REQ_GROUP, group, family);
  if (source !== undefined) {
    if (familyOfIp(source, 'source') !== family) {
      throw new TypeError(`The source ${source} and the group ${group} are of different families`);
    }
    putAddress(bytes, GROUP_SOURCE_REQ_SOURCE, source, family);
  }
  const level = family === linux.AF_INET ? linux.IPPROTO_IP : linux.IPPROTO_IPV6;
  const name = nameOf(isJoining, source !== undefined);
  if (endpoint.isOpen) {
    const n = endpoint.hub.state.driver.setOption(endpoint.slot, level, name, bytes);
    if (n < 0) {
      throw new SystemError(isJoining ? 'join' : 'leave', -n, group);
    }
  }
}

function nameOf(isJoining: boolean, hasSource: boolean): number {
  if (hasSource) {
    return isJoining ? linux.MCAST_JOIN_SOURCE_GROUP : linux.MCAST_LEAVE_SOURCE_GROUP;
  }
  return isJoining ? linux.MCAST_JOIN_GROUP : linux.MCAST_LEAVE_GROUP;
}

export function setOption(endpoint: DatagramEndpoint, option: LiveOption, value: unknown): void {
  const encoded = encodeLive(option, value, endpoint.family);
  if (encoded === undefined) {
    throw new TypeError(`A socket on ${endpoint.localAddress} has no option ${option}`);
  }
  if (endpoint.isOpen) {
    const { level, name, value: bytes } = encoded;
    const n = endpoint.hub.state.driver.setOption(endpoint.slot, level, name, bytes);
    if (n < 0) {
      throw new SystemError(`set ${option} of`, -n, endpoint.localAddress);
    }
  }
}

function familyOfIp(text: unknown, what: string): number {
  if (typeof text === 'string' && parseIpv4(text) !== undefined) {
    return linux.AF_INET;
  }
  if (typeof text === 'string' && parseIpv6(text) !== undefined) {
    return linux.AF_INET6;
  }
  throw new TypeError(`Expected ${what} to be an IP address, got ${String(text)}`);
}

/** RFC 5771 and RFC 4291, section 2.7. */
function isMulticast(group: string): boolean {
  const four = parseIpv4(group);
  return four === undefined ? parseIpv6(group)?.[0] === 0xff : (four[0] & 0xf0) === 0xe0;
}

function putAddress(bytes: Uint8Array, at: number, text: string, family: number): void {
  bytes[at] = family;
  if (family === linux.AF_INET) {
    bytes.set(parseIpv4(text)!, at + SOCKADDR_IN_ADDRESS);
  } else {
    bytes.set(parseIpv6(text)!, at + SOCKADDR_IN6_ADDRESS);
  }
}
