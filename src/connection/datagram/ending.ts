/**
 * How seqpacket connections end, as connections of streams do: each direction by itself, or both after what is queued
 * has gone out, within deadlines. Datagram sockets have no end that the other side would see: they just close.
 */

import { SHUT_WR } from '../../base/linux.js';
import { Counter } from '../stats.js';
import { clearUserTimer, setUserTimer } from '../user-timers.js';
import type { DatagramEndpoint } from './endpoint.js';

export type EndingCode = 'closed' | 'ended' | 'shutdown';

/** More than a Unix socket's receive queue holds (net.unix.max_dgram_qlen), in batches of 64. */
const DISCARDS = 16;

/** What an endpoint knows of its end. */
export class Ending {
  /** No more is taken to be sent. */
  isSendEnded = false;
  /** The other side was told. */
  isShutDown = false;
  /** The other side sends no more. */
  isReceiveEnded = false;
  /** Closes when the queue is empty, with this reason. */
  code: EndingCode | undefined;
  /** When the kernel last took something while others waited, in milliseconds of the reactor's clock. */
  progress = 0;
  timer = -1;
  /** What the timer is for. */
  timeout: 'write' | 'linger' = 'write';
}

/** Sends what is queued, tells the peer, and closes; at once where nothing waits, or nobody would see the end. */
export function finish(endpoint: DatagramEndpoint, code: EndingCode): void {
  const { ending, profile } = endpoint;
  if (!endpoint.isOpen || ending.code !== undefined) {
    return;
  }
  if (endpoint.isConnection) {
    endpoint.flush();
  }
  // Flushing may have found out that it is over.
  if (!endpoint.isOpen) {
    return;
  }
  if (!endpoint.isConnection || endpoint.backlog.count === 0) {
    conclude(endpoint, code);
    return;
  }
  ending.code = code;
  ending.isSendEnded = true;
  endpoint.updateInterest();
  arm(endpoint, 'linger', profile.lingerTimeoutMs);
}

/** No more is sent, after what is queued; the peer sees an end, and may go on sending. */
export function endSending(endpoint: DatagramEndpoint): void {
  const { ending } = endpoint;
  if (endpoint.isOpen && endpoint.isConnection && !ending.isSendEnded) {
    ending.isSendEnded = true;
    endpoint.flush();
    onQueueEmpty(endpoint);
  }
}

/** The peer sends no more: it has half closed its connection, or closed it (`isHangup`). */
export function onReceiveEnd(endpoint: DatagramEndpoint, isHangup: boolean): void {
  const { ending, session, profile, hub, failure } = endpoint;
  if (!ending.isReceiveEnded && failure === undefined) {
    ending.isReceiveEnded = true;
    endpoint.updateInterest();
    const { onSessionEnd, handler } = profile;
    if (session !== undefined && onSessionEnd !== undefined) {
      hub.run(session, () => onSessionEnd.call(handler, session));
    }
  }
  if (isHangup || failure !== undefined) {
    endpoint.end('ended');
    return;
  }
  if (!endpoint.isReceiving) {
    return;
  }
  if (session === undefined || !profile.allowHalfOpen) {
    finish(endpoint, 'ended');
  } else {
    onQueueEmpty(endpoint);
  }
}

/** What is to follow when nothing waits any more. */
export function onQueueEmpty(endpoint: DatagramEndpoint): void {
  const { ending, hub } = endpoint;
  if (!endpoint.isOpen || endpoint.backlog.count > 0) {
    return;
  }
  clearTimer(endpoint);
  if (!ending.isSendEnded) {
    return;
  }
  if (ending.code !== undefined) {
    conclude(endpoint, ending.code);
  } else if (ending.isReceiveEnded) {
    conclude(endpoint, 'ended');
  } else if (!ending.isShutDown) {
    ending.isShutDown = true;
    hub.state.kernel.shutdown(endpoint.fd, SHUT_WR);
  }
}

/** Messages wait for a peer that does not read: for so long. */
export function watchProgress(endpoint: DatagramEndpoint): void {
  const { ending, profile, hub } = endpoint;
  if (endpoint.isConnection && ending.timer < 0 && profile.writeTimeoutMs > 0) {
    ending.progress = hub.state.now;
    arm(endpoint, 'write', profile.writeTimeoutMs);
  }
}

export function clearTimer({ ending, hub }: DatagramEndpoint): void {
  clearUserTimer(hub.state, ending.timer);
  ending.timer = -1;
}

function arm(endpoint: DatagramEndpoint, timeout: 'write' | 'linger', milliseconds: number): void {
  const { ending, hub } = endpoint;
  clearTimer(endpoint);
  ending.timeout = timeout;
  try {
    ending.timer = setUserTimer(hub.state, milliseconds, () => onTimer(endpoint));
  } catch (error) {
    // No timer is left: what cannot be bounded ends now.
    endpoint.end('error', error as Error);
  }
}

function onTimer(endpoint: DatagramEndpoint): void {
  const { ending, profile, hub } = endpoint;
  ending.timer = -1;
  if (!endpoint.isOpen || endpoint.backlog.count === 0) {
    return;
  }
  const rest = ending.progress + profile.writeTimeoutMs - hub.state.now;
  if (ending.timeout === 'write' && rest > 0) {
    arm(endpoint, 'write', rest);
    return;
  }
  const { timeout } = ending;
  hub.state.stats.add(timeout === 'write' ? Counter.timeoutWrite : Counter.timeoutLinger, 1);
  endpoint.end('timeout', undefined, timeout);
}

/** Closes now, in good order. */
function conclude(endpoint: DatagramEndpoint, code: EndingCode): void {
  if (endpoint.isConnection && !endpoint.ending.isReceiveEnded) {
    discardUnread(endpoint);
  }
  endpoint.end(code);
}

/** What is closed with something unread is reset by the system: the peer might not read the last that was sent. */
function discardUnread({ hub, fd }: DatagramEndpoint): void {
  // Not the batch that a hook may be reading from.
  const batch = hub.errorBatch;
  for (let i = 0; i < DISCARDS; i += 1) {
    hub.state.driver.counters.calls += 1;
    if (batch.receive(fd, batch.table.count) < batch.table.count) {
      return;
    }
  }
}
