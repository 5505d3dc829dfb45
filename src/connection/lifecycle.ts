/**
 * A connection's states and the ways between them.
 *
 *   connecting ──> open ──(our FIN)──> half-closed-local ──┐
 *                   │ └──(peer's FIN)─> half-closed-remote ─┼──> closed
 *                   └── close() ─────> closing ─────────────┘
 *
 * `end` sends FIN after what is queued. `close` does so too, drops what still comes in, and waits for the peer's FIN:
 * closing a socket with unread bytes would make the kernel send RST, and the peer might lose the last of what we
 * sent. All of that is bounded by the linger deadline. `abort`, failures and deadlines end a connection from any state.
 * The hooks are called by dispatch.ts, not here.
 */

import type { CloseReason, ConnectionState } from '../api.js';
import type { SocketConnection } from './connection.js';
import {
  CLOSING,
  CONNECTING,
  CORKED,
  DESTROYED,
  END_OWED,
  END_WANTED,
  FLUSH_LISTED,
  HAS_EXTRAS,
  NO_WRITE,
  QUEUED,
  RECEIVE_ENDED,
  SEND_ENDED,
  SENDING,
} from './connection-table.js';
import { setHardDeadline } from './deadlines.js';
import { flush } from './flush.js';
import type { ReactorState } from './reactor-state.js';
import { destroy, destroyFailed, noteReason, replaceReason } from './teardown.js';
import { onSentBytes } from './write-path.js';

export function stateOf(state: ReactorState, slot: number): ConnectionState {
  const flags = slot < 0 ? DESTROYED : state.table.flags[slot];
  if ((flags & DESTROYED) !== 0) {
    return 'closed';
  }
  if ((flags & CLOSING) !== 0) {
    return 'closing';
  }
  if ((flags & CONNECTING) !== 0) {
    return 'connecting';
  }
  if ((flags & END_WANTED) !== 0) {
    return 'half-closed-local';
  }
  return (flags & RECEIVE_ENDED) !== 0 ? 'half-closed-remote' : 'open';
}

/** No more writes; FIN after what is queued. */
export function end(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  if (slot < 0 || (state.table.flags[slot] & NO_WRITE) !== 0) {
    return;
  }
  endSending(state, connection);
}

function endSending(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const { table } = state;
  table.flags[slot] |= END_WANTED;
  if ((table.flags[slot] & CORKED) !== 0) {
    table.flags[slot] &= ~CORKED;
    table.corkDepths[slot] = 0;
  }
  // A flush that is listed already will come, after onBeforeWrite.
  if ((table.flags[slot] & FLUSH_LISTED) === 0) {
    flush(state, connection);
  }
  finishSending(state, slot);
}

/** Sends FIN once it is wanted and nothing is left to send. */
export function finishSending(state: ReactorState, slot: number): void {
  const { table } = state;
  const flags = table.flags[slot];
  if (
    (flags & (END_WANTED | QUEUED | SENDING | SEND_ENDED | DESTROYED | CONNECTING)) !==
    END_WANTED
  ) {
    return;
  }
  const n = state.driver.shutdown(slot);
  if (n < 0) {
    destroyFailed(state, slot, 'shutdown', -n);
    return;
  }
  table.flags[slot] |= SEND_ENDED;
  // While the peer's FIN waits for a pause to end, bytes that came before it may wait too: `afterPeerEnd` goes on.
  const isEndOwed = (flags & (END_OWED | CLOSING)) === END_OWED;
  if ((flags & RECEIVE_ENDED) !== 0 && !isEndOwed) {
    noteReason(state, slot, 'ended');
    destroy(state, slot, false);
  }
}

/** Graceful close for the given reason. */
export function close(
  state: ReactorState,
  connection: SocketConnection,
  code: CloseReason['code'],
): void {
  const { slot, profile } = connection;
  if (slot < 0 || (state.table.flags[slot] & (CLOSING | DESTROYED)) !== 0) {
    return;
  }
  const { table } = state;
  noteReason(state, slot, code);
  if ((table.flags[slot] & CONNECTING) !== 0) {
    destroy(state, slot, false);
    return;
  }
  table.flags[slot] |= CLOSING;
  if (profile.lingerTimeoutMs > 0) {
    setHardDeadline(state, slot, profile.lingerTimeoutMs);
  }
  if ((table.flags[slot] & RECEIVE_ENDED) === 0) {
    state.driver.receive(slot);
  }
  if ((table.flags[slot] & (END_WANTED | DESTROYED)) === 0) {
    endSending(state, connection);
  }
  if (profile.lingerTimeoutMs === 0) {
    destroy(state, slot, (table.flags[slot] & SEND_ENDED) === 0);
  }
}

export function abort(
  state: ReactorState,
  connection: SocketConnection,
  code: CloseReason['code'],
  error?: Error,
  timeout?: CloseReason['timeout'],
): void {
  const { slot } = connection;
  if (slot < 0 || (state.table.flags[slot] & DESTROYED) !== 0) {
    return;
  }
  replaceReason(state, slot, code, error, timeout);
  destroy(state, slot, true);
}

/** The driver finished a pending send, perhaps of a connection that is destroyed and not yet `closed`. */
export function onSent(state: ReactorState, connection: SocketConnection, n: number): void {
  const { slot } = connection;
  onSentBytes(state, connection, n);
  if (connection.slot === slot) {
    finishSending(state, slot);
  }
}

/** The peer's FIN has been reported to the user, or nobody is to be told. */
export function afterPeerEnd(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  if (slot < 0 || (state.table.flags[slot] & DESTROYED) !== 0) {
    return;
  }
  if ((state.table.flags[slot] & SEND_ENDED) !== 0) {
    noteReason(state, slot, 'ended');
    destroy(state, slot, false);
  } else if ((state.table.flags[slot] & CLOSING) === 0) {
    if (!profile.allowHalfOpen && !isKeptHalfOpen(state, slot)) {
      close(state, connection, 'ended');
    } else if (profile.halfOpenTimeoutMs > 0) {
      setHardDeadline(state, slot, profile.halfOpenTimeoutMs);
    }
  }
}

function isKeptHalfOpen(state: ReactorState, slot: number): boolean {
  const hasExtras = (state.table.flags[slot] & HAS_EXTRAS) !== 0;
  return hasExtras && state.extras.get(slot)?.consumer?.keepsHalfOpen === true;
}

/** The linger or half-open deadline has passed. */
export function onHardDeadline(state: ReactorState, connection: SocketConnection): void {
  const { slot } = connection;
  const flags = state.table.flags[slot];
  state.table.hardDeadlines[slot] = 0;
  if ((flags & CLOSING) === 0) {
    close(state, connection, 'ended');
  } else if ((flags & SEND_ENDED) === 0) {
    abort(state, connection, 'timeout', undefined, 'linger');
  } else {
    // Everything was handed over; only the peer's FIN did not come.
    destroy(state, slot, false);
  }
}
