/**
 * Takes streams more slowly than they come, in one of the ways that there are, and answers each, after the peer's FIN,
 * with a summary of what it was.
 */

import { createHash, type Hash } from 'node:crypto';

import type { Connection, Handler, Reactor } from '../../../src/index.js';
import { hello, observed } from '../observed.js';
import { pauseFor } from '../until.js';
import { encodeSummary } from './half-close-order.js';

export interface ConsumerData {
  readonly way: ConsumerWay;
}

export type ConsumerWay =
  /** `for await`, with a rest after each chunk. */
  | 'iterating'
  /** `pause` after each piece, `resume` later. */
  | 'pausing'
  /** Bytes stay in the reader until a timer wakes the connection. */
  | 'leaving unread'
  /** Paused in onOpen and never resumed. */
  | 'pausing at once';

interface Context {
  readonly hash: Hash;
  consumed: number;
  /** The most bytes that were received and not consumed. */
  mostWaiting: number;
  mayRead: boolean;
}

/** Of the reader, at once. */
const PORTION_BYTES = 200_000;
const REST_MS = 1;

export function handler({ way }: ConsumerData): Handler {
  const hooks: Handler = {
    onOpen(connection) {
      const hash = createHash('sha256');
      connection.context = { hash, consumed: 0, mostWaiting: 0, mayRead: false } satisfies Context;
      connection.write(hello(connection));
      if (way === 'iterating') {
        void iterate(connection);
      } else if (way === 'pausing at once') {
        connection.pause();
      } else if (way === 'leaving unread') {
        allow(connection);
      }
    },
    onEnd(connection) {
      if (way !== 'iterating') {
        finish(connection);
      }
    },
    tasks: {
      mostWaitingOf: (reactor: Reactor, id: number) => {
        const connection = reactor.find(id);
        return connection === undefined ? undefined : contextOf(connection).mostWaiting;
      },
    },
  };
  if (way === 'leaving unread') {
    hooks.onReadable = takePortion;
  } else {
    hooks.onData = (connection, bytes) => {
      consume(connection, bytes);
      connection.pause();
      connection.setTimer(REST_MS, () => connection.resume());
    };
  }
  return observed(hooks);
}

function contextOf(connection: Connection): Context {
  return connection.context as Context;
}

function consume(connection: Connection, bytes: Buffer): void {
  const context = contextOf(connection);
  const waiting = connection.bytesReceived - context.consumed;
  context.mostWaiting = Math.max(context.mostWaiting, waiting);
  context.consumed += bytes.byteLength;
  context.hash.update(bytes);
}

async function iterate(connection: Connection): Promise<void> {
  for await (const chunk of connection) {
    consume(connection, chunk);
    await pauseFor(REST_MS);
  }
  finish(connection);
}

/** Reads only when a timer has said so. The call that follows by itself, since something is left, reads nothing. */
function takePortion(connection: Connection): void {
  const context = contextOf(connection);
  const { reader } = connection;
  if (!context.mayRead) {
    return;
  }
  context.mayRead = false;
  consume(connection, reader.next(Math.min(PORTION_BYTES, reader.length))!);
}

function allow(connection: Connection): void {
  contextOf(connection).mayRead = true;
  connection.wake();
  connection.setTimer(REST_MS, allow);
}

function finish(connection: Connection): void {
  const { reader } = connection;
  if (reader.length > 0) {
    consume(connection, reader.next(reader.length)!);
  }
  const { hash, consumed } = contextOf(connection);
  connection.write(encodeSummary(hash.digest(), consumed));
  connection.end();
}
