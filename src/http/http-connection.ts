/**
 * One connection, as long as it speaks HTTP: what is left of it while nothing is under way. Its place in the service's
 * list is inside it, so that a million of them are no more than these objects.
 */

import type { Action, Connection, Handler } from '../api.js';
import type { Conversation } from './conversation.js';
import type { Service } from './service.js';

export class HttpConnection {
  readonly connection: Connection;
  readonly service: Service;
  /** The list of connections in the order in which they became idle. */
  previous: HttpConnection | undefined = undefined;
  next: HttpConnection | undefined = undefined;
  /** When it became idle, on the service's clock. */
  stamp = 0;
  /** Requests so far. */
  requests = 0;
  /** While something is under way. */
  conversation: Conversation | undefined = undefined;

  constructor(connection: Connection, service: Service) {
    this.connection = connection;
    this.service = service;
  }

  get isIdle(): boolean {
    return this.conversation === undefined;
  }

  /** What lies from `start` to `end` of `bytes`, borrowed. */
  receive(bytes: Buffer, start: number, end: number): void {
    this.conversation ??= this.service.takeConversation(this);
    this.conversation.receive(bytes, start, end);
  }

  /**
   * Gives the connection to another handler, with what was received for it. A push handler is called by ours, so that
   * what stands around HTTP (a handler that wraps it) goes on seeing the connection; others, and those with defaults,
   * get it from the transport.
   */
  handOver(handler: Handler, first: Buffer, isPeerDone: boolean): void {
    const { connection, service } = this;
    service.remove(this);
    if (handler.onData === undefined || handler.defaults !== undefined) {
      connection.handOver(handler, first);
    } else {
      service.delegates.set(connection, handler);
      connection.context = undefined;
      // An action is carried out as far as it concerns the connection; it is not the return value of a hook here.
      if (handler.onOpen?.(connection) === 'close') {
        connection.close();
      } else if (first.length > 0 && handler.onData(connection, first) === 'close') {
        connection.close();
      } else if (isPeerDone) {
        endDelegate(connection, handler);
      }
    }
    if (service.isDraining && isOpen(connection)) {
      // The server's close was announced before this handler had the connection.
      if (handler.onServerClose === undefined || handler.onServerClose(connection) === 'close') {
        connection.close();
      }
    }
  }
}

/** The peer's end, for a push handler without defaults: our connections may be half open, its own may not. */
export function endDelegate(connection: Connection, handler: Handler): Action | void {
  const action = handler.onEnd?.(connection);
  connection.close();
  return action;
}

function isOpen({ state }: Connection): boolean {
  return state !== 'closing' && state !== 'closed';
}
