/**
 * Ids of datagram sessions: 2^52, the reactor, and the number of the session among all that the reactor ever had. Ids
 * of connections and sockets (connection-table.ts) stay below 2^52: one call takes either. A slot with a generation
 * would not do: who forges addresses opens and closes sessions so fast that generations come around again.
 */

import { reactorOfId } from '../connection-table.js';

const SESSIONS = 2 ** 52;
const SERIALS = 2 ** 43;

export function makeSessionId(reactor: number, serial: number): number {
  return SESSIONS + reactor * SERIALS + serial;
}

export function isSessionId(id: number): boolean {
  return id >= SESSIONS;
}

/** Which session of its reactor. */
export function serialOfSessionId(id: number): number {
  return id % SERIALS;
}

/** The reactor of a session, or of a connection or socket. */
export function ownerOfId(id: number): number {
  return reactorOfId(isSessionId(id) ? id - SESSIONS : id);
}
