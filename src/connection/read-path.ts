/**
 * Bytes from the driver to the user. Push handlers get a borrowed view of driver memory. Pull handlers get a reader
 * that sees the same view in front of what it kept, and keeps (copies) what the hook left. Bytes that arrive although
 * reading is paused are kept in the reader too, and delivered after the pause.
 */

import type { SocketConnection } from './connection.js';
import {
  CLOSING,
  DESTROYED,
  END_OWED,
  HAS_READER,
  HELD,
  NO_RECEIVE,
  PAUSED,
  READ_FULL,
  READY_LISTED,
  RECEIVE_ENDED,
  TIMED,
} from './connection-table.js';
import { armDeadline, timeOf } from './deadlines.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';
import { ConnectionReader } from './stream.js';

/** The connection's reader, made when first asked for. */
export function readerOf(state: ReactorState, slot: number): ConnectionReader {
  let reader = state.readers.get(slot);
  if (reader === undefined) {
    reader = new ConnectionReader(state.pool);
    state.readers.set(slot, reader);
    state.table.flags[slot] |= HAS_READER;
  }
  return reader;
}

/** Bytes received and not yet read or delivered. */
export function unreadBytes(state: ReactorState, slot: number): number {
  return (state.table.flags[slot] & HAS_READER) === 0 ? 0 : (state.readers.get(slot)?.length ?? 0);
}

/** Puts the connection on the list of those with something to report soon. */
export function listReady(state: ReactorState, slot: number): void {
  if ((state.table.flags[slot] & READY_LISTED) === 0) {
    state.table.flags[slot] |= READY_LISTED;
    state.readyList.push(slot);
    state.requestTurn();
  }
}

export function pause(state: ReactorState, slot: number, flag: number): void {
  const { table } = state;
  if ((table.flags[slot] & (flag | CLOSING | DESTROYED)) !== 0) {
    return;
  }
  const wasReceiving = (table.flags[slot] & NO_RECEIVE) === 0;
  table.flags[slot] |= flag;
  if (wasReceiving) {
    state.driver.stopReceive(slot);
  }
}

export function resume(state: ReactorState, slot: number, flag: number): void {
  const { table } = state;
  if ((table.flags[slot] & flag) === 0 || (table.flags[slot] & DESTROYED) !== 0) {
    return;
  }
  table.flags[slot] &= ~flag;
  if ((table.flags[slot] & CLOSING) !== 0) {
    return;
  }
  if ((table.flags[slot] & PAUSED) === 0) {
    if (unreadBytes(state, slot) > 0 || (table.flags[slot] & END_OWED) !== 0) {
      listReady(state, slot);
    }
  }
  startReceiving(state, slot);
}

/** Starts receiving unless something is in the way. */
export function startReceiving(state: ReactorState, slot: number): void {
  const { table } = state;
  if ((table.flags[slot] & NO_RECEIVE) !== 0) {
    return;
  }
  if ((table.flags[slot] & TIMED) !== 0) {
    // The time of the pause does not count.
    table.noteReceived(slot, timeOf(state));
    armDeadline(state, slot);
  }
  state.driver.receive(slot);
}

/** Keeps bytes that cannot be delivered now. With too many, more are received only when these are delivered. */
export function keep(state: ReactorState, slot: number, bytes: Buffer): void {
  if (!readerOf(state, slot).append(bytes)) {
    starve(state, slot);
  } else if (unreadBytes(state, slot) > state.connections[slot]!.profile.readQueueMax) {
    // Else short pauses would pile up what the kernel has received ahead in each.
    pause(state, slot, READ_FULL);
  }
}

/** The reactor's memory for unread bytes is used up: this peer waits until some is free again. */
export function starve(state: ReactorState, slot: number): void {
  state.stats.add(Counter.refusedMemory, 1);
  pause(state, slot, READ_FULL);
  state.starvedList.push(slot);
}

/** Lets peers go on that waited for memory. Called once a turn. */
export function feedStarved(state: ReactorState): void {
  if (state.pool.isOverdrawn) {
    return;
  }
  for (const slot of state.starvedList.splice(0)) {
    const connection = state.connections[slot];
    if (connection !== undefined) {
      limitUnread(state, connection);
    }
  }
}

/** Holds or releases the peer according to how much a pull handler has left unread. */
export function limitUnread(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  const isAbove = unreadBytes(state, slot) > profile.readQueueMax;
  if (isAbove) {
    pause(state, slot, READ_FULL);
  } else if ((state.table.flags[slot] & READ_FULL) !== 0) {
    resume(state, slot, READ_FULL);
  }
}

/** Whether the peer's FIN can be reported now: nothing is left that is to be reported before it. */
export function canReportEnd(state: ReactorState, slot: number): boolean {
  const flags = state.table.flags[slot];
  // After a close nothing is delivered that the end would have to wait for, paused or not.
  const obstacles = (flags & CLOSING) !== 0 ? DESTROYED : PAUSED | HELD | READY_LISTED | DESTROYED;
  return (flags & RECEIVE_ENDED) !== 0 && (flags & obstacles) === 0;
}
