/**
 * A handler that misbehaves on demand: it throws in the hook that `data` names for connections that have sent `offend`,
 * and blocks its reactor when told `block` (until a shared word is set) or `hang` (for good).
 */

import type { Action, Connection, Handler, Reactor } from '../../../src/index.js';

export type OffendingHook =
  | 'onOpen'
  | 'onData'
  | 'onReadable'
  | 'onDrain'
  | 'onEnd'
  | 'onClose'
  | 'onBeforeWrite'
  | 'timer';

export interface OffenderData {
  readonly hook?: OffendingHook;
  /** Word 0: the blocked may go on. */
  readonly release?: SharedArrayBuffer;
}

export interface OffenderReport {
  readonly reasons: { code: string; message: string | undefined; isSame: boolean }[];
}

interface Context {
  isOffending: boolean;
}

export default function createHandler({ hook, release }: OffenderData): Handler<Context> {
  const report: OffenderReport = { reasons: [] };
  const thrown = new Error(`as told in ${hook}`);
  const check = (name: OffendingHook, connection: Connection<Context>): void => {
    if (name === hook && connection.context.isOffending) {
      throw thrown;
    }
  };
  const onBytes = (connection: Connection<Context>, word: string): Action | void => {
    if (word === 'block') {
      Atomics.wait(new Int32Array(release!), 0, 0);
    } else if (word === 'hang') {
      for (;;) {
        // On purpose.
      }
    } else if (word === 'offend') {
      connection.context.isOffending = true;
      connection.setTimer(0, () => check('timer', connection));
      if (hook === 'onDrain') {
        connection.cork();
        connection.write(Buffer.alloc(2_000));
        connection.uncork();
      } else if (hook === 'onClose') {
        return 'close';
      }
    }
    connection.write(`${connection.reactor.index}`);
    return undefined;
  };
  const handler: Handler<Context> = {
    onOpen(connection) {
      // The peer that is to offend at once says so by its address.
      const isOffending = connection.remoteAddress.startsWith('tcp://127.0.0.2:');
      connection.context = { isOffending };
      check('onOpen', connection);
    },
    onDrain: (connection) => check('onDrain', connection),
    onEnd: (connection) => check('onEnd', connection),
    onClose(connection, { code, error }) {
      report.reasons.push({ code, message: error?.message, isSame: error === thrown });
      check('onClose', connection);
    },
    tasks: {
      report: () => report,
      index: ({ index }: Reactor) => index,
    },
  };
  if (hook === 'onBeforeWrite') {
    handler.onBeforeWrite = (connection) => check('onBeforeWrite', connection);
  }
  if (hook === 'onReadable') {
    handler.onReadable = (connection) => {
      const word = connection.reader.readString(connection.reader.length)!;
      const action = onBytes(connection, word);
      check('onReadable', connection);
      return action;
    };
  } else {
    handler.onData = (connection, bytes) => {
      const action = onBytes(connection, bytes.toString());
      check('onData', connection);
      return action;
    };
  }
  return handler;
}
