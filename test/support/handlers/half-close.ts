/**
 * Takes a stream up to the peer's FIN and answers after it, in the way that the peer asked for: a summary of what was
 * received, then noise. `pull` takes it from the reader.
 */

import { createHash, type Hash } from 'node:crypto';

import type { Connection, Handler, Reactor, WriteResult } from '../../../src/index.js';
import { noise, noiseAt } from '../noise.js';
import { hello, observed } from '../observed.js';
import { decodeOrder, encodeSummary, ORDER_BYTES, type Reply } from './half-close-order.js';

export interface HalfCloseData {
  readonly pull: boolean;
}

interface Context {
  order: Buffer;
  reply: Reply | undefined;
  replyBytes: number;
  seed: number;
  hash: Hash;
  byteLength: number;
  sent: number;
  /** What a write after the end said. */
  lateResult: string;
}

const PIECE_BYTES = 50_000;

export function handler({ pull }: HalfCloseData): Handler {
  const contexts = new Map<number, Context>();
  const hooks: Handler = {
    onOpen(connection) {
      const context: Context = {
        order: Buffer.alloc(0),
        reply: undefined,
        replyBytes: 0,
        seed: 0,
        hash: createHash('sha256'),
        byteLength: 0,
        sent: 0,
        lateResult: '',
      };
      connection.context = context;
      contexts.set(connection.id, context);
      connection.write(hello(connection));
    },
    onDrain(connection) {
      if ((connection.context as Context).reply === 'in onDrain') {
        pump(connection);
      }
    },
    onEnd: answer,
    tasks: {
      received: (_reactor: Reactor, id: number) => {
        const { byteLength, hash, lateResult } = contexts.get(id)!;
        return { byteLength, lateResult, sha256: hash.copy().digest('hex') };
      },
      stateOf: (reactor: Reactor, id: number) => reactor.find(id)?.state ?? 'none',
      end: (reactor: Reactor, id: number) => reactor.find(id)?.end(),
    },
  };
  if (pull) {
    hooks.onReadable = (connection) =>
      take(connection, connection.reader.next(connection.reader.length)!);
  } else {
    hooks.onData = take;
  }
  return observed(hooks);
}

function take(connection: Connection, bytes: Buffer): void {
  const context = connection.context as Context;
  let rest = bytes;
  if (context.reply === undefined) {
    context.order = Buffer.concat([context.order, bytes]);
    if (context.order.byteLength < ORDER_BYTES) {
      return;
    }
    Object.assign(context, decodeOrder(context.order));
    rest = context.order.subarray(ORDER_BYTES);
    begin(connection, context);
  }
  context.hash.update(rest);
  context.byteLength += rest.byteLength;
}

function begin(connection: Connection, context: Context): void {
  switch (context.reply) {
    case 'corked across the end':
      connection.cork();
      demand(connection.write('begun'));
      return;
    case 'after a pause':
      connection.pause();
      connection.reactor.setTimer(30, () => connection.resume());
      return;
    case 'none, we ended first':
      connection.end();
      return;
    default:
  }
}

function answer(connection: Connection): void {
  const context = connection.context as Context;
  const { byteLength, replyBytes, seed } = context;
  const summary = encodeSummary(context.hash.copy().digest(), byteLength);
  switch (context.reply) {
    case 'in onEnd':
    case 'after a pause':
      demand(connection.write(summary));
      demand(connection.write(noise(seed, replyBytes)));
      connection.end();
      return;
    case 'in onDrain':
      demand(connection.write(summary));
      pump(connection);
      return;
    case 'later':
    case 'corked across the end':
      connection.reactor.setTimer(20, () => {
        context.lateResult = connection.writev([summary, noise(seed, replyBytes)]);
        connection.uncork();
        connection.end();
      });
      return;
    default:
  }
}

/** Writes until the queue is above its mark; onDrain goes on. */
function pump(connection: Connection): void {
  const context = connection.context as Context;
  const { replyBytes, seed } = context;
  while (context.sent < replyBytes) {
    const piece = noiseAt(seed, context.sent, Math.min(PIECE_BYTES, replyBytes - context.sent));
    demand(connection.write(piece));
    context.sent += piece.byteLength;
    if (connection.queuedBytes > 65_536) {
      return;
    }
  }
  connection.end();
}

function demand(result: WriteResult): void {
  if (result !== 'sent' && result !== 'queued') {
    throw new Error(`An answer is ${result}`);
  }
}
