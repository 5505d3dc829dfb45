/**
 * Sends back what comes, in the way that the first byte of a connection asks for (`METHODS`, by index); the rest is
 * the stream. Says its id first. With `report` it sends nothing back: the test writes, and gets the hash of what was
 * received from the task `received`.
 */

import { createHash, type Hash } from 'node:crypto';

import type { Connection, Handler, Reactor, WriteResult } from '../../../src/index.js';
import { hello, observed } from '../observed.js';
import { METHODS, type Method } from './echo-methods.js';

interface Context {
  method: Method | undefined;
  hash: Hash;
  byteLength: number;
  turn: number;
}

/** Given to the library, and given back. */
let owned = 0;
let freed = 0;
/** Letters that another reactor could not take yet, in order. */
const outbox: { index: number; letter: Buffer }[] = [];

export interface EchoData {
  /** Have the hook before writes, which makes all of them gathered. */
  readonly beforeWrite?: boolean;
}

export function handler({ beforeWrite }: EchoData): Handler {
  owned = 0;
  freed = 0;
  let gathered = 0;
  const onBeforeWrite = (connection: Connection) => {
    gathered += connection.queuedBytes;
  };
  return observed({
    ...(beforeWrite === true ? { onBeforeWrite } : {}),
    onOpen(connection) {
      const context: Context = {
        method: undefined,
        hash: createHash('sha256'),
        byteLength: 0,
        turn: 0,
      };
      connection.context = context;
      connection.write(hello(connection));
    },
    onData(connection, bytes) {
      const context = connection.context as Context;
      let rest = bytes;
      if (context.method === undefined) {
        context.method = METHODS[bytes[0]!]!;
        rest = bytes.subarray(1);
      }
      if (rest.byteLength > 0) {
        context.hash.update(rest);
        context.byteLength += rest.byteLength;
        echo(connection, context, rest);
      }
    },
    onMessage(reactor, letter) {
      const id = letter.readDoubleBE();
      demand(reactor.write(id, letter.subarray(8)), 'reactor.write');
    },
    tasks: {
      owned: () => ({ owned, freed, gathered }),
      received: (reactor: Reactor, id: number) => {
        const context = reactor.find(id)!.context as Context;
        return { byteLength: context.byteLength, sha256: context.hash.copy().digest('hex') };
      },
    },
  });
}

function echo(connection: Connection, context: Context, bytes: Buffer): void {
  switch (context.method) {
    case 'write':
      demand(connection.write(bytes), 'write');
      return;
    case 'writev':
      demand(connection.writev(cut(bytes, context)), 'writev');
      return;
    case 'writeOwned':
      owned += 1;
      demand(
        connection.writeOwned(Buffer.from(bytes), () => {
          freed += 1;
        }),
        'writeOwned',
      );
      return;
    case 'corked':
      connection.cork();
      for (const piece of cut(bytes, context)) {
        demand(connection.write(piece), 'write while corked');
      }
      connection.uncork();
      return;
    case 'writer':
      fill(connection, cut(bytes, context));
      return;
    case 'later': {
      const copy = Buffer.from(bytes);
      setImmediate(() => demand(connection.write(copy), 'write outside of a hook'));
      return;
    }
    case 'reactor.write':
      post(connection, bytes);
      return;
    default:
  }
}

/** Pieces of uneven lengths, all there are together. */
function cut(bytes: Buffer, context: Context): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    context.turn += 1;
    const size = 1 + ((context.turn * 7919) % 9973);
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

function fill(connection: Connection, pieces: readonly Buffer[]): void {
  const { writer } = connection;
  for (const [i, piece] of pieces.entries()) {
    if (i % 2 === 0) {
      piece.copy(writer.reserve(piece.byteLength));
      writer.commit(piece.byteLength);
    } else {
      writer.writeBytes(piece);
    }
  }
  demand(writer.flush(), 'flush');
}

/** By way of the next reactor, which writes to the connection by its id. */
function post(connection: Connection, bytes: Buffer): void {
  const { reactor } = connection;
  const letter = Buffer.allocUnsafe(8 + bytes.byteLength);
  letter.writeDoubleBE(connection.id);
  bytes.copy(letter, 8);
  outbox.push({ index: (reactor.index + 1) % reactor.count, letter });
  sendOutbox(reactor);
}

function sendOutbox(reactor: Reactor): void {
  while (outbox.length > 0) {
    const { index, letter } = outbox[0]!;
    if (!reactor.post(index, letter)) {
      reactor.setTimer(1, () => sendOutbox(reactor));
      return;
    }
    outbox.shift();
  }
}

function demand(result: WriteResult, what: string): void {
  if (result !== 'sent' && result !== 'queued') {
    throw new Error(`${what} says ${result}`);
  }
}
