/**
 * WebSockets for a server: a handler that answers the opening handshake itself, and the way in for an HTTP server that
 * has read the request already.
 */

import type { Connection, Handler, Reactor } from '../api.js';
import type { WebSocket, WebSocketHooks, WebSocketOptions, WebSocketStats } from './api.js';
import { Endpoint } from './endpoint.js';
import type { HubLink } from './hub.js';
import type { UpgradeRequest } from './request.js';
import {
  type OpeningRules,
  ServerHandshake,
  startSocket,
  type UpgradeAcceptance,
  type UpgradeDecision,
} from './server-handshake.js';
import { STAGE_HOOKS } from './stage.js';
import { isToken, type Refusal } from './upgrade.js';
import { type UpgradeSource, Upgrades } from './upgrades.js';
import { WebSocketConnection } from './web-socket.js';

/** Hooks of the reactor's, beside those of the WebSockets. */
export type ReactorHooks = Pick<
  Handler,
  'onBoot' | 'onShutdown' | 'onTick' | 'onMessage' | 'tasks'
>;

export interface WebSocketServerOptions<Context = unknown>
  extends WebSocketOptions,
    WebSocketHooks<Context> {
  /** The only path that is served; others get 404. Any, unless given. */
  path?: string;
  /** Which origins may connect; others, also none at all, get 403. Any, unless given. */
  origins?: readonly string[] | ((origin: string | undefined) => boolean);
  /** Subprotocols spoken here: the first of the client's that is among them is agreed on. */
  protocols?: readonly string[];
  /**
   * Decides on a handshake that is in order; may be asynchronous, within `handshakeTimeoutMs`. Nothing returned:
   * accept. Not called by `upgrade`: there the HTTP server's own hooks have decided.
   */
  onUpgrade?(
    request: UpgradeRequest,
    connection: Connection,
  ): UpgradeDecision | Promise<UpgradeDecision>;
  /** Publishes and subscribes: see `WebSocketHub`. */
  hub?: HubLink;
  /** The handler's other hooks. `onMessage` gets the messages that are not the hub's. */
  reactorHooks?: ReactorHooks;
}

/** A handler to be served, with what can be asked of its WebSockets on this thread. */
export interface WebSocketServer extends Handler {
  /**
   * For an HTTP server that has read the request: writes the 101 and returns the handler that the connection is to be
   * given to (its `onOpen` next, then `onData` with what was received after the request, then all its events); or
   * writes nothing, and returns what is to be answered. The connection's `context` is that handler's from then on.
   *
   * @throws TypeError for headers that may not be sent, or a protocol that was not offered.
   */
  upgrade(
    request: UpgradeSource,
    connection: Connection,
    acceptance?: UpgradeAcceptance,
  ): Handler | Refusal;
  /** The open WebSockets of a reactor of this thread. */
  sockets(reactor: Reactor): IterableIterator<WebSocket>;
  readonly stats: WebSocketStats;
}

/** For `tasks.closeWebSockets`. */
export interface CloseRequest {
  readonly code?: number;
  readonly reason?: string;
}

/**
 * A handler that speaks WebSocket on every connection. `server.executeAll('closeWebSockets', { code: 1001 })` starts
 * the close handshake of all of them, such as before a shutdown.
 */
export function webSocketServer<Context = unknown>(
  options: WebSocketServerOptions<Context>,
): WebSocketServer {
  const endpoint = new Endpoint(options, options, false);
  const rules = readRules(options, endpoint);
  const { hub, reactorHooks = {} } = options;
  const upgrades = new Upgrades(endpoint, rules);
  return {
    ...STAGE_HOOKS,
    ...reactorHandler(endpoint, hub, reactorHooks),
    onOpen(connection) {
      connection.context = new ServerHandshake(
        endpoint.sideOf(connection.reactor),
        connection,
        rules,
      );
    },
    upgrade: (request, connection, acceptance) => upgrades.take(request, connection, acceptance),
    sockets: (reactor) => socketsOf(endpoint, reactor),
    get stats() {
      return { ...endpoint.counts };
    },
  };
}

