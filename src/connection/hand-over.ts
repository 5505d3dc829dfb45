/**
 * A connection changes hands: another handler gets its hooks from now on, with options of its own. Called by faces that
 * take over connections which others opened, such as the proactor.
 *
 * The reactor holds a connection's object strongly, so that nobody could tell whether its user still does. Here the
 * reactor gets a new object in its place, and the one that the user has becomes a view of the same slot, which only its
 * user holds: once it is garbage, nobody can ask for the connection any more. Who took over calls `endView` at the
 * close, since the reactor does not know the view.
 */

import type { Connection, ConnectionOptions, Handler } from '../api.js';
import { SocketConnection } from './connection.js';
import { CLOSING, DESTROYED, END_OWED, HAS_EXTRAS, RECEIVE_ENDED } from './connection-table.js';
import { setHardDeadline } from './deadlines.js';
import { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { listReady, unreadBytes } from './read-path.js';

/** What a connection that stands on another one has, to be handed over too. */
export const HAND_OVER: unique symbol = Symbol('handOver');
export const SEPARATE: unique symbol = Symbol('separate');

export interface HandsOver {
  /** As `HandOver.take`. Such a connection stays the same object, until it is separated. */
  [HAND_OVER](handler: Handler): Connection | undefined;
  /**
   * The connection goes on in another object, which is returned and which hooks get from now on; the one that its user
   * has becomes a view that only he holds. Only in a task of the reactor. Undefined when it is closed or being closed.
   */
  [SEPARATE](): Connection | undefined;
}

export class HandOver {
  readonly #handler: Handler;
  readonly #options: ConnectionOptions;
  /** By the profile that a connection had: most have the same. */
  readonly #profiles = new WeakMap<Profile, Profile>();

  /** `options` go over those that a connection had. */
  constructor(handler: Handler, options: ConnectionOptions) {
    this.#handler = handler;
    this.#options = options;
  }

  /**
   * The connection, with the new handler: onOpen is not called, the other hooks are, with the object that is returned.
   * What was received and not read yet is reported to the new handler. Undefined when it is closed or being closed.
   *
   * @throws TypeError for what cannot be handed over (again).
   */
  take(connection: Connection): Connection | undefined {
    if (!(connection instanceof SocketConnection)) {
      return this.#takeLayered(connection);
    }
    const { owner, slot } = connection;
    if (slot < 0 || (owner.table.flags[slot] & (CLOSING | DESTROYED)) !== 0) {
      return undefined;
    }
    if (owner.connections[slot] !== connection) {
      throw new TypeError('Cannot take over a connection: somebody else has done so');
    }
    if ((owner.table.flags[slot] & HAS_EXTRAS) !== 0) {
      if (owner.extras.get(slot)?.consumer !== undefined) {
        throw new TypeError('Cannot take over a connection that is iterated over');
      }
    }
    const profile = this.#profileFor(connection.profile, owner);
    const taken = new SocketConnection(owner, slot, profile);
    owner.connections[slot] = taken;
    connection.profile = profile;
    setHardDeadline(owner, slot, 0);
    if (unreadBytes(owner, slot) > 0) {
      listReady(owner, slot);
    }
    return taken;
  }

  /** Soon after `take` has returned the same object: `then` gets the one in which the connection goes on. */
  separate(connection: Connection, then: (other: Connection) => void): void {
    // What called us may be a hook, which goes on with the object that it knows.
    connection.reactor.execute(() => {
      const other = (connection as Connection & HandsOver)[SEPARATE]();
      if (other !== undefined) {
        then(other);
      }
    });
  }

  #takeLayered(connection: Connection): Connection | undefined {
    if (typeof connection !== 'object' || connection === null || !(HAND_OVER in connection)) {
      throw new TypeError(
        `Cannot take over ${String(connection)}: expected a connection of this library`,
      );
    }
    return (connection as Connection & HandsOver)[HAND_OVER](this.#handler);
  }

  #profileFor(old: Profile, owner: ReactorState): Profile {
    let profile = this.#profiles.get(old);
    if (profile === undefined) {
      profile = new Profile(this.#handler, { ...old.options, ...this.#options });
      profile.drainAbove = 0;
      profile.bind(owner);
      this.#profiles.set(old, profile);
    }
    return profile;
  }
}

/** Whether the peer's FIN was reported, to whoever had the connection then: `onEnd` does not come again. */
export function wasEndReported(connection: Connection): boolean {
  if (!(connection instanceof SocketConnection)) {
    return connection.state === 'half-closed-remote';
  }
  const { owner, slot } = connection;
  return slot >= 0 && (owner.table.flags[slot] & (RECEIVE_ENDED | END_OWED)) === RECEIVE_ENDED;
}

/** The connection is closed: the object that its user has says so from now on. */
export function endView(connection: unknown): void {
  if (connection instanceof SocketConnection && connection.slot >= 0) {
    connection.slot = ~connection.slot;
  }
}

/** From now on received bytes go where `roomFor` says, where it says something and the driver can. */
export function receiveInto(
  connection: Connection,
  roomFor: (connection: Connection) => Uint8Array | undefined,
): void {
  if (connection instanceof SocketConnection && connection.slot >= 0) {
    connection.profile.roomFor = roomFor;
    connection.owner.driver.askForRoom?.(connection.slot);
  }
}

/** Whatever is queued, `onDrain` is owed when it is sent. For connections of handlers that take over others. */
export function drainAlways(connection: Connection): void {
  if (connection instanceof SocketConnection) {
    connection.profile.drainAbove = 0;
  }
}
