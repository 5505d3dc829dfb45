/**
 * A connection goes on in another object, and the one that its user has becomes a view of it, which nobody else holds:
 * so it shows, by becoming garbage, that the user has let go of the connection. For faces that take connections over.
 *
 * To be done while nothing of the connection runs, since what runs has the old object in its hands: in a task of the
 * reactor. What holds the old object to come back to it later asks for the `current` one.
 */

import type { Connection } from '../api.js';
import { CLOSING, GONE } from './connection-flags.js';
import type { TlsConnection } from './tls-connection.js';

/** By the object that a user has. */
const heirs = new WeakMap<object, TlsConnection>();

/** What views have in place of the methods of TlsConnection. Made when first needed. */
let viewPrototype: object | undefined;

/** The object in which the connection goes on. */
export function current(c: TlsConnection): TlsConnection {
  return heirs.get(c) ?? c;
}

/** The new object, without a context; undefined when the connection is closed or being closed. */
export function separate(c: TlsConnection): TlsConnection | undefined {
  if ((c.flags & (CLOSING | GONE)) !== 0 || heirs.has(c)) {
    return undefined;
  }
  const { pipe } = c;
  const heir = new (c.constructor as typeof TlsConnection)(c.base, c.layer, c);
  if (pipe.gathering === c) {
    pipe.gathering = heir;
  }
  inherit(heir, c);
  heirs.set(c, heir);
  c.reading = undefined;
  c.rare = undefined;
  c.ssl = 0;
  c.sslNote = -1;
  c.flags |= GONE;
  viewPrototype ??= viewOf(Object.getPrototypeOf(c) as object);
  Object.setPrototypeOf(c, viewPrototype);
  Object.defineProperties(c, COUNTS);
  return heir;
}

/** All that changes; the reader, the SSL object and what waits are the heir's alone from then on. */
function inherit(heir: TlsConnection, c: TlsConnection): void {
  heir.limits = c.limits;
  heir.ssl = c.ssl;
  heir.sslNote = c.sslNote;
  heir.flags = c.flags;
  heir.serverName = c.serverName;
  heir.reading = c.reading;
  heir.rare = c.rare;
  heir.recordRest = c.recordRest;
  heir.recordsEnded = c.recordsEnded;
  heir.idleRecords = c.idleRecords;
  heir.bytesReceived = c.bytesReceived;
  heir.bytesSent = c.bytesSent;
  heir.wasQueued = c.wasQueued;
}

const COUNTS: PropertyDescriptorMap & ThisType<TlsConnection> = {
  bytesReceived: {
    get(): number {
      return current(this).bytesReceived;
    },
  },
  bytesSent: {
    get(): number {
      return current(this).bytesSent;
    },
  },
};

/** A prototype whose every method and accessor is that of the heir. */
function viewOf(prototype: object): object {
  const view = Object.create(prototype) as object;
  for (const key of Reflect.ownKeys(prototype)) {
    const { value, get } = Object.getOwnPropertyDescriptor(prototype, key)!;
    if (get !== undefined) {
      Object.defineProperty(view, key, {
        get(this: object) {
          return Reflect.get(heirs.get(this)!, key) as unknown;
        },
      });
    } else if (key !== 'constructor' && key !== 'setTimer') {
      Object.defineProperty(view, key, {
        value(this: object, ...values: unknown[]) {
          return (value as (...values: unknown[]) => unknown).apply(heirs.get(this), values);
        },
      });
    }
  }
  Object.defineProperty(view, 'setTimer', {
    value(this: TlsConnection, milliseconds: number, callback: (connection: Connection) => void) {
      // It is told of the object that its user knows.
      const told = typeof callback === 'function' ? () => callback(this) : callback;
      return current(this).setTimer(milliseconds, told);
    },
  });
  return view;
}
