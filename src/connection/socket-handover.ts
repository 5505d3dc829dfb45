/**
 * A `net.Socket` on its way to a reactor. First, in its own time: the connect and what was written to it. Then, in one
 * go: what Node has read and nobody took is taken out, the descriptor taken over, the socket destroyed. That closes a
 * number but not the connection, which has a second one by then, so that the peer sees nothing.
 *
 * Node has no public way to a socket's descriptor, or to stop reading without reading ahead: `_handle`, its `fd` and
 * `readStop` are used, as many programs do. A test on each version of Node tells when that changes.
 */

import { Socket } from 'node:net';
import { finished, Writable } from 'node:stream';

import { ETIMEDOUT } from '../base/errno.js';
import { MillraceError, SystemError } from '../errors.js';
import type { Belongings } from './adopter.js';
import type { Reactor } from './reactor.js';

/** What Node has under a socket: TCP or Pipe. */
interface Handle {
  readonly fd: number;
  reading: boolean;
  readStart(): void;
  readStop(): void;
}

const NO_BYTES = Buffer.alloc(0);

export class SocketHandover {
  readonly #reactor: Reactor;
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #allowHalfOpen: boolean;
  readonly #wasFlowing: boolean;

  /** Throws for what cannot be handed over; the socket is not touched yet. */
  constructor(reactor: Reactor, socket: Socket, timeoutMs: number, signal?: AbortSignal) {
    checkSocket(socket);
    this.#reactor = reactor;
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    this.#allowHalfOpen = socket.allowHalfOpen;
    this.#wasFlowing = socket.readableFlowing === true;
  }

  /** Stops reading, and resolves when the socket is connected and all that was written to it is sent. */
  async settle(): Promise<void> {
    const socket = this.#socket;
    // Else Node would answer the peer's FIN with ours.
    socket.allowHalfOpen = true;
    socket.pause();
    stopReading(socket);
    if (isSettled(socket)) {
      return;
    }
    try {
      await this.#wait();
    } catch (error) {
      this.#giveBack();
      throw error;
    }
  }

  #wait(): Promise<void> {
    const reactor = this.#reactor;
    return new Promise((resolve, reject) => {
      const race = { isDial: false, fail: (error: unknown) => end(() => reject(error)) };
      const onAbort = () => race.fail(this.#signal!.reason);
      this.#signal?.addEventListener('abort', onAbort, { once: true });
      const timer =
        this.#timeoutMs === 0
          ? -1
          : reactor.setTimer(this.#timeoutMs, () => {
              const { fd } = handleOf(this.#socket) ?? { fd: -1 };
              race.fail(new SystemError('flush', ETIMEDOUT, `fd://${fd}`));
            });
      const release = reactor.keepAlive.hold();
      reactor.draining.races.add(race);
      let isOver = false;
      const end = (tell: () => void) => {
        if (!isOver) {
          isOver = true;
          this.#signal?.removeEventListener('abort', onAbort);
          reactor.clearTimer(timer);
          reactor.draining.races.delete(race);
          release();
          tell();
        }
      };
      flush(this.#socket, (error) => {
        if (error === undefined) {
          end(resolve);
        } else {
          race.fail(error);
        }
      });
    });
  }

  /** Gives the descriptor and what comes with it to `adopt`; if that throws, the socket is what it was. */
  take<Result>(head: Uint8Array, adopt: (fd: number, belongings: Belongings) => Result): Result {
    const socket = this.#socket;
    const handle = handleOf(socket);
    if (handle === undefined || socket.destroyed) {
      throw closedError(socket.errored);
    }
    const unread = takeUnread(socket);
    try {
      return adopt(handle.fd, {
        head: unread.length === 0 ? head : Buffer.concat([head, unread]),
        isSendEnded: socket.writableFinished,
        dispose: () => socket.destroy(),
      });
    } catch (error) {
      if (unread.length > 0) {
        socket.unshift(unread);
      }
      this.#giveBack();
      throw error;
    }
  }

  #giveBack(): void {
    this.#socket.allowHalfOpen = this.#allowHalfOpen;
    const handle = handleOf(this.#socket);
    if (handle !== undefined && !this.#socket.connecting) {
      // The stream believes that it is being read for; when it is full it stops that by itself.
      handle.reading = true;
      handle.readStart();
    }
    if (this.#wasFlowing) {
      this.#socket.resume();
    }
  }
}

function checkSocket(socket: unknown): asserts socket is Socket {
  if (!(socket instanceof Socket)) {
    throw new TypeError(
      `Cannot adopt ${describe(socket)}: expected a descriptor or a net.Socket, of which this one is neither`,
    );
  }
  if ((socket as Socket & { encrypted?: boolean }).encrypted === true) {
    throw new TypeError(
      'Cannot adopt a tls.TLSSocket: its descriptor carries ciphertext and Node has the keys; see ' +
        'fromDuplex of millrace/node',
    );
  }
  if (socket.readableEncoding !== null) {
    // Where Node has read half a character, its bytes are lost.
    throw new TypeError('Cannot adopt a socket with an encoding (setEncoding): its bytes are text');
  }
  const handle = handleOf(socket);
  if (socket.destroyed || handle === undefined) {
    throw closedError(socket.errored);
  }
  if (!(handle.fd >= 0) && !socket.connecting) {
    throw new TypeError('Cannot adopt a net.Socket without a descriptor of its own');
  }
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null
    ? `a ${value.constructor?.name ?? 'object'}`
    : String(value);
}

function closedError(cause: Error | null): MillraceError {
  const options = cause === null ? {} : { cause };
  return new MillraceError('ERR_CLOSED', 'Cannot adopt the socket: it is closed', options);
}

function handleOf(socket: Socket): Handle | undefined {
  return (socket as unknown as { _handle: Handle | null })._handle ?? undefined;
}

function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  if (handle !== undefined && !socket.connecting) {
    handle.reading = false;
    handle.readStop();
  }
}

/** Connected, and the kernel has all that was written, FIN included. */
function isSettled(socket: Socket): boolean {
  return (
    !socket.connecting &&
    socket.writableLength === 0 &&
    socket.writableCorked === 0 &&
    socket.writableEnded === socket.writableFinished
  );
}

function flush(socket: Socket, done: (error?: Error) => void): void {
  while (socket.writableCorked > 0) {
    socket.uncork();
  }
  const check = (error?: Error | null) => {
    if (error || socket.destroyed) {
      done(closedError(socket.errored ?? error ?? null));
    } else if (isSettled(socket)) {
      done();
    } else {
      flush(socket, done);
    }
  };
  if (socket.writableEnded) {
    finished(socket, { readable: false }, check);
  } else {
    // An empty write is called back after all that came before it. Not the socket's own method, which Node replaces
    // after the peer's FIN.
    const write = Writable.prototype.write as (
      chunk: Uint8Array,
      callback: (error?: Error | null) => void,
    ) => boolean;
    write.call(socket, NO_BYTES, check);
  }
}

/** What Node has received and nobody has taken. Reading is stopped before and after. */
function takeUnread(socket: Socket): Buffer {
  // `read` would show them what it takes.
  const listeners = socket.rawListeners('data');
  socket.removeAllListeners('data');
  const chunks: Buffer[] = [];
  for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
    chunks.push(chunk);
  }
  for (const listener of listeners) {
    socket.on('data', listener as (chunk: Buffer) => void);
  }
  stopReading(socket);
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
}
