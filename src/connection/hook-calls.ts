/**
 * What is around each call of a hook: a hook that throws costs its own connection, an action that it returns is carried
 * out, and what it wrote in several pieces goes out together when it returns. For dispatch.ts, which makes the calls.
 */

import type { Action, Connection } from '../api.js';
import type { SocketConnection } from './connection.js';
import { FLUSH_LISTED, WROTE } from './connection-table.js';
import { events } from './diagnostics.js';
import { flush } from './flush.js';
import { abort, close, finishSending } from './lifecycle.js';
import type { ReactorState } from './reactor-state.js';
import { Counter, type HookIndex } from './stats.js';

/** Carries out what a hook returned. */
export function act(
  state: ReactorState,
  connection: SocketConnection | undefined,
  action: Action | void | number,
): void {
  switch (action) {
    case undefined:
    case 'none':
      return;
    case 'close':
      if (connection !== undefined) {
        close(state, connection, 'closed');
      }
      return;
    case 'shutdown':
      state.requestShutdown();
      return;
    default:
      // Arrow functions return all sorts of things by accident: that is not the connection's fault.
      return;
  }
}

/** A hook threw: its connection is reset, and the error is its reason. */
export function hookFailed(
  state: ReactorState,
  connection: SocketConnection,
  thrown: unknown,
): void {
  state.stats.add(Counter.handlerErrors, 1);
  const error = thrown instanceof Error ? thrown : new Error(`A hook threw ${String(thrown)}`);
  if (events.hookError.isHeard) {
    events.hookError.publish({ connection, error });
  }
  state.warn(error);
  abort(state, connection, 'handler', error);
}

export function enter(state: ReactorState, connection: SocketConnection, hook: HookIndex): void {
  state.current = connection;
  state.table.flags[connection.slot] &= ~WROTE;
  state.stats.enterHook(hook, connection.slot);
}

export function leave(
  state: ReactorState,
  connection: SocketConnection,
  action: Action | void,
): void {
  state.current = undefined;
  state.stats.leaveHook();
  const { slot } = connection;
  if (slot >= 0 && (state.table.flags[slot] & FLUSH_LISTED) !== 0) {
    if (connection.profile.onBeforeWrite === undefined) {
      state.table.flags[slot] &= ~FLUSH_LISTED;
      flush(state, connection);
      finishSending(state, slot);
    }
  }
  if (action !== undefined) {
    act(state, connection, action);
  }
}

/** A hook that is given the connection alone. Those of the hot path are called in place. */
export function callHook(
  state: ReactorState,
  connection: SocketConnection,
  hook: (connection: Connection) => Action | void,
  index: HookIndex,
): void {
  let action: Action | void = undefined as Action | void;
  enter(state, connection, index);
  try {
    action = hook.call(connection.profile.handler, connection);
  } catch (error) {
    hookFailed(state, connection, error);
  }
  leave(state, connection, action);
}
