/**
 * Sockets of Node's become connections when they are first used. What they still have to send themselves takes its
 * time; operations wait for it.
 */

import { Socket } from 'node:net';

import type { ConnectionOptions, Handler, Reactor } from '../api.js';
import { drainAlways } from '../connection/hand-over.js';
import { adopt } from '../engine/adopt.js';
import { sharedReactor } from '../engine/shared-reactor.js';
import { MillraceError } from '../errors.js';
import type { OperationError } from './api.js';
import type { Channel } from './channel.js';

/** Throws TypeError for a socket that cannot be adopted, whatever happens. */
export function isSocket(value: unknown): value is Socket {
  if (!(value instanceof Socket)) {
    return false;
  }
  if ((value as Socket & { encrypted?: boolean }).encrypted === true) {
    throw new TypeError(
      'Cannot take over a tls.TLSSocket, whose keys Node has: expected a connection of millrace/tls, or of fromDuplex',
    );
  }
  return true;
}

/** What operations end with. Those of the system, and of the library, have a code. */
function withCode(error: Error & { code?: string }): OperationError {
  return error.code === undefined
    ? new MillraceError('ERR_CLOSED', error.message, { cause: error })
    : (error as OperationError);
}

export class Adoption {
  readonly #handler: Handler;
  readonly #options: ConnectionOptions;

  /** `handler.onOpen` is called when a socket has become a connection, whose `context` is the channel. */
  constructor(handler: Handler, options: ConnectionOptions) {
    const { onOpen } = handler;
    this.#handler = {
      ...handler,
      onOpen(connection) {
        drainAlways(connection);
        return onOpen?.(connection);
      },
    };
    this.#options = options;
  }

  /** Where the connections live. */
  get reactor(): Reactor {
    return sharedReactor();
  }

  start(socket: Socket, channel: Channel, onFailure: (error: OperationError) => void): void {
    adopt(socket, { ...this.#options, handler: this.#handler, context: channel }).then(
      undefined,
      (error) => onFailure(withCode(error)),
    );
  }
}
