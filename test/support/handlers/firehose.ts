/** Sends a stream as fast as the peer takes it, with one of the ways that there are to wait for a slow one. */

import type { Connection, Handler, Reactor, WriteResult } from '../../../src/index.js';
import { noiseAt } from '../noise.js';
import { hello, observed } from '../observed.js';
import { type Level, ORDER_BYTES, PACES, type Pace, SEED } from './firehose-order.js';

interface Context {
  pace: Pace | undefined;
  byteLength: number;
  pieceBytes: number;
  sent: number;
  mostQueued: number;
  refusals: number;
  isWaiting: boolean;
}

export function handler(): Handler {
  return observed({
    onOpen(connection) {
      connection.context = {
        pace: undefined,
        byteLength: 0,
        pieceBytes: 0,
        sent: 0,
        mostQueued: 0,
        refusals: 0,
        isWaiting: false,
      } satisfies Context;
      connection.write(hello(connection));
    },
    onData(connection, bytes) {
      const context = contextOf(connection);
      if (context.pace === undefined) {
        context.pace = PACES[bytes[0]!]!;
        context.byteLength = bytes.readUInt32BE(1);
        context.pieceBytes = bytes.readUInt32BE(5);
        begin(connection, context, bytes.subarray(ORDER_BYTES));
      } else if (context.pace === 'echo') {
        connection.write(bytes);
      }
    },
    onDrain(connection) {
      const context = contextOf(connection);
      context.isWaiting = false;
      if (context.pace === 'until full' || context.pace === 'until marked') {
        pump(connection, context);
      }
    },
    tasks: {
      levelOf: (reactor: Reactor, id: number): Level | undefined => {
        const connection = reactor.find(id);
        if (connection === undefined) {
          return undefined;
        }
        const { sent, mostQueued, refusals, isWaiting } = contextOf(connection);
        return { sent, mostQueued, refusals, isWaiting, queuedBytes: connection.queuedBytes };
      },
    },
  });
}

function contextOf(connection: Connection): Context {
  return connection.context as Context;
}

function begin(connection: Connection, context: Context, rest: Buffer): void {
  switch (context.pace) {
    case 'until full':
    case 'until marked':
    case 'until closed':
      pump(connection, context);
      return;
    case 'drained':
      void pumpDrained(connection, context);
      return;
    case 'receipt':
      pumpReceipts(connection, context);
      return;
    default:
      connection.write(rest);
  }
}

/** Writes the next piece; `full` and `closed` take nothing. */
function writeNext(connection: Connection, context: Context): WriteResult {
  const { byteLength, pieceBytes, sent } = context;
  const piece = noiseAt(SEED, sent, Math.min(pieceBytes, byteLength - sent));
  const result = connection.write(piece);
  if (result === 'sent' || result === 'queued') {
    context.sent += piece.byteLength;
  } else {
    context.refusals += 1;
  }
  context.mostQueued = Math.max(context.mostQueued, connection.queuedBytes);
  return result;
}

function pump(connection: Connection, context: Context): void {
  while (context.sent < context.byteLength) {
    const result = writeNext(connection, context);
    if (result === 'closed') {
      return;
    }
    const isMarked = context.pace === 'until marked' && connection.queuedBytes > MARK;
    if (result === 'full' || isMarked) {
      context.isWaiting = true;
      return;
    }
  }
  connection.end();
}

/** The default of `highWaterMark`. */
const MARK = 65_536;

async function pumpDrained(connection: Connection, context: Context): Promise<void> {
  while (context.sent < context.byteLength) {
    if (writeNext(connection, context) === 'queued') {
      context.isWaiting = true;
      if (!(await connection.drained())) {
        return;
      }
      context.isWaiting = false;
    }
  }
  connection.end();
}

function pumpReceipts(connection: Connection, context: Context): void {
  if (context.sent === context.byteLength) {
    connection.end();
    return;
  }
  context.isWaiting = writeNext(connection, context) === 'queued';
  connection.receipt((handedOver) => {
    context.isWaiting = false;
    if (handedOver) {
      pumpReceipts(connection, context);
    }
  });
}
