/**
 * Sending to sessions and sockets by their ids: what `reactor.send` and `server.send` do on the reactor's own thread,
 * and what becomes of letters from other threads, whose senders were told `queued` and hear no more.
 */

import { EMSGSIZE } from '../../base/errno.js';
import type { SendResult } from '../../datagrams.js';
import { SystemError } from '../../errors.js';
import type { ReactorState } from '../reactor-state.js';
import { Counter } from '../stats.js';
import type { DatagramEndpoint } from './endpoint.js';
import { reportError } from './error-path.js';
import { noteDropped } from './send-path.js';
import { isSessionId } from './session-id.js';

/**
 * Sends to a session, or through a socket to `to`, of this reactor. Throws TypeError for an address that the socket
 * cannot send to.
 */
export function sendById(
  { datagrams }: ReactorState,
  id: number,
  data: Uint8Array | string,
  to: string | undefined,
): SendResult {
  if (isSessionId(id)) {
    refuseAddress(to);
    return datagrams?.findSession(id)?.send(data) ?? 'closed';
  }
  return datagrams?.findSocket(id)?.send(data, to) ?? 'closed';
}

/** A session has one peer. */
export function refuseAddress(to: string | undefined): void {
  if (to !== undefined) {
    throw new TypeError(`Cannot send to ${to} through a session: it has one peer`);
  }
}

/** Carries out a letter. What cannot be sent is dropped and counted; it never throws. */
export function deliverById(
  state: ReactorState,
  id: number,
  bytes: Uint8Array,
  to: string | undefined,
): void {
  const { datagrams, stats } = state;
  const endpoint = isSessionId(id)
    ? datagrams?.findSession(id)?.endpoint
    : datagrams?.findSocket(id);
  if (endpoint?.isOpen !== true) {
    stats.add(Counter.staleSends, 1);
    return;
  }
  let result: SendResult;
  try {
    result = sendById(state, id, bytes, to);
  } catch (error) {
    // An address of another family, or none.
    noteDropped(endpoint);
    reportError(endpoint, error as Error, undefined);
    return;
  }
  if (result === 'closed') {
    stats.add(Counter.staleSends, 1);
  } else if (result === 'full') {
    overflow(endpoint);
  } else if (result === 'too-long') {
    noteDropped(endpoint);
    const address = to ?? endpoint.remoteAddress;
    reportError(endpoint, new SystemError('send', EMSGSIZE, address || undefined), endpoint.remote);
  }
}

/** The socket's queue has no room. */
function overflow(endpoint: DatagramEndpoint): void {
  if (endpoint.isConnection) {
    // Its peer counts on getting everything in order: better an end than a hole.
    endpoint.hub.state.stats.add(Counter.refusedWriteOverflow, 1);
    endpoint.end('overflow');
  } else {
    noteDropped(endpoint);
  }
}
