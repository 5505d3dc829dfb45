/**
 * From `send` to the kernel: datagrams are gathered in the reactor's batch, go out together, and wait in the socket's
 * backlog when the kernel has no room. One that the kernel refuses is dropped and reported; the others go on.
 */

import { EAGAIN, ECONNRESET, EINVAL, EIO, EMSGSIZE, ENOBUFS } from '../../base/errno.js';
import { AF_INET, AF_INET6 } from '../../base/linux.js';
import type { DatagramPeer, SendResult } from '../../datagrams.js';
import { SystemError } from '../../errors.js';
import { Counter } from '../stats.js';
import type { QueuedDatagram } from './backlog.js';
import type { DatagramEndpoint } from './endpoint.js';
import { readErrors, reportError } from './error-path.js';
import type { PeerAddress } from './peer-address.js';
import { WHEN_FULL_DROP_NEW, WHEN_FULL_DROP_OLDEST } from './profile.js';
import { SEGMENTS_MAX, SEND_BATCH_BYTES, type SendBatch } from './send-batch.js';

/** An IP packet's 65,535 bytes without the headers; IPv6 does not count its own. */
const BYTES_MAX_IPV4 = 65_507;
const BYTES_MAX_IPV6 = 65_527;
/** How long a datagram waits for a Unix peer that does not read. */
const EXPIRE_MS = 5_000;
/** Pauses between attempts, where nothing says that a peer has room: doubled while it has none. */
const RETRY_MIN_MS = 1;
const RETRY_MAX_MS = 64;

export function sendDatagram(
  endpoint: DatagramEndpoint,
  data: Uint8Array | string,
  to: DatagramPeer | string | undefined,
  segmentBytes: number,
): SendResult {
  const isText = typeof data === 'string';
  if (!isText && !(data instanceof Uint8Array)) {
    throw new TypeError(`Cannot send: expected a Uint8Array or a string, got ${String(data)}`);
  }
  if (!endpoint.isOpen || endpoint.ending.isSendEnded) {
    return 'closed';
  }
  const peer = endpoint.peerFor(to);
  const byteLength = isText ? Buffer.byteLength(data) : data.length;
  if (byteLength > bytesMaxOf(endpoint)) {
    return 'too-long';
  }
  if (endpoint.backlog.holds(peer)) {
    return wait(endpoint, isText ? Buffer.from(data) : data, peer, segmentBytes);
  }
  const { hub } = endpoint;
  let batch = hub.gatherFor(endpoint);
  if (!batch.fits(byteLength)) {
    hub.flush();
    batch = hub.gatherFor(endpoint);
    if (endpoint.backlog.holds(peer)) {
      return wait(endpoint, isText ? Buffer.from(data) : data, peer, segmentBytes);
    }
  }
  const mayJoin = endpoint.canSegment && byteLength <= endpoint.segmentBytesMax;
  batch.add(data, byteLength, peer, segmentBytes, mayJoin);
  if (!hub.state.inTurn) {
    hub.state.requestTurn();
  }
  return 'queued';
}

export function sendSegments(
  endpoint: DatagramEndpoint,
  data: Uint8Array,
  segmentBytes: number,
  to: DatagramPeer | string | undefined,
): SendResult {
  if (!(data instanceof Uint8Array)) {
    throw new TypeError(`Cannot send: expected a Uint8Array, got ${String(data)}`);
  }
  if (!Number.isInteger(segmentBytes) || segmentBytes < 1 || segmentBytes > BYTES_MAX_IPV4) {
    throw new RangeError(
      `Expected segmentBytes to be 1 to ${BYTES_MAX_IPV4}, got ${String(segmentBytes)}`,
    );
  }
  const { length: byteLength } = data;
  if (byteLength <= segmentBytes) {
    return sendDatagram(endpoint, data, to, 0);
  }
  if (byteLength > BYTES_MAX_IPV4 || byteLength > segmentBytes * SEGMENTS_MAX) {
    return 'too-long';
  }
  if (!endpoint.canSegment || segmentBytes > endpoint.segmentBytesMax) {
    return sendApart(endpoint, data, segmentBytes, to);
  }
  return sendDatagram(endpoint, data, to, segmentBytes);
}

/** As separate datagrams: where the kernel or the path cannot divide them. */
function sendApart(
  endpoint: DatagramEndpoint,
  data: Uint8Array,
  segmentBytes: number,
  to: DatagramPeer | string | undefined,
): SendResult {
  let result: SendResult = 'queued';
  for (let at = 0; at < data.length; at += segmentBytes) {
    result = sendDatagram(endpoint, data.subarray(at, at + segmentBytes), to, 0);
    if (result !== 'queued' && result !== 'sent') {
      return result;
    }
  }
  return result;
}

