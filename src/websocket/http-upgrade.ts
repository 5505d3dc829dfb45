/**
 * WebSockets of an HTTP server: what `onUpgrade` of `httpHandler` is to be. Written against the few things that it
 * needs of a request, so that any HTTP server with such a hook can use it.
 */

import type { Connection, Handler } from '../api.js';
import type { WebSocketServer } from './server.js';
import { isRefusal, type Refusal, refusalResponse } from './upgrade.js';

/** A request whose head has been read. */
export interface UpgradeableRequest {
  readonly method: string;
  /** The target as it was sent, such as `/chat?room=1`. */
  readonly target: string;
  /** A field by its name in lower case; several of one name joined with commas. */
  header(name: string): string | undefined;
}

export type UpgradeHook = (
  request: UpgradeableRequest,
  connection: Connection,
) => Handler | undefined;

/**
 * The hook for `sockets`: takes requests that upgrade to WebSocket at `path` (any path, if it is not given), answers
 * 101 or a refusal itself, and leaves all other requests to the HTTP server. The reactor's hooks of `sockets`, without
 * which a hub hears nothing from other reactors, are the HTTP handler's own to call.
 */
export function upgradeHook(sockets: WebSocketServer, path?: string): UpgradeHook {
  return (request, connection) => {
    const { target, method } = request;
    const isHere = path === undefined || target === path || target.startsWith(`${path}?`);
    const isAsked = request.header('upgrade')?.toLowerCase() === 'websocket';
    if (!isHere || !isAsked || method !== 'GET') {
      return undefined;
    }
    const result = sockets.upgrade(request, connection);
    return isRefusal(result) ? refusing(result) : result;
  };
}

/** Answers, and closes: who was refused has nothing more to say here. */
function refusing(refusal: Refusal): Handler {
  return {
    onOpen(connection) {
      connection.write(refusalResponse(refusal));
      return 'close';
    },
  };
}