/**
 * A handler for connections that speak WebSocket from their first byte on, since the opening handshake was done before
 * or is not wanted, such as on a Unix socket between two programs. `deflate` is used as given, with no negotiation.
 */
export function webSocketHandler<Context = unknown>(
  options: WebSocketOptions &
    WebSocketHooks<Context> & {
      /** Which side of the protocol this is. `server` by default. */
      role?: 'server' | 'client';
      hub?: HubLink;
      reactorHooks?: ReactorHooks;
    },
): Omit<WebSocketServer, 'upgrade'> {
  const { role = 'server', hub, reactorHooks = {} } = options;
  if (role !== 'server' && role !== 'client') {
    throw new TypeError(`Expected role to be server or client, got ${String(role)}`);
  }
  const endpoint = new Endpoint(options, options, role === 'client');
  const { deflate } = endpoint.settings;
  return {
    ...STAGE_HOOKS,
    ...reactorHandler(endpoint, hub, reactorHooks),
    onOpen(connection) {
      const side = endpoint.sideOf(connection.reactor);
      const keeps = side.compressions?.offersOwn ?? false;
      const agreement = deflate && {
        deflateBits: deflate.windowBits,
        deflateKeeps: keeps,
        inflateBits: deflate.peerWindowBits,
        inflateKeeps: keeps,
      };
      startSocket(side, connection, '', agreement, undefined);
    },
    sockets: (reactor) => socketsOf(endpoint, reactor),
    get stats() {
      return { ...endpoint.counts };
    },
  };
}

function reactorHandler(
  endpoint: Endpoint,
  hub: HubLink | undefined,
  hooks: ReactorHooks,
): ReactorHooks {
  const closeWebSockets = (reactor: Reactor, request: CloseRequest = {}): number => {
    let count = 0;
    for (const socket of socketsOf(endpoint, reactor)) {
      socket.close(request.code ?? 1001, request.reason);
      count += 1;
    }
    return count;
  };
  return {
    ...(hooks.onTick === undefined ? {} : { onTick: (reactor) => hooks.onTick!(reactor) }),
    async onBoot(reactor) {
      hub?.join(reactor);
      await hooks.onBoot?.(reactor);
    },
    async onShutdown(reactor) {
      await hooks.onShutdown?.(reactor);
      hub?.leave(reactor);
      endpoint.leave(reactor);
    },
    onMessage(reactor, bytes, from) {
      if (hub === undefined || !hub.receive(reactor, bytes, from)) {
        hooks.onMessage?.(reactor, bytes, from);
      }
    },
    tasks: { ...hooks.tasks, closeWebSockets },
  };
}

function* socketsOf(endpoint: Endpoint, reactor: Reactor): IterableIterator<WebSocket> {
  for (const item of endpoint.sideOf(reactor).open) {
    if (item instanceof WebSocketConnection) {
      yield item;
    }
  }
}

function readRules(options: WebSocketServerOptions<never>, endpoint: Endpoint): OpeningRules {
  const { path, origins, protocols = [], onUpgrade } = options;
  if (path !== undefined && (typeof path !== 'string' || !path.startsWith('/'))) {
    throw new TypeError(`Expected path to begin with a slash, got ${String(path)}`);
  }
  if (!protocols.every(isToken)) {
    throw new TypeError(`Expected protocols to be tokens, got ${protocols.join(', ')}`);
  }
  if (onUpgrade !== undefined && typeof onUpgrade !== 'function') {
    throw new TypeError(`Expected onUpgrade to be a function, got ${typeof onUpgrade}`);
  }
  const allowed =
    typeof origins === 'function' || origins === undefined ? undefined : new Set(origins);
  return {
    path,
    isOriginAllowed:
      typeof origins === 'function'
        ? origins
        : allowed && ((origin) => origin !== undefined && allowed.has(origin)),
    protocols: [...protocols],
    deflate: endpoint.settings.deflate,
    decide: onUpgrade && ((request, connection) => onUpgrade.call(options, request, connection)),
  };
}
