/**
 * The connections that a reactor gives to those who ask for them, by id or all. Of a connection that another one stands
 * on, such as the transport of TLS, nobody else has business with the lower one: the upper one is its face, which is
 * given instead. Connections without pay a bit in their flags.
 */

import type { Connection } from '../api.js';
import type { SocketConnection } from './connection.js';
import { DESTROYED, HAS_FACE, OPENED, slotOfId } from './connection-table.js';
import type { ReactorState } from './reactor-state.js';

/** From now on, and until it closes, `connection` is shown as `face`; while that is `connecting`, not at all. */
export function setFace(connection: SocketConnection, face: Connection): void {
  const { owner, slot } = connection;
  if (slot >= 0) {
    owner.faces.set(slot, face);
    owner.table.flags[slot] |= HAS_FACE;
  }
}

/** The connection with that id, whatever stands on it. */
export function findTransport(state: ReactorState, id: number): SocketConnection | undefined {
  const connection = state.connections[slotOfId(id)];
  // The whole id: connections of other reactors have the same slots and generations.
  return connection !== undefined && connection.id === id ? connection : undefined;
}

export function findConnection(state: ReactorState, id: number): Connection | undefined {
  const connection = findTransport(state, id);
  return connection === undefined ? undefined : shown(state, slotOfId(id), connection);
}

export function* openConnections(state: ReactorState): IterableIterator<Connection> {
  const { connections, table } = state;
  for (let slot = 0; slot < connections.length; slot += 1) {
    const connection = connections[slot];
    if (connection !== undefined && (table.flags[slot] & (OPENED | DESTROYED)) === OPENED) {
      const face = shown(state, slot, connection);
      if (face !== undefined) {
        yield face;
      }
    }
  }
}

function shown(
  state: ReactorState,
  slot: number,
  connection: SocketConnection,
): Connection | undefined {
  if ((state.table.flags[slot] & HAS_FACE) === 0) {
    return connection;
  }
  const face = state.faces.get(slot);
  return face?.state === 'connecting' ? undefined : face;
}
