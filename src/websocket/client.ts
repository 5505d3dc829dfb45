/** WebSockets that we open: over the dialer of a reactor, or over any function that connects. */

import type { Connection, DialOptions, Handler, Reactor } from '../api.js';
import type { WebSocket, WebSocketHooks, WebSocketOptions } from './api.js';
import { ClientHandshake } from './client-handshake.js';
import { Endpoint } from './endpoint.js';
import { checkField } from './http-head.js';
import { STAGE_HOOKS } from './stage.js';
import { isToken } from './upgrade.js';
import type { WebSocketConnection } from './web-socket.js';

/** What connects: a reactor, or a function such as `dial`. */
export type Dialer =
  | Pick<Reactor, 'dial'>
  | ((url: string, options: DialOptions) => Promise<Connection>);

/** What connects with TLS, and verifies that the server is `serverName`: such as `dialTls` of `millrace/tls`. */
export type TlsDialer = (
  url: string,
  options: DialOptions & { serverName: string },
) => Promise<Connection>;

export interface ConnectWebSocketOptions<Context = unknown>
  extends WebSocketOptions,
    WebSocketHooks<Context> {
  /** Subprotocols to offer, the preferred one first. */
  protocols?: readonly string[];
  /** Fields of the request beside those of the protocol, such as Authorization or Origin. */
  headers?: Readonly<Record<string, string>>;
  /** For wss:// URLs, instead of the dialer. */
  dialTls?: TlsDialer;
  /** Where to connect to, such as `unix:///run/push.sock`; by default `tcp://` and what the URL says. */
  address?: string;
  /** Becomes the WebSocket's `context`. */
  context?: Context;
  /** Options of the connection below. Its `handler` and `context` are ours. */
  connection?: Omit<DialOptions, 'handler' | 'context' | 'signal'>;
  signal?: AbortSignal;
}

const HANDLER: Handler<ClientHandshake> = {
  ...(STAGE_HOOKS as Handler<never>),
  onOpen(connection) {
    connection.context.connected(connection);
  },
};

/** Options that are used again are checked once, and their WebSockets share what an endpoint has. */
const endpoints = new WeakMap<object, Endpoint>();

/**
 * Opens a WebSocket to `url`, which begins with ws://, or with wss://: then `dialTls` is needed, or a dialer that
 * speaks TLS by itself, and `address`.
 * `onOpen` is called before the promise resolves, and messages may come before whoever awaits it goes on: give hooks.
 *
 * @throws SystemError of the dial; MillraceError `ERR_WEBSOCKET_HANDSHAKE` if the other side does not agree to a
 * WebSocket; the signal's reason; TypeError or RangeError for wrong arguments.
 */
export async function connectWebSocket<Context = unknown>(
  dialer: Dialer,
  url: string | URL,
  options: ConnectWebSocketOptions<Context> = {},
): Promise<WebSocket<Context>> {
  const { hostname, port, host, target, scheme } = readUrl(url, options);
  const { protocols = [], headers = {}, context, signal } = options;
  checkRequest(protocols, headers);
  let endpoint = endpoints.get(options);
  if (endpoint === undefined) {
    endpoint = new Endpoint(options, options, true);
    endpoints.set(options, endpoint);
  }
  let settle: (outcome: WebSocketConnection | Error) => void = () => {};
  const outcome = new Promise<WebSocketConnection | Error>((resolve) => {
    settle = resolve;
  });
  const request = { scheme, host, target, protocols, headers, context };
  const handshake = new ClientHandshake(endpoint, request, settle);
  const address = options.address ?? `tcp://${hostname}:${port}`;
  const dialOptions: DialOptions = { ...options.connection, handler: HANDLER, context: handshake };
  if (signal !== undefined) {
    dialOptions.signal = signal;
  }
  const { dialTls } = options;
  const connection = await (scheme === 'wss' && dialTls !== undefined
    ? dialTls(address, { ...dialOptions, serverName: hostname.replace(/^\[|\]$/g, '') })
    : typeof dialer === 'function'
      ? dialer(address, dialOptions)
      : dialer.dial(address, dialOptions));
  // A dial's signal does not reach as far as the handshake.
  const abort = () => connection.abort();
  signal?.addEventListener('abort', abort);
  const socket = await outcome;
  signal?.removeEventListener('abort', abort);
  if (signal?.aborted === true) {
    connection.abort();
    throw signal.reason;
  }
  if (socket instanceof Error) {
    throw socket;
  }
  return socket as WebSocket as WebSocket<Context>;
}

function readUrl(
  given: string | URL,
  { address, dialTls }: Pick<ConnectWebSocketOptions, 'address' | 'dialTls'>,
) {
  const url = new URL(given);
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') {
    throw new TypeError(`Expected a URL that begins with ws:// or wss://, got ${url.protocol}`);
  }
  if (dialTls !== undefined && typeof dialTls !== 'function') {
    throw new TypeError(`Expected dialTls to be a function, got ${typeof dialTls}`);
  }
  if (url.protocol === 'wss:' && address === undefined && dialTls === undefined) {
    throw new TypeError(
      'For wss:// give dialTls, or a dialer that speaks TLS and the address for it',
    );
  }
  if (url.hash !== '' || url.username !== '' || url.password !== '') {
    throw new TypeError('Expected a URL without a fragment and credentials (see options.headers)');
  }
  const port = url.port !== '' ? url.port : url.protocol === 'ws:' ? '80' : '443';
  return {
    hostname: url.hostname,
    port,
    host: url.host,
    target: `${url.pathname}${url.search}`,
    scheme: url.protocol === 'ws:' ? ('ws' as const) : ('wss' as const),
  };
}

const OWN_FIELDS = new Set([
  'host',
  'upgrade',
  'connection',
  'content-length',
  'transfer-encoding',
]);

function checkRequest(
  protocols: readonly string[],
  headers: Readonly<Record<string, string>>,
): void {
  if (!protocols.every(isToken) || new Set(protocols).size !== protocols.length) {
    throw new TypeError(`Expected protocols to be different tokens, got ${protocols.join(', ')}`);
  }
  for (const [name, value] of Object.entries(headers)) {
    checkField(name, value);
    const lower = name.toLowerCase();
    if (OWN_FIELDS.has(lower) || lower.startsWith('sec-websocket-')) {
      throw new TypeError(`Cannot set ${name}: the handshake does`);
    }
  }
}
