/** Holding the transport back, and having it call back later. */

import { GONE, NO_READ, RECALLED } from './connection-flags.js';
import type { TlsConnection } from './tls-connection.js';

export function setPause(c: TlsConnection, flag: number): void {
  const wasReading = (c.flags & NO_READ) === 0;
  c.flags |= flag;
  if (wasReading) {
    c.base.pause();
  }
}

export function clearPause(c: TlsConnection, flag: number): void {
  if ((c.flags & flag) === 0) {
    return;
  }
  c.flags &= ~flag;
  if ((c.flags & NO_READ) === 0) {
    c.base.resume();
  }
}

/** Has the transport call back soon, for what must not happen inside of the user's call. */
export function recall(c: TlsConnection): void {
  if ((c.flags & (RECALLED | GONE)) === 0) {
    c.flags |= RECALLED;
    c.base.wake();
  }
}
