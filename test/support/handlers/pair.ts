/**
 * A proxy between two connections of one reactor that pauses what it reads from as long as the other side does not
 * drain (`pause-source`), and does not look at what a write says. A connection that sends `SINK` waits to be written
 * to; one that sends `SOURCE` and a sink's id has all the rest written there. `pull` takes a little at a time from the
 * reader. With `backend` there is no sink: each connection is a source, and its sink is dialled.
 */

import type { Connection, Handler, Reactor, WriteResult } from '../../../src/index.js';
import { hello, observed } from '../observed.js';
import { ORDER_BYTES, type PairLevel, SOURCE } from './pair-order.js';

export interface PairData {
  readonly pull: boolean;
  /** A URL. */
  readonly backend?: string;
}

interface Context {
  /** Whom this connection is written to, or read from. */
  other: Connection | undefined;
  hasOrder: boolean;
  mostQueued: number;
}

/** What a pull handler takes at once. */
const PIECE_BYTES = 5_000;

/** However slow the machine is. */
const NEVER_MS = 600_000;

let refusals = 0;

export function handler({ pull, backend }: PairData): Handler {
  refusals = 0;
  const onBytes = (connection: Connection, bytes: Buffer): void => {
    const context = contextOf(connection);
    let rest = bytes;
    if (!context.hasOrder) {
      rest = takeOrder(connection, bytes);
    }
    if (rest.byteLength > 0 && context.other !== undefined) {
      forward(context.other, rest);
    }
  };
  const hooks: Handler = {
    onOpen(connection) {
      connection.context ??= newContext();
      if (backend === undefined) {
        connection.write(hello(connection));
      } else if (!contextOf(connection).hasOrder) {
        connectThrough(connection, backend);
      }
    },
    onEnd(connection) {
      const { other } = contextOf(connection);
      other?.end();
      return other === undefined ? 'close' : 'none';
    },
    onClose(connection, { code }) {
      const { other } = contextOf(connection);
      if (other !== undefined) {
        contextOf(other).other = undefined;
        if (code === 'ended') {
          other.end();
        } else {
          other.close();
        }
      }
    },
    tasks: {
      levelOf: (reactor: Reactor, id: number): PairLevel | undefined => {
        const connection = reactor.find(id);
        return connection === undefined ? undefined : level(connection);
      },
      levels: (reactor: Reactor) => [...reactor.connections()].map(level),
      refusals: () => refusals,
    },
  };
  if (pull) {
    hooks.onReadable = (connection) => {
      const { reader } = connection;
      onBytes(connection, reader.next(Math.min(PIECE_BYTES, reader.length))!);
    };
  } else {
    hooks.onData = onBytes;
  }
  const watched = observed(hooks);
  self = watched;
  return watched;
}

/** For the connections that this handler dials. */
let self: Handler = {};

function newContext(other?: Connection): Context {
  return { other, hasOrder: other !== undefined, mostQueued: 0 };
}

function contextOf(connection: Connection): Context {
  return connection.context as Context;
}

function takeOrder(connection: Connection, bytes: Buffer): Buffer {
  const context = contextOf(connection);
  context.hasOrder = true;
  if (bytes[0] !== SOURCE) {
    return bytes.subarray(ORDER_BYTES);
  }
  const sink = connection.reactor.find(bytes.readDoubleBE(1))!;
  context.other = sink;
  contextOf(sink).other = connection;
  return bytes.subarray(ORDER_BYTES);
}

function connectThrough(source: Connection, backend: string): void {
  source.pause();
  source.reactor
    .dial(backend, {
      handler: self,
      context: newContext(source),
      whenFull: 'pause-source',
      writeQueueMax: 262_144,
      allowHalfOpen: true,
      lingerTimeoutMs: NEVER_MS,
      halfOpenTimeoutMs: NEVER_MS,
    })
    .then(
      (sink) => {
        const context = contextOf(source);
        context.other = sink;
        context.hasOrder = true;
        source.resume();
      },
      () => source.abort(),
    );
}

function forward(sink: Connection, bytes: Buffer): void {
  const result: WriteResult = sink.write(bytes);
  if (result === 'full') {
    refusals += 1;
  }
  const context = contextOf(sink);
  context.mostQueued = Math.max(context.mostQueued, sink.queuedBytes);
}

function level(connection: Connection): PairLevel {
  return {
    id: connection.id,
    queuedBytes: connection.queuedBytes,
    mostQueued: contextOf(connection).mostQueued,
    bytesReceived: connection.bytesReceived,
  };
}
