/** What this package needs of a connection, and no other Node stream has. */

import type { Connection } from '../api.js';
import type { Consumable } from '../connection/extras.js';

/** TypeError for what is no connection of millrace. */
export function consumable(connection: Connection): Connection & Consumable {
  const candidate = connection as Partial<Connection & Consumable> | null | undefined;
  if (typeof candidate?.consume !== 'function' || typeof candidate.holdProcess !== 'function') {
    throw new TypeError(
      `Expected a connection of millrace, got ${connection === null ? 'null' : typeof connection}`,
    );
  }
  return connection as Connection & Consumable;
}
