/**
 * What a connection's bytes go to: first an opening handshake, then a WebSocket. The stage is the connection's context,
 * and the hooks of a handler pass everything on to it.
 */

import type { Action, CloseReason, Connection, Handler } from '../api.js';
import { setDataAt } from '../hooks.js';
import { CloseCode } from './close-code.js';

export interface Stage {
  /** What lies from `start` to `end` of `bytes`, borrowed. */
  receive(bytes: Buffer, start: number, end: number): void;
  drained(): void;
  peerEnded(): void;
  ended(reason: CloseReason): void;
  /** Ends it from this side: a WebSocket with the code. */
  close(code: number): void;
}

function stageOf(connection: Connection): Stage | undefined {
  return connection.context as Stage | undefined;
}

/** The hooks that every handler of WebSockets has. */
export const STAGE_HOOKS = {
  onData(connection: Connection, bytes: Buffer): void {
    stageOf(connection)?.receive(bytes, 0, bytes.length);
  },
  onDrain(connection: Connection): void {
    stageOf(connection)?.drained();
  },
  onEnd(connection: Connection): void {
    stageOf(connection)?.peerEnded();
  },
  onClose(connection: Connection, reason: CloseReason): void {
    stageOf(connection)?.ended(reason);
  },
  onServerClose(connection: Connection): Action | void {
    const stage = stageOf(connection);
    if (stage === undefined) {
      return 'close';
    }
    stage.close(CloseCode.GOING_AWAY);
  },
} satisfies Handler;

setDataAt(STAGE_HOOKS.onData, (connection, memory, start, end) => {
  stageOf(connection)?.receive(memory, start, end);
});
