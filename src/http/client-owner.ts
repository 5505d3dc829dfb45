/** What a connection of a client needs of the pool that it belongs to. */

import type { ClientConnection } from './client-connection.js';
import type { ClientExchange } from './client-exchange.js';
import type { ClientLimits } from './client-limits.js';
import type { HttpClientStats } from './client-stats.js';

export interface ClientPool {
  readonly limits: ClientLimits;
  readonly stats: HttpClientStats;
  onOpen(connection: ClientConnection): void;
  /** It can serve another request. */
  onRest(connection: ClientConnection): void;
  onGone(connection: ClientConnection): void;
  /** Its socket is closed. */
  onClosed(connection: ClientConnection): void;
  /** It is not the client's any more. */
  onLeft(connection: ClientConnection): void;
  /** One more request may be sent behind those that are under way. */
  onRoom(connection: ClientConnection): void;
  /**
   * The connection ended before it answered anything of these: they are sent on another one. `isFailed`: it was not the
   * server that said it would end it.
   */
  sendAgain(exchanges: readonly ClientExchange[], isFailed: boolean): void;
}
