/**
 * From a socket that has something to read to the hooks: batches, up to the socket's budget in a turn, whose datagrams
 * are delivered one by one. Called by the hub inside the driver's `poll`.
 */

import { EAGAIN, EINTR } from '../../base/errno.js';
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  IPPROTO_UDP,
  MSG_TRUNC,
  SO_RXQ_OVFL,
  SOL_SOCKET,
  UDP_GRO,
} from '../../base/linux.js';
import { SystemError } from '../../errors.js';
import { Counter, Hook } from '../stats.js';
import { findControl } from './control.js';
import { onReceiveEnd } from './ending.js';
import type { DatagramEndpoint } from './endpoint.js';
import { readErrors, reportError } from './error-path.js';
import type { ReceiveBatch } from './receive-batch.js';
import { localAddressIn } from './send-batch.js';
import { drainBacklog } from './send-path.js';
import type { PeerSession } from './session.js';

export function onReady(endpoint: DatagramEndpoint, events: number): void {
  if (!endpoint.isOpen) {
    return;
  }
  if ((events & EPOLLERR) !== 0) {
    readErrors(endpoint);
  }
  if ((events & EPOLLOUT) !== 0) {
    drainBacklog(endpoint);
  }
  const isHangup = (events & EPOLLHUP) !== 0 || endpoint.failure !== undefined;
  if (endpoint.isOpen && isHangup && !endpoint.isReceiving) {
    // What still waits was for a peer that is gone.
    endpoint.end(endpoint.ending.code ?? 'ended');
    return;
  }
  // A hang-up is reported until the socket is closed: what was sent before it is taken even from a paused one.
  if (endpoint.isOpen && (isHangup || ((events & EPOLLIN) !== 0 && !endpoint.isPaused))) {
    receive(endpoint, isHangup);
  }
}

function receive(endpoint: DatagramEndpoint, isHangup: boolean): void {
  const { hub, profile } = endpoint;
  const batch = hub.receiveBatch(profile.receiveBytesMax);
  let budget = profile.receiveBudget;
  while (budget > 0 && endpoint.isReceiving && (!endpoint.isPaused || isHangup)) {
    const wanted = Math.min(budget, batch.table.count);
    hub.state.driver.counters.calls += 1;
    const n = batch.receive(endpoint.fd, wanted);
    if (n <= 0) {
      onNothing(endpoint, n, isHangup);
      return;
    }
    deliver(endpoint, batch, n, isHangup);
    if (n < wanted && !isHangup) {
      return;
    }
    budget -= n;
  }
}

function onNothing(endpoint: DatagramEndpoint, n: number, isHangup: boolean): void {
  if (n !== -EAGAIN && n !== -EINTR && n !== 0) {
    const error = new SystemError('receive', -n, endpoint.remoteAddress || endpoint.localAddress);
    if (endpoint.isConnection && isHangup) {
      endpoint.end('ended', error);
    } else if (endpoint.isConnection) {
      // There may be something to read before the end, which is reported again.
      endpoint.failure = error;
    } else {
      reportError(endpoint, error, endpoint.remote);
    }
  } else if (isHangup) {
    endpoint.end('ended');
  }
}

/** Delivers `n` datagrams of a batch. */
function deliver(
  endpoint: DatagramEndpoint,
  batch: ReceiveBatch,
  n: number,
  isHangup: boolean,
): void {
  const { table, bytesMax } = batch;
  const { stats } = endpoint.hub.state;
  let byteLength = 0;
  let truncated = 0;
  let received = 0;
  endpoint.peer.bytes = table.bytes;
  endpoint.peer.words = table.words;
  // Only the last datagram knows the latest count, and an endpoint that closes must not be asked.
  const overflow = overflowOf(batch, n - 1);
  for (let i = 0; i < n && endpoint.isReceiving; i += 1) {
    const length = table.length(i);
    if (length === 0 && endpoint.isConnection) {
      // As with a stream, where nothing is read there is nothing more to come.
      onReceiveEnd(endpoint, isHangup);
      break;
    }
    const kept = Math.min(length, bytesMax);
    byteLength += kept;
    received += 1;
    if ((table.flags(i) & MSG_TRUNC) !== 0) {
      truncated += 1;
    }
    endpoint.peer.point(table.nameAt(i), table.nameLength(i));
    if (endpoint.readsControl) {
      received += deliverWithControl(endpoint, batch, i, kept, length) - 1;
    } else {
      deliverOne(endpoint, batch.bytes(i, kept), length);
    }
  }
  endpoint.received += received;
  stats.add(Counter.datagramsReceived, received);
  stats.add(Counter.datagramBytesReceived, byteLength);
  if (truncated > 0) {
    endpoint.truncated += truncated;
    stats.add(Counter.datagramsTruncated, truncated);
  }
  noteOverflow(endpoint, overflow);
}

