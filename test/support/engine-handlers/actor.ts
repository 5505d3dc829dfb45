/**
 * A handler that returns one action from one hook, for connections that have sent `act` (or at once, from onOpen and
 * onTick), and keeps account in shared memory, which can be read after the end of its thread.
 */

import type { Action, Handler } from '../../../src/index.js';

export type ActingHook =
  | 'onOpen'
  | 'onData'
  | 'onReadable'
  | 'onDrain'
  | 'onEnd'
  | 'onClose'
  | 'onTick';

export interface ActorData {
  readonly hook?: ActingHook;
  readonly action?: Action;
  /** The words named by `WORDS`. */
  readonly account: SharedArrayBuffer;
}

/** What each word of the account counts. */
export const WORDS = {
  opened: 0,
  closed: 1,
  boots: 2,
  shutdowns: 3,
  /** Hooks after onClose, a second onClose, or a connection closed after onShutdown. */
  violations: 4,
  /** Closes by their reason. */
  closedByShutdown: 5,
  closedByEnd: 6,
  closedByUs: 7,
  unsentConnections: 8,
  /** Set by the test: from here on hooks act. */
  isArmed: 9,
} as const;

type Context = { acts: boolean; isClosed: boolean };

export default function createHandler({ hook, action, account }: ActorData): Handler<Context> {
  const words = new Int32Array(account);
  const count = (word: keyof typeof WORDS) => Atomics.add(words, WORDS[word], 1);
  let isShutDown = false;
  const act = (name: ActingHook, context: Context): Action => {
    if (context.isClosed || isShutDown) {
      count('violations');
    }
    return name === hook && context.acts ? action! : 'none';
  };
  const handler: Handler<Context> = {
    onBoot: () => void count('boots'),
    onShutdown() {
      isShutDown = true;
      count('shutdowns');
    },
    onOpen(connection) {
      count('opened');
      const acts = Atomics.load(words, WORDS.isArmed) === 1;
      connection.context = { acts, isClosed: false };
      return act('onOpen', connection.context);
    },
    onDrain: ({ context }) => act('onDrain', context),
    onEnd: ({ context }) => act('onEnd', context),
    onClose({ context }, { code, unsentBytes }) {
      count('closed');
      count(
        code === 'shutdown' ? 'closedByShutdown' : code === 'ended' ? 'closedByEnd' : 'closedByUs',
      );
      if (unsentBytes > 0) {
        count('unsentConnections');
      }
      const answer = act('onClose', context);
      context.isClosed = true;
      return answer;
    },
  };
  const onWord: NonNullable<Handler<Context>['onData']> = (connection, bytes) => {
    const { context } = connection;
    const word = bytes.toString();
    context.acts ||= word === 'act';
    if (word === 'fill') {
      connection.write(Buffer.alloc(8 * 1024 * 1024, 'f'));
    } else if (word === 'pause') {
      connection.pause();
    } else if (word === 'act' && hook === 'onDrain') {
      connection.cork();
      connection.write(Buffer.alloc(2_000));
      connection.uncork();
    } else if (word === 'act' && hook === 'onClose') {
      return 'close';
    } else if (word !== 'act') {
      connection.write(bytes);
    }
    return undefined;
  };
  if (hook === 'onReadable') {
    handler.onReadable = (connection) => {
      onWord(connection, connection.reader.readCopy(connection.reader.length)!);
      return act('onReadable', connection.context);
    };
  } else {
    handler.onData = (connection, bytes) =>
      onWord(connection, bytes) ?? act('onData', connection.context);
  }
  if (hook === 'onTick') {
    handler.onTick = () => (Atomics.load(words, WORDS.isArmed) === 1 ? action! : 1);
  }
  return handler;
}