function bytesMaxOf({ family }: DatagramEndpoint): number {
  if (family === AF_INET) {
    return BYTES_MAX_IPV4;
  }
  return family === AF_INET6 ? BYTES_MAX_IPV6 : SEND_BATCH_BYTES;
}

/** Behind others that wait. */
function wait(
  endpoint: DatagramEndpoint,
  data: Uint8Array,
  peer: PeerAddress | undefined,
  segmentBytes: number,
): SendResult {
  const { backlog, profile } = endpoint;
  const { length: byteLength } = data;
  while (!backlog.hasRoom(byteLength, peer)) {
    if (profile.whenFull !== WHEN_FULL_DROP_OLDEST) {
      return refuse(endpoint);
    }
    if (backlog.dropOldest(peer) === undefined) {
      return refuse(endpoint);
    }
    noteDropped(endpoint);
  }
  const bytes = Buffer.from(data);
  queue(endpoint, { bytes, peer: peer?.keep(), segmentBytes });
  return 'queued';
}

function refuse(endpoint: DatagramEndpoint): SendResult {
  if (endpoint.profile.whenFull === WHEN_FULL_DROP_NEW) {
    noteDropped(endpoint);
    return 'dropped';
  }
  endpoint.hasRefused = true;
  endpoint.hub.state.stats.add(Counter.refusedWriteFull, 1);
  return 'full';
}

function queue(
  endpoint: DatagramEndpoint,
  datagram: Pick<QueuedDatagram, 'bytes' | 'peer' | 'segmentBytes'>,
): void {
  const { backlog, hub } = endpoint;
  backlog.push({ ...datagram, since: hub.state.now, key: backlog.keyOf(datagram.peer) });
  endpoint.awaitRoom();
}

export function noteDropped(endpoint: DatagramEndpoint, count = 1): void {
  endpoint.dropped += count;
  endpoint.hub.state.stats.add(Counter.datagramsDropped, count);
}

/** Sends what is gathered; what finds no room goes to the backlog. */
export function flushGathered(endpoint: DatagramEndpoint, batch: SendBatch): void {
  const blocked = transmit(endpoint, batch);
  if (blocked !== undefined) {
    for (const i of blocked) {
      queueMessage(endpoint, batch, i);
    }
  }
  batch.clear();
}

/** Puts the datagrams of a gathered message into the queue, each by itself. */
function queueMessage(endpoint: DatagramEndpoint, batch: SendBatch, i: number): void {
  const { backlog } = endpoint;
  const all = Buffer.from(batch.payload(i));
  const peer = batch.peer(i, endpoint.scheme);
  const step = batch.segmentBytes(i) || Math.max(1, all.length);
  let at = 0;
  do {
    const bytes = all.subarray(at, at + step);
    // They were taken before it was known that the kernel is full: a batch of them may exceed the queue's limit, but
    // not, where each peer waits by itself, the peer's.
    if (backlog.isPerPeer && !backlog.hasRoom(bytes.length, peer)) {
      noteDropped(endpoint);
    } else {
      queue(endpoint, { bytes, peer, segmentBytes: 0 });
    }
    at += step;
  } while (at < all.length);
}

/** Sends a batch: which messages found no room, undefined for none. Others were sent, or dropped and reported. */
function transmit(endpoint: DatagramEndpoint, batch: SendBatch): number[] | undefined {
  const { driver, stats } = endpoint.hub.state;
  let blocked: number[] | undefined;
  let unsent = 0;
  let unsentBytes = 0;
  let retried = -1;
  for (let first = 0; first < batch.count; ) {
    if (!endpoint.isOpen) {
      // Its connection ended, as an attempt has found out.
      unsent += batch.datagramsOf(first);
      unsentBytes += batch.payloadLength(first);
      noteDropped(endpoint, batch.datagramsOf(first));
      first += 1;
      continue;
    }
    driver.counters.calls += 1;
    const n = batch.send(endpoint.fd, first);
    if (n > 0) {
      first += n;
    } else if (n === -EAGAIN) {
      blocked ??= [];
      const end = endpoint.backlog.isPerPeer ? first + 1 : batch.count;
      for (; first < end; first += 1) {
        blocked.push(first);
        unsent += batch.datagramsOf(first);
        unsentBytes += batch.payloadLength(first);
      }
    } else if (retried !== first && n !== -EMSGSIZE && n !== -EINVAL) {
      // It may be the error of an earlier one, which the socket kept: taken, it is gone.
      retried = first;
      if (endpoint.isConnection && n === -ECONNRESET) {
        // Told once, and here: the end that follows has this cause.
        endpoint.failure ??= new SystemError('send', ECONNRESET, endpoint.remoteAddress);
      }
      readErrors(endpoint);
    } else {
      unsent += batch.datagramsOf(first);
      unsentBytes += batch.payloadLength(first);
      fail(endpoint, batch, first, -n);
      first += 1;
    }
  }
  endpoint.sent += batch.datagrams - unsent;
  stats.add(Counter.datagramsSent, batch.datagrams - unsent);
  stats.add(Counter.datagramBytesSent, batch.byteLength - unsentBytes);
  return blocked;
}

