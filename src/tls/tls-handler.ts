/** TLS for servers: a handler that wraps another one, which sees plaintext. */

import type { Action, Connection, Handler, Reactor } from '../api.js';
import { checkHandler } from '../connection/profile.js';
import { RECALLED } from './connection-flags.js';
import { Layer, type TlsStats } from './layer.js';
import type { TlsOptions } from './options.js';
import { receive } from './read-path.js';
import type { TicketKeys } from './ticket-keys.js';
import type { TlsConnection } from './tls-connection.js';
import { TlsServer } from './tls-server.js';
import { transportHooks } from './transport-hooks.js';

export interface TlsHandler extends Handler {
  /**
   * Takes new certificates, CAs or other options of contexts for new handshakes on this thread; what is left out stays.
   * Connections go on as they are. From another thread: `server.executeAll('reloadTls', options)`.
   *
   * @throws TlsError, TypeError, RangeError as `tlsHandler`; then everything stays as it was.
   */
  reload(options: Partial<TlsOptions>): void;
  /** What was counted on this thread. From another thread: `server.execute(index, 'tlsStats')`. */
  readonly tlsStats: Readonly<TlsStats>;
  /** The keys of session tickets; undefined without tickets. */
  readonly ticketKeys: TicketKeys | undefined;
}

/**
 * Speaks TLS 1.2 and 1.3 on the connections of any transport and gives `inner` their plaintext: its hooks get a
 * `SecureConnection`. `onOpen` is called when the handshake is done, `onEnd` for the peer's close_notify. A failed
 * handshake is counted, and told to `onHandshakeError` alone.
 *
 * With several reactors, call it in the handler module, once for each thread, and share the ticket keys through `data`.
 *
 * @throws TlsError `ERR_TLS_CONTEXT` for certificates or settings that cannot be used; MillraceError `ERR_TLS_OPENSSL`
 *   where there is no OpenSSL; TypeError or RangeError for wrong arguments.
 */
export function tlsHandler(options: TlsOptions, inner: Handler): TlsHandler {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Expected TLS options with cert and key, got ${String(options)}`);
  }
  checkHandler(inner);
  const layer = new Layer(inner, options.onHandshakeError);
  const server = new TlsServer(options, layer);
  return {
    ...reactorHooks(inner),
    ...transportHooks(layer),
    onOpen(base: Connection): void {
      server.accept(base);
    },
    onData(base: Connection, bytes: Buffer): Action | void {
      const c = base.context as TlsConnection;
      if (c.handshake === undefined) {
        receive(c, bytes);
      } else {
        c.flags &= ~RECALLED;
        server.receive(c, bytes);
      }
      return layer.takeAction();
    },
    async onShutdown(reactor: Reactor): Promise<void> {
      try {
        await inner.onShutdown?.(reactor);
      } finally {
        server.close();
      }
    },
    tasks: {
      ...inner.tasks,
      reloadTls: (_reactor: Reactor, next: Partial<TlsOptions>) => server.reload(next),
      tlsStats: () => ({ ...layer.stats }),
    },
    reload: (next) => server.reload(next),
    get tlsStats() {
      return layer.stats;
    },
    get ticketKeys() {
      return server.ticketKeys;
    },
  };
}

/** Hooks that have nothing to do with connections; only those that there are, as their presence costs. */
function reactorHooks(inner: Handler): Pick<Handler, 'onBoot' | 'onTick' | 'onMessage'> {
  const hooks: Pick<Handler, 'onBoot' | 'onTick' | 'onMessage'> = {};
  if (inner.onBoot !== undefined) {
    hooks.onBoot = (reactor) => inner.onBoot!(reactor);
  }
  if (inner.onTick !== undefined) {
    hooks.onTick = (reactor) => inner.onTick!(reactor);
  }
  if (inner.onMessage !== undefined) {
    hooks.onMessage = (reactor, bytes, from) => inner.onMessage!(reactor, bytes, from);
  }
  return hooks;
}
