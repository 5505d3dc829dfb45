/**
 * What only some connections have: the user's timers, promises that wait for a drain, the source paused by a sink, an
 * async iterator, the callback of a dial. Kept apart from the table so that the others pay nothing.
 */

import type { SocketConnection } from './connection.js';
import { HAS_EXTRAS } from './connection-table.js';
import type { ReactorState } from './reactor-state.js';

export interface Extras {
  /** Ids of timers that end with the connection. */
  readonly timers: Set<number>;
  /** Resolvers of `drained()`. */
  readonly waiters: ((drained: boolean) => void)[];
  /** Connections that read for this one and are held until it drains. */
  readonly sources: SocketConnection[];
  /** Resolvers of `closed()`. */
  readonly closers: (() => void)[];
  /** Received bytes go here instead of to the handler. */
  consumer: ChunkConsumer | undefined;
}

/** An async iterator's side that is fed. */
export interface ChunkConsumer {
  push(bytes: Buffer): void;
  end(error: Error | undefined): void;
}

/** The connection's extras, made when first asked for. */
export function extrasOf(state: ReactorState, slot: number): Extras {
  let extras = state.extras.get(slot);
  if (extras === undefined) {
    extras = { timers: new Set(), waiters: [], sources: [], closers: [], consumer: undefined };
    state.extras.set(slot, extras);
    state.table.flags[slot] |= HAS_EXTRAS;
  }
  return extras;
}
