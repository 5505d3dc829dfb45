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
  /** Take little from the reader in each call, and leave the rest. */
  | 'reading little'
  /** Paused in onOpen and never resumed. */
  | 'pausing at once';

interface Context {
  readonly hash: Hash;
  consumed: number;
  /** The most bytes that were received and not consumed. */
  mostWaiting: number;
}

/** Of the reader, at once. */
const PORTION_BYTES = 5_000;
const REST_MS = 1;

export function handler({ way }: ConsumerData): Handler {
  const hooks: Handler = {
    onOpen(connection) {
      const hash = createHash('sha256');
      connection.context = { hash, consumed: 0, mostWaiting: 0 } satisfies Context;
      connection.write(hello(connection));
      if (way === 'iterating') {
        void iterate(connection);
      } else if (way === 'pausing at once') {
        connection.pause();
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
  if (way === 'reading little') {
    hooks.onReadable = (connection) => {
      const { reader } = connection;
      consume(connection, reader.next(Math.min(PORTION_BYTES, reader.length))!);
    };
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

function finish(connection: Connection): void {
  const { hash, consumed } = contextOf(connection);
  connection.write(encodeSummary(hash.digest(), consumed));
  connection.end();
}