/** The kernel refuses a message for good. */
function fail(endpoint: DatagramEndpoint, batch: SendBatch, i: number, errno: number): void {
  const segmentBytes = batch.segmentBytes(i);
  if (segmentBytes !== 0 && (errno === EINVAL || errno === EIO || errno === EMSGSIZE)) {
    // Larger segments than the path takes, or a device without checksums: then as datagrams of their own. A port of 0,
    // which a sender may forge, is wrong as well, and says nothing about segments.
    if (errno === EIO) {
      endpoint.canSegment = false;
    } else if ((batch.peer(i, endpoint.scheme) ?? endpoint.remote)?.port !== 0) {
      endpoint.segmentBytesMax = Math.min(endpoint.segmentBytesMax, segmentBytes - 1);
    }
    queueMessage(endpoint, batch, i);
    return;
  }
  noteDropped(endpoint, batch.datagramsOf(i));
  // A full queue of the network card is no error of this datagram's.
  if (errno !== ENOBUFS) {
    const peer = batch.peer(i, endpoint.scheme) ?? endpoint.remote;
    reportError(endpoint, new SystemError('send', errno, peer?.address), peer);
  }
}

/** There may be room again: sends what waits, in order. */
export function drainBacklog(endpoint: DatagramEndpoint): void {
  const { hub, backlog } = endpoint;
  const batch = hub.emptyBatch();
  const items = backlog.takeAll();
  const kept: QueuedDatagram[] = [];
  const blockedKeys = new Set<string>();
  let at = 0;
  while (at < items.length && endpoint.isOpen) {
    const gathered: QueuedDatagram[] = [];
    const keys = new Set<string>();
    for (; at < items.length && batch.fits(items[at].bytes.length); at += 1) {
      const item = items[at];
      if (blockedKeys.has(item.key)) {
        kept.push(item);
        continue;
      }
      // Where each peer waits by itself: with one of each in a batch, none overtakes another.
      if (backlog.isPerPeer && keys.has(item.key)) {
        break;
      }
      keys.add(item.key);
      // Not joined: each has to be found again if there is no room.
      batch.add(item.bytes, item.bytes.length, item.peer, item.segmentBytes, false);
      gathered.push(item);
    }
    const blocked = transmit(endpoint, batch) ?? [];
    batch.clear();
    for (const i of blocked) {
      blockedKeys.add(gathered[i].key);
      kept.push(gathered[i]);
    }
    if (blocked.length > 0 && !backlog.isPerPeer) {
      break;
    }
  }
  if (!endpoint.isOpen) {
    return;
  }
  kept.push(...items.slice(at));
  if (kept.length < items.length) {
    endpoint.ending.progress = endpoint.hub.state.now;
  }
  endpoint.retryMs = kept.length < items.length ? RETRY_MIN_MS : endpoint.retryMs;
  backlog.restore(backlog.isPerPeer ? unexpired(endpoint, kept) : kept);
  endpoint.awaitRoom();
}

/** Nobody says that a Unix peer will ever read. */
function unexpired(endpoint: DatagramEndpoint, items: QueuedDatagram[]): QueuedDatagram[] {
  const { now } = endpoint.hub.state;
  return items.filter((item) => {
    const isDue = now - item.since < EXPIRE_MS;
    if (!isDue) {
      noteDropped(endpoint);
    }
    return isDue;
  });
}

/** The next pause before a Unix peer is tried again. */
export function nextRetry(endpoint: DatagramEndpoint): number {
  const milliseconds = Math.max(RETRY_MIN_MS, endpoint.retryMs);
  endpoint.retryMs = Math.min(RETRY_MAX_MS, milliseconds * 2);
  return milliseconds;
}
