/**
 * Another handler for a connection that goes on in another protocol: `Connection.handOver`. The connection stays the
 * same object. What was received already is kept in its reader, where each style of handler finds it; it is reported
 * in the same turn, but not inside of the caller's hook.
 */

import type { Action, CloseReason, Connection, Handler } from '../api.js';
import type { SocketConnection } from './connection.js';
import {
  CLOSING,
  DESTROYED,
  END_OWED,
  HAS_EXTRAS,
  PAUSED,
  RECEIVE_ENDED,
} from './connection-table.js';
import { callHook } from './hook-calls.js';
import { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { keep, listReady, readerOf, resume, unreadBytes } from './read-path.js';
import { Hook } from './stats.js';

const NO_BYTES = Buffer.alloc(0);

/** By the profile that a connection had, and its new handler: often many have the same. */
const profiles = new WeakMap<Profile, WeakMap<Handler, Profile>>();

/** See Connection.handOver. */
export function changeHandler(
  connection: SocketConnection,
  handler: Handler,
  head: Uint8Array | undefined,
): boolean {
  const { owner, slot } = connection;
  const { table } = owner;
  if (slot < 0 || (table.flags[slot] & (CLOSING | DESTROYED)) !== 0) {
    return false;
  }
  if (owner.connections[slot] !== connection) {
    throw new TypeError('Cannot hand over a connection: somebody else has taken it over');
  }
  if ((table.flags[slot] & HAS_EXTRAS) !== 0) {
    if (owner.extras.get(slot)?.consumer !== undefined) {
      throw new TypeError('Cannot hand over a connection that is iterated over');
    }
  }
  const profile = profileFor(connection.profile, handler, owner);
  connection.profile = profile;
  connection.context = undefined;
  resume(owner, slot, PAUSED);
  keepHead(owner, slot, head);
  if ((table.flags[slot] & (RECEIVE_ENDED | END_OWED)) === RECEIVE_ENDED) {
    // Only the handler before knows.
    table.flags[slot] |= END_OWED;
  }
  if (profile.onOpen !== undefined) {
    callHook(owner, connection, profile.onOpen, Hook.onOpen);
  }
  if (connection.slot === slot) {
    offer(owner, slot, profile);
  }
  return true;
}

/** In front of what is unread. */
function keepHead(owner: ReactorState, slot: number, head: Uint8Array | undefined): void {
  if (head === undefined || head.length === 0) {
    return;
  }
  const reader = readerOf(owner, slot);
  // In a hook of the pull style it shows what was received and is not kept yet.
  reader.settle();
  const rest = reader.length > 0 ? reader.readCopy(reader.length)! : NO_BYTES;
  keep(owner, slot, Buffer.concat([head, rest]));
}

/** Has what was received reported soon. With no hook for it, it waits for an iterator. */
function offer(owner: ReactorState, slot: number, profile: Profile): void {
  const hasHook = profile.onData !== undefined || profile.onReadable !== undefined;
  const isEnded = (owner.table.flags[slot] & END_OWED) !== 0;
  if (isEnded || (hasHook && unreadBytes(owner, slot) > 0)) {
    listReady(owner, slot);
  }
}

function profileFor(old: Profile, handler: Handler, owner: ReactorState): Profile {
  let byHandler = profiles.get(old);
  if (byHandler === undefined) {
    byHandler = new WeakMap();
    profiles.set(old, byHandler);
  }
  let profile = byHandler.get(handler);
  if (profile === undefined) {
    profile = new Profile(handler, old.given).bind(owner);
    if (old.onClose !== undefined) {
      Object.assign(profile, { onClose: closeBoth(handler, old) });
    }
    byHandler.set(handler, profile);
  }
  return profile;
}

/** Who saw a connection open sees it close: what it counts would else be wrong for ever. */
function closeBoth(handler: Handler, old: Profile) {
  return (connection: Connection, reason: CloseReason): Action | void => {
    try {
      return handler.onClose?.(connection, reason);
    } finally {
      old.onClose?.call(old.handler, connection, reason);
    }
  };
}
