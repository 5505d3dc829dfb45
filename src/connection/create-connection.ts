/** A slot becomes a connection: its object, and the columns that a former use left behind. */

import { SocketConnection } from './connection.js';
import { resetDeadlines, startActivityTimeouts } from './deadlines.js';
import type { Profile } from './profile.js';
import type { ReactorState } from './reactor-state.js';
import { Counter } from './stats.js';

/** Columns are written only where they differ: a page that nobody writes costs nothing. */
export function createConnection(
  state: ReactorState,
  slot: number,
  profile: Profile,
): SocketConnection {
  const { table, stats } = state;
  const connection = new SocketConnection(state, slot, profile);
  state.connections[slot] = connection;
  table.resetBytes(slot);
  resetDeadlines(state, slot);
  if (profile.readTimeoutMs > 0 || profile.idleTimeoutMs > 0) {
    startActivityTimeouts(state, slot);
  }
  state.connectionCount += 1;
  stats.set(Counter.connections, state.connectionCount);
  stats.add(Counter.opened, 1);
  return connection;
}
