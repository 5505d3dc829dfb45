/**
 * Streams of Node that have no descriptor of their own, as connections: a `tls.TLSSocket`, a stream of HTTP/2, one of
 * an SSH library. Between the stream and the connection there is a pair of Unix sockets: so the connection is one like
 * any other, with deadlines, reader and writer, an id that other threads can write to, at the price of a copy through
 * the kernel in each direction.
 */

import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Action, AdoptOptions, CloseReason, Connection, Handler, Reactor } from '../api.js';
import { socketPair } from '../base/socket-pair.js';
import { checkHandler } from '../connection/profile.js';
import { adopt } from '../engine/adopt.js';
import { checkPlatform, threadKernel } from '../engine/thread-kernel.js';

export interface FromDuplexOptions extends Omit<AdoptOptions, 'flushTimeoutMs'> {
  /** Where the connection lives; the calling thread's own reactor by default. */
  reactor?: Reactor;
}

/**
 * A connection of the bytes of `duplex`, which is the connection's from then on. Back-pressure and half-close go
 * through; when the stream breaks the connection is aborted, when the connection is, the stream is destroyed. The
 * addresses are `unix://`, and what only TCP sockets have (`noDelay`, …) does nothing.
 *
 * @throws TypeError for what is no stream of bytes; as `adopt` else.
 */
export async function fromDuplex(
  duplex: Duplex,
  options: FromDuplexOptions = {},
): Promise<Connection> {
  checkDuplex(duplex);
  checkPlatform();
  const { reactor, handler = {}, ...rest } = options;
  checkHandler(handler);
  const [near, far] = socketPair();
  const socket = new Socket({ fd: near, allowHalfOpen: true });
  const ends = { duplex, socket };
  const adoption = { ...rest, handler: watched(handler, (reason) => onClosed(ends, reason)) };
  let connection: Connection;
  try {
    connection = await (reactor === undefined
      ? adopt(far, adoption)
      : reactor.adopt(far, adoption));
  } catch (error) {
    socket.destroy();
    threadKernel().close(far);
    throw error;
  }
  join(ends, connection);
  return connection;
}

interface Ends {
  readonly duplex: Duplex;
  /** The stream's end of the pair. */
  readonly socket: Socket;
}

function join({ duplex, socket }: Ends, connection: Connection): void {
  duplex.pipe(socket).pipe(duplex);
  // An error is followed by the close, which is what counts; without a listener it would end the process.
  socket.on('error', () => {});
  duplex.on('error', () => {});
  const broken = () => {
    connection.abort();
    socket.destroy();
  };
  if (duplex.destroyed) {
    broken();
  }
  duplex.once('close', () => {
    if (!(duplex.readableEnded && duplex.writableFinished)) {
      broken();
    }
  });
}

/** The connection has closed. What it sent in order still goes to the stream. */
function onClosed({ duplex, socket }: Ends, { code }: CloseReason): void {
  if (code === 'ended') {
    return;
  }
  if (code !== 'closed' && code !== 'shutdown') {
    socket.destroy();
    duplex.destroy();
  } else if (duplex.writableFinished) {
    duplex.destroy();
  } else {
    duplex.once('finish', () => duplex.destroy());
  }
}

const HOOKS = ['onOpen', 'onData', 'onReadable', 'onDrain', 'onEnd', 'onBeforeWrite'] as const;

/** The same hooks, and one that is told of the close. A hook that is not there must not seem to be. */
function watched(handler: Handler, onClose: (reason: CloseReason) => void): Handler {
  const hooks: Record<string, unknown> = {
    onClose(connection: Connection, reason: CloseReason): Action | void {
      onClose(reason);
      return handler.onClose?.(connection, reason);
    },
  };
  for (const name of HOOKS) {
    if (handler[name] !== undefined) {
      hooks[name] = (handler[name] as () => void).bind(handler);
    }
  }
  return hooks;
}

function checkDuplex(duplex: unknown): void {
  const stream = duplex as Partial<Duplex> | null | undefined;
  if (typeof stream?.pipe !== 'function' || typeof stream.write !== 'function') {
    throw new TypeError(
      `Expected a Duplex stream, got ${duplex === null ? 'null' : typeof duplex}`,
    );
  }
  if (stream.readableObjectMode === true || stream.writableObjectMode === true) {
    throw new TypeError('Expected a stream of bytes: this one is in object mode');
  }
  if (stream.readableEncoding !== null && stream.readableEncoding !== undefined) {
    throw new TypeError('Expected a stream of bytes: this one has an encoding (setEncoding)');
  }
}
