/**
 * What happens, for those who watch: channels of node:diagnostics_channel with typed messages, and lines on standard
 * error with NODE_DEBUG=millrace. Where nobody listens, an event costs the look at two flags, and no message is made.
 *
 * A channel is heard in its own thread: events of connections in the reactor's, those of servers in the thread that
 * called `serve`. With several reactors, subscribe in the handler module for the former.
 */

import { type Channel, channel } from 'node:diagnostics_channel';
import { debuglog } from 'node:util';

import type { CloseReason, Connection, Server } from '../api.js';

/** The channels' names, and what is published there. Objects of messages are live: read them, and do not keep them. */
export interface DiagnosticMessages {
  /** `serve` has succeeded. */
  'millrace:server:listening': { readonly server: Server };
  /** `close` was called, or a signal or hook asked for it; and all is closed. */
  'millrace:server:closing': { readonly server: Server };
  'millrace:server:closed': { readonly server: Server };
  /** A reactor's thread is up; it died and is replaced. Only servers with threads have these. */
  'millrace:reactor:ready': { readonly server: Server; readonly index: number };
  'millrace:reactor:death': {
    readonly server: Server;
    readonly index: number;
    readonly error: Error;
  };
  /** Before `onOpen`, accepted and dialed alike. */
  'millrace:connection:open': { readonly connection: Connection };
  /** Before `onClose`. */
  'millrace:connection:close': { readonly connection: Connection; readonly reason: CloseReason };
  /** A hook has thrown: its connection is reset. */
  'millrace:hook:error': { readonly connection: Connection; readonly error: Error };
  /** A dial begins; it has succeeded, after `onOpen`; it has failed. */
  'millrace:dial:start': { readonly url: string };
  'millrace:dial:connected': { readonly url: string; readonly connection: Connection };
  'millrace:dial:error': { readonly url: string; readonly error: unknown };
  /** What `onWarning` is told, in the thread that called `serve`. */
  'millrace:warning': { readonly warning: Error };
}

export type DiagnosticName = keyof DiagnosticMessages;

/** NODE_DEBUG is read when the process starts: it does not change. */
const debug = debuglog('millrace');
const IS_LOGGED = debug.enabled;

/** The channel and the line of one kind of event. */
class Event<Name extends DiagnosticName> {
  readonly #channel: Channel;
  readonly #describe: (message: DiagnosticMessages[Name]) => string;

  constructor(name: Name, describe: (message: DiagnosticMessages[Name]) => string) {
    this.#channel = channel(name);
    this.#describe = describe;
  }

  /** Whether a message would reach anybody: to be asked before one is made. */
  get isHeard(): boolean {
    return IS_LOGGED || this.#channel.hasSubscribers;
  }

  publish(message: DiagnosticMessages[Name]): void {
    if (IS_LOGGED) {
      debug('%s', this.#describe(message));
    }
    this.#channel.publish(message);
  }
}

export const events = {
  listening: new Event('millrace:server:listening', ({ server }) => {
    const where = server.addresses.join(', ');
    return `listening on ${where}: ${server.driver} (${server.driverReason}), ${server.reactorCount} reactor(s)`;
  }),
  closing: new Event('millrace:server:closing', ({ server }) => `closing ${server.addresses}`),
  closed: new Event('millrace:server:closed', ({ server }) => `closed ${server.addresses}`),
  ready: new Event('millrace:reactor:ready', ({ index }) => `reactor ${index} is ready`),
  death: new Event(
    'millrace:reactor:death',
    ({ index, error }) => `reactor ${index} died: ${error.message}`,
  ),
  open: new Event(
    'millrace:connection:open',
    ({ connection: { id, remoteAddress } }) => `connection ${id} open, peer ${remoteAddress}`,
  ),
  close: new Event(
    'millrace:connection:close',
    ({ connection: { id }, reason: { code, error, timeout, unsentBytes } }) => {
      const why = error?.message ?? timeout;
      const unsent = unsentBytes > 0 ? `, ${unsentBytes} bytes unsent` : '';
      return `connection ${id} closed: ${code}${why === undefined ? '' : ` (${why})`}${unsent}`;
    },
  ),
  hookError: new Event(
    'millrace:hook:error',
    ({ connection: { id }, error }) => `a hook of connection ${id} threw ${error.stack}`,
  ),
  dialStart: new Event('millrace:dial:start', ({ url }) => `dialing ${url}`),
  dialConnected: new Event(
    'millrace:dial:connected',
    ({ url, connection: { id } }) => `dialed ${url}: connection ${id}`,
  ),
  dialError: new Event('millrace:dial:error', ({ url, error }) => `cannot dial ${url}: ${error}`),
  warning: new Event('millrace:warning', ({ warning }) => `warning: ${warning.message}`),
};

/** Tells of a dial that has begun how it ends. */
export function watchDial(url: string, dialing: Promise<Connection>): void {
  events.dialStart.publish({ url });
  dialing.then(
    (connection) => events.dialConnected.publish({ url, connection }),
    (error: unknown) => events.dialError.publish({ url, error }),
  );
}

/** Whether anybody wants to know of dials. */
export function areDialsHeard(): boolean {
  const { dialStart, dialConnected, dialError } = events;
  return dialStart.isHeard || dialConnected.isHeard || dialError.isHeard;
}

/**
 * Subscribes to a channel, with the type of its messages: `subscribe` of node:diagnostics_channel does the same.
 * Returns a function that ends it. What `listener` throws is an uncaught exception.
 */
export function onDiagnostic<Name extends DiagnosticName>(
  name: Name,
  listener: (message: DiagnosticMessages[Name]) => void,
): () => void {
  const target = channel(name);
  const heard = (message: unknown): void => listener(message as DiagnosticMessages[Name]);
  target.subscribe(heard);
  return () => {
    target.unsubscribe(heard);
  };
}