function overflowOf({ table }: ReceiveBatch, i: number): number {
  const length = table.controlLength(i);
  if (length === 0) {
    return -1;
  }
  const at = findControl(table.words, table.controlAt(i), length, SOL_SOCKET, SO_RXQ_OVFL);
  return at < 0 ? -1 : table.words[at >> 2] >>> 0;
}

/** The kernel counts in 32 bits since the socket was made. */
function noteOverflow(endpoint: DatagramEndpoint, count: number): void {
  if (count >= 0 && count !== endpoint.overflowSeen) {
    const more = (count - endpoint.overflowSeen) >>> 0;
    endpoint.overflowSeen = count;
    endpoint.overflowed += more;
    endpoint.hub.state.stats.add(Counter.datagramsOverflowed, more);
  }
}

/** With local addresses, or with datagrams that the kernel has put together. Returns how many there were. */
function deliverWithControl(
  endpoint: DatagramEndpoint,
  batch: ReceiveBatch,
  i: number,
  kept: number,
  length: number,
): number {
  const { table } = batch;
  const { profile, peer } = endpoint;
  peer.local = profile.localAddresses ? localAddressIn(table, i) : undefined;
  const at = profile.gro
    ? findControl(table.words, table.controlAt(i), table.controlLength(i), IPPROTO_UDP, UDP_GRO)
    : -1;
  const segmentBytes = at < 0 ? 0 : table.words[at >> 2];
  const bytes = batch.bytes(i, kept);
  if (segmentBytes <= 0 || segmentBytes >= length) {
    deliverOne(endpoint, bytes, length);
    return 1;
  }
  let count = 0;
  for (let start = 0; start < length && endpoint.isOpen; start += segmentBytes) {
    const end = Math.min(start + segmentBytes, length);
    deliverOne(endpoint, bytes.subarray(Math.min(start, kept), Math.min(end, kept)), end - start);
    count += 1;
  }
  return count;
}

function deliverOne(endpoint: DatagramEndpoint, bytes: Buffer, length: number): void {
  const { table, session } = endpoint;
  if (session !== undefined) {
    deliverToSession(endpoint, session, bytes, length);
  } else if (table !== undefined) {
    const found = table.find(endpoint.peer);
    if (found !== undefined) {
      deliverToSession(endpoint, found, bytes, length);
    }
  } else {
    deliverPlain(endpoint, bytes, length);
  }
}

function deliverPlain(endpoint: DatagramEndpoint, bytes: Buffer, length: number): void {
  const { hub, profile, peer } = endpoint;
  if (profile.onDatagram === undefined) {
    return;
  }
  const { stats } = hub.state;
  let action: unknown;
  stats.enterHook(Hook.onDatagram, -1);
  try {
    action = profile.onDatagram.call(profile.handler, endpoint, bytes, peer, length);
  } catch (error) {
    hub.failed(undefined, error);
  }
  stats.leaveHook();
  if (action !== undefined) {
    hub.act(undefined, action);
  }
}

function deliverToSession(
  endpoint: DatagramEndpoint,
  session: PeerSession,
  bytes: Buffer,
  length: number,
): void {
  // Its hook for the beginning may have closed it.
  if (!session.isOpen) {
    return;
  }
  const { hub, profile } = endpoint;
  session.lastReceived = hub.state.now;
  session.datagramsReceived += 1;
  session.bytesReceived += bytes.length;
  if (profile.onSessionData === undefined) {
    return;
  }
  const { stats } = hub.state;
  let action: unknown;
  stats.enterHook(Hook.onDatagram, -1);
  try {
    action = profile.onSessionData.call(profile.handler, session, bytes, length);
  } catch (error) {
    hub.failed(session, error);
  }
  stats.leaveHook();
  if (action !== undefined) {
    hub.act(session, action);
  }
}
