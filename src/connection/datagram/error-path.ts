/**
 * Errors of what was sent: from the socket's error queue, which says to whom (IP_RECVERR), from SO_ERROR, and from
 * sending itself. All are counted; told are those for which there is a hook.
 */

import { EXTENDED_ERROR_ERRNO, EXTENDED_ERROR_ORIGIN } from '../../base/layout.js';
import {
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  MSG_ERRQUEUE,
  SO_ERROR,
  SOL_SOCKET,
} from '../../base/linux.js';
import { SystemError } from '../../errors.js';
import { decodeInteger, INT_BYTES } from '../option-values.js';
import { Counter } from '../stats.js';
import { findControl } from './control.js';
import type { DatagramEndpoint } from './endpoint.js';
import { PeerAddress } from './peer-address.js';
import type { ReceiveBatch } from './receive-batch.js';

/** Origins above are no errors: time stamps and the ends of zero-copy sends. */
const ORIGIN_MAX = 3;

/** Takes the errors that the socket has, a batch of them: the rest is reported again. */
export function readErrors(endpoint: DatagramEndpoint): void {
  const { hub } = endpoint;
  let n = 0;
  if (endpoint.hasErrorQueue) {
    const batch = hub.errorBatch;
    hub.state.driver.counters.calls += 1;
    n = batch.receive(endpoint.fd, batch.table.count, MSG_ERRQUEUE);
    for (let i = 0; i < n; i += 1) {
      reportQueued(endpoint, batch, i);
    }
  }
  // The queue may have been too long for the socket's memory, or is not there: then this clears the error.
  if (n <= 0) {
    const code = pendingError(endpoint);
    if (code !== 0 && endpoint.isConnection) {
      // Its end, which the system reports as well, comes after what the peer had sent.
      endpoint.failure = new SystemError('receive', code, endpoint.remoteAddress);
    } else if (code !== 0) {
      const error = new SystemError('send', code, endpoint.remoteAddress || undefined);
      reportError(endpoint, error, endpoint.remote);
    }
  }
}

function reportQueued(endpoint: DatagramEndpoint, { table }: ReceiveBatch, i: number): void {
  const at = table.controlAt(i);
  const length = table.controlLength(i);
  const { words, bytes } = table;
  const four = findControl(words, at, length, IPPROTO_IP, IP_RECVERR);
  const found = four >= 0 ? four : findControl(words, at, length, IPPROTO_IPV6, IPV6_RECVERR);
  if (found < 0 || bytes[found + EXTENDED_ERROR_ORIGIN] > ORIGIN_MAX) {
    return;
  }
  const name = table.nameAt(i);
  const nameLength = table.nameLength(i);
  const peer =
    nameLength === 0
      ? endpoint.remote
      : PeerAddress.of(endpoint.scheme, bytes.subarray(name, name + nameLength));
  const code = words[(found + EXTENDED_ERROR_ERRNO) >> 2];
  reportError(endpoint, new SystemError('send', code, peer?.address), peer);
}

/** Takes the socket's pending error: 0 for none. */
function pendingError({ hub, fd }: DatagramEndpoint): number {
  const value = new Uint8Array(INT_BYTES);
  hub.state.driver.counters.calls += 1;
  const n = hub.state.kernel.getSocketOption(fd, SOL_SOCKET, SO_ERROR, value);
  return n < INT_BYTES ? 0 : decodeInteger(value);
}

export function reportError(
  endpoint: DatagramEndpoint,
  error: Error,
  peer: PeerAddress | undefined,
): void {
  const { hub, profile } = endpoint;
  endpoint.errors += 1;
  hub.state.stats.add(Counter.datagramErrors, 1);
  const { onDatagramError, handler } = profile;
  if (onDatagramError !== undefined) {
    hub.notify(() => {
      hub.run(undefined, () => onDatagramError.call(handler, endpoint, error, peer));
    }, true);
  }
}
