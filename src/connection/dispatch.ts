/**
 * The only place where a connection's hooks are called. A hook that throws costs its own connection; an action that it
 * returns is carried out; what it wrote in several pieces goes out together when it returns.
 */

import type { Action, CloseReason } from '../api.js';
import type { SocketConnection } from './connection.js';
import {
  CLOSING,
  CONNECTING,
  CORKED,
  DESTROYED,
  END_OWED,
  FLUSH_LISTED,
  HAS_EXTRAS,
  HAS_READER,
  HELD,
  OPENED,
  PAUSED,
  QUEUED,
  READY_LISTED,
  SENDING,
  WOKEN,
} from './connection-table.js';
import { events } from './diagnostics.js';
import { flush } from './flush.js';
import { callHook, enter, hookFailed, leave } from './hook-calls.js';
import { abort, afterPeerEnd, close, finishSending } from './lifecycle.js';
import type { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import {
  canReportEnd,
  keep,
  limitUnread,
  listReady,
  readerOf,
  startReceiving,
  starve,
  unreadBytes,
} from './read-path.js';
import { Counter, Hook } from './stats.js';

const NO_BYTES = Buffer.alloc(0);

/** Announces a connection: onOpen, then receiving. */
export function announce(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  state.table.flags[slot] |= OPENED;
  if (events.open.isHeard) {
    events.open.publish({ connection });
  }
  if (profile.onOpen !== undefined) {
    callHook(state, connection, profile.onOpen, Hook.onOpen);
  }
  if (connection.slot === slot && (state.table.flags[slot] & (CLOSING | DESTROYED)) === 0) {
    startReceiving(state, slot);
  }
}

/** Bytes from the driver, borrowed. */
export function deliver(state: ReactorState, connection: SocketConnection, bytes: Buffer): void {
  const { slot, profile } = connection;
  const flags = state.table.flags[slot];
  if ((flags & (CLOSING | DESTROYED)) !== 0) {
    return;
  }
  if ((flags & (PAUSED | HELD | HAS_READER | HAS_EXTRAS)) !== 0) {
    deliverSlowly(state, connection, bytes);
  } else if (profile.onData !== undefined) {
    runData(state, connection, bytes);
  } else if (profile.onReadable !== undefined) {
    readerOf(state, slot).borrow(bytes);
    runReadable(state, connection);
  }
}

/** Whether bytes can go to the handler where they lie: it wants that, and nothing is in the way. */
export function canDeliverAt(state: ReactorState, connection: SocketConnection): boolean {
  const obstacles = CLOSING | DESTROYED | PAUSED | HELD | HAS_READER | HAS_EXTRAS;
  return (
    connection.profile.onDataAt !== undefined &&
    (state.table.flags[connection.slot] & obstacles) === 0
  );
}

/** Bytes from the driver, borrowed, as positions in its memory. Only if `canDeliverAt`. */
export function deliverAt(
  state: ReactorState,
  connection: SocketConnection,
  memory: Buffer,
  start: number,
  end: number,
): void {
  const { profile } = connection;
  let action: Action | void = undefined as Action | void;
  enter(state, connection, Hook.onData);
  try {
    action = profile.onDataAt!.call(profile.handler, connection, memory, start, end);
  } catch (error) {
    hookFailed(state, connection, error);
  }
  leave(state, connection, action);
}

/** With a reader, a consumer or a pause in play. */
function deliverSlowly(state: ReactorState, connection: SocketConnection, bytes: Buffer): void {
  const { slot, profile } = connection;
  const flags = state.table.flags[slot];
  const consumer = (flags & HAS_EXTRAS) === 0 ? undefined : state.extras.get(slot)?.consumer;
  if (consumer !== undefined) {
    consumer.push(Buffer.from(bytes));
    return;
  }
  const isPaused = (flags & (PAUSED | HELD)) !== 0;
  const isPull = profile.onReadable !== undefined;
  if (!isPaused && isPull) {
    readerOf(state, slot).borrow(bytes);
    runReadable(state, connection);
  } else if (isPaused || unreadBytes(state, slot) > 0) {
    keep(state, slot, bytes);
    if (!isPaused) {
      listReady(state, slot);
    }
  } else if (profile.onData !== undefined) {
    runData(state, connection, bytes);
  }
}

function runData(state: ReactorState, connection: SocketConnection, bytes: Buffer): void {
  const { profile } = connection;
  let action: Action | void = undefined as Action | void;
  enter(state, connection, Hook.onData);
  try {
    action = profile.onData!.call(profile.handler, connection, bytes);
  } catch (error) {
    hookFailed(state, connection, error);
  }
  leave(state, connection, action);
}

/** A hook that reads something and leaves something is called again, after the others had their turn. */
function runReadable(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  const before = unreadBytes(state, slot);
  let action: Action | void = undefined as Action | void;
  enter(state, connection, Hook.onReadable);
  try {
    action = profile.onReadable!.call(profile.handler, connection);
  } catch (error) {
    hookFailed(state, connection, error);
  }
  leave(state, connection, action);
  if (connection.slot !== slot) {
    return;
  }
  const reader = readerOf(state, slot);
  const fits = reader.settle();
  if (reader.length > 0 && reader.length < before) {
    listReady(state, slot);
  } else if (!fits || reader.length > profile.readQueueMax) {
    if ((state.table.flags[slot] & PAUSED) === 0) {
      // It waits for more than it, or all connections together, may have: it would wait for ever.
      state.stats.add(Counter.refusedReadOverflow, 1);
      abort(state, connection, 'overflow');
      return;
    }
  }
  if (!fits) {
    starve(state, slot);
  } else {
    limitUnread(state, connection);
  }
}

/** Connections with unread bytes to offer again, a wake, or a FIN that had to wait. One round. */
export function dispatchReady(state: ReactorState): void {
  const list = state.readyList;
  state.readyList = [];
  for (const slot of list) {
    const connection = state.connections[slot];
    if (connection === undefined || (state.table.flags[slot] & READY_LISTED) === 0) {
      continue;
    }
    state.table.flags[slot] &= ~READY_LISTED;
    if ((state.table.flags[slot] & (CLOSING | DESTROYED)) === 0) {
      dispatchOne(state, connection);
    }
    if (connection.slot === slot && (state.table.flags[slot] & END_OWED) !== 0) {
      reportEnd(state, connection);
    }
  }
}

function dispatchOne(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  const flags = state.table.flags[slot];
  const isWoken = (flags & WOKEN) !== 0;
  state.table.flags[slot] &= ~WOKEN;
  if ((flags & (PAUSED | HELD)) !== 0 && !isWoken) {
    return;
  }
  if (profile.onReadable !== undefined) {
    if (isWoken || unreadBytes(state, slot) > 0) {
      runReadable(state, connection);
    }
    return;
  }
  if (unreadBytes(state, slot) > 0 && (flags & (PAUSED | HELD)) === 0) {
    const reader = readerOf(state, slot);
    // All of it: what a pause kept is bounded by the read queue's limit and one batch of the driver.
    const bytes = reader.readCopy(reader.length)!;
    if (profile.onData !== undefined) {
      runData(state, connection, bytes);
    }
    if (connection.slot === slot) {
      limitUnread(state, connection);
    }
  } else if (isWoken && profile.onData !== undefined) {
    runData(state, connection, NO_BYTES);
  }
}

/** The peer's FIN: after the bytes that came before it. */
export function reportEnd(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  if (!canReportEnd(state, slot)) {
    state.table.flags[slot] |= END_OWED;
    return;
  }
  state.table.flags[slot] &= ~END_OWED;
  if ((state.table.flags[slot] & HAS_EXTRAS) !== 0) {
    state.extras.get(slot)?.consumer?.end();
  }
  if (profile.onEnd !== undefined && (state.table.flags[slot] & CLOSING) === 0) {
    callHook(state, connection, profile.onEnd, Hook.onEnd);
  }
  afterPeerEnd(state, connection);
}

/** Connections that fell below their low-water mark. */
export function dispatchDrained(state: ReactorState): void {
  const list = state.drainList;
  state.drainList = [];
  for (const connection of list) {
    const { slot, profile } = connection;
    if (slot < 0 || (state.table.flags[slot] & DESTROYED) !== 0) {
      continue;
    }
    if ((state.table.flags[slot] & HAS_EXTRAS) !== 0) {
      resolveDrained(state, slot);
    }
    if (profile.onDrain !== undefined && (state.table.flags[slot] & CLOSING) === 0) {
      callHook(state, connection, profile.onDrain, Hook.onDrain);
    }
  }
}

function resolveDrained(state: ReactorState, slot: number): void {
  const extras = state.extras.get(slot)!;
  for (const resolve of extras.waiters.splice(0)) {
    resolve(true);
  }
  for (const source of extras.sources.splice(0)) {
    source.release();
  }
}

/** Works off the list of connections whose writes were gathered. */
export function dispatchFlushes(state: ReactorState): void {
  if (state.fileList.length > 0) {
    state.flushList.push(...state.fileList.splice(0));
  }
  while (state.flushList.length > 0) {
    const list = state.flushList;
    state.flushList = [];
    for (const slot of list) {
      const connection = state.connections[slot];
      // The list may name a connection that is gone; only a listed one has the flag.
      if (connection !== undefined && (state.table.flags[slot] & FLUSH_LISTED) !== 0) {
        state.table.flags[slot] &= ~FLUSH_LISTED;
        flushOne(state, connection);
      }
    }
  }
}

function flushOne(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  if (
    profile.onBeforeWrite !== undefined &&
    (state.table.flags[slot] & (QUEUED | CORKED | CONNECTING | SENDING | DESTROYED)) === QUEUED
  ) {
    runBeforeWrite(state, profile, connection);
  }
  if ((state.table.flags[slot] & CORKED) === 0) {
    flush(state, connection);
  }
  finishSending(state, slot);
}

function runBeforeWrite(state: ReactorState, profile: Profile, connection: SocketConnection): void {
  enter(state, connection, Hook.onBeforeWrite);
  try {
    profile.onBeforeWrite!.call(profile.handler, connection);
  } catch (error) {
    hookFailed(state, connection, error);
  }
  state.current = undefined;
  state.stats.leaveHook();
}

/** The server closes: the handler ends the connection, if it knows how; else it is closed gracefully now. */
export function announceServerClose(state: ReactorState, connection: SocketConnection): void {
  const { slot, profile } = connection;
  const flags = state.table.flags[slot];
  if (profile.onServerClose === undefined || (flags & (OPENED | CLOSING)) !== OPENED) {
    close(state, connection, 'shutdown');
    return;
  }
  callHook(state, connection, profile.onServerClose, Hook.onServerClose);
}

/** The one onClose. The connection is no more: its slot is -1 already. */
export function reportClose(
  state: ReactorState,
  connection: SocketConnection,
  reason: CloseReason,
): void {
  const { profile } = connection;
  if (events.close.isHeard) {
    events.close.publish({ connection, reason });
  }
  if (profile.onClose === undefined) {
    return;
  }
  let action: Action | void = undefined as Action | void;
  state.stats.enterHook(Hook.onClose, -1);
  try {
    action = profile.onClose.call(profile.handler, connection, reason);
  } catch (error) {
    state.stats.add(Counter.handlerErrors, 1);
    state.warn(error);
  }
  state.stats.leaveHook();
  if (action === 'shutdown') {
    state.requestShutdown();
  }
}
