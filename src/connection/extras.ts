/**
 * What only some connections have: the user's timers, promises that wait for a drain, the source paused by a sink, an
 * async iterator, the callback of a dial. Kept apart from the table so that the others pay nothing.
 */

import type { CloseReason } from '../api.js';
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
  /** Received bytes go here instead of to the handler. */
  consumer: ChunkConsumer | undefined;
}

/** What takes a connection's bytes in place of its handler: an async iterator, or a stream of millrace/node. */
export interface ChunkConsumer {
  /** It ends our side itself, after the peer's FIN: what `allowHalfOpen` is for a handler. */
  readonly keepsHalfOpen: boolean;
  /** Bytes that the consumer owns. */
  push(bytes: Buffer): void;
  /** The peer will send no more. */
  end(): void;
  /** The connection is closed; nothing follows. Comes once, after `end` or without it. */
  close(reason: CloseReason): void;
}

/** What connections have for consumers, beside their public face. */
export interface Consumable {
  /** From now on all bytes, what is unread first, go there. Throws TypeError if there is a consumer already. */
  consume(consumer: ChunkConsumer): void;
  /** Whether this connection holds the process, where connections do (`dial` and `adopt`). */
  holdProcess(isWanted: boolean): void;
}

/** The connection's extras, made when first asked for. */
export function extrasOf(state: ReactorState, slot: number): Extras {
  let extras = state.extras.get(slot);
  if (extras === undefined) {
    extras = { timers: new Set(), waiters: [], sources: [], consumer: undefined };
    state.extras.set(slot, extras);
    state.table.flags[slot] |= HAS_EXTRAS;
  }
  return extras;
}
