/**
 * Taking over a connected stream socket that somebody else has opened. The descriptor is duplicated (close-on-exec) and
 * the original closed only when nothing can fail any more: a failure leaves it as it was. Control plane: it throws.
 */

import type { Socket } from 'node:net';

import type { AdoptOptions, Connection } from '../api.js';
import { EMFILE, EPIPE } from '../base/errno.js';
import type { Kernel } from '../base/kernel.js';
import * as linux from '../base/linux.js';
import { MillraceError, SystemError } from '../errors.js';
import type { SocketConnection } from './connection.js';
import { END_WANTED, SEND_ENDED } from './connection-table.js';
import { compiledFor } from './descriptor-options.js';
import { NO_SLOT, profileOf } from './dialer.js';
import { decodeInteger, INT_BYTES } from './option-values.js';
import { count, type Profile } from './profile.js';
import type { Reactor } from './reactor.js';
import { keep, listReady } from './read-path.js';
import { SocketHandover } from './socket-handover.js';
import { Counter } from './stats.js';

/** What comes with a descriptor. */
export interface Belongings {
  /** Bytes that were received already. */
  readonly head: Uint8Array;
  /** FIN was sent; undefined: ask the system. */
  readonly isSendEnded: boolean | undefined;
  /** Lets go of the original. Nothing can fail any more. */
  readonly dispose: () => void;
}

const NO_BYTES = new Uint8Array(0);

/** Makes `source` a connection of `reactor`; see engine/adopt.ts. */
export async function adopt(
  reactor: Reactor,
  source: number | Socket,
  options: AdoptOptions,
): Promise<Connection> {
  if (reactor.draining.isOn) {
    throw new MillraceError('ERR_CLOSED', 'Cannot adopt: the reactor is closed');
  }
  const profile = profileOf(options);
  const { head = NO_BYTES, signal } = options;
  const timeoutMs = count(options, 'flushTimeoutMs', 10_000);
  if (!(head instanceof Uint8Array)) {
    throw new TypeError(`Expected head to be a Uint8Array, got ${typeof head}`);
  }
  signal?.throwIfAborted();
  if (typeof source !== 'number') {
    const handover = new SocketHandover(reactor, source, timeoutMs, signal);
    await handover.settle();
    return handover.take(head, (fd, belongings) =>
      adoptDescriptor(reactor, fd, profile, options, belongings),
    );
  }
  if (!Number.isInteger(source) || source < 0 || source > 0x7fff_ffff) {
    throw new RangeError(`Cannot adopt ${source}: expected a descriptor, an integer from 0`);
  }
  const { kernel } = reactor.options;
  return adoptDescriptor(reactor, source, profile, options, {
    head,
    isSendEnded: undefined,
    dispose: () => kernel.close(source),
  });
}

function adoptDescriptor(
  reactor: Reactor,
  fd: number,
  profile: Profile,
  options: AdoptOptions,
  { head, isSendEnded, dispose }: Belongings,
): Connection {
  const { kernel } = reactor.options;
  const url = `fd://${fd}`;
  const family = checkStream(kernel, fd, url);
  const hasEnded = isSendEnded ?? isShutDown(kernel, fd, url);
  const copy = expect('fcntl', kernel.duplicate(fd), url);
  let slot = NO_SLOT;
  try {
    for (const { option, level, name, value } of compiledFor(profile, family)) {
      // What was not named stays as it is: there are no defaults for a socket that is in use.
      if (options[option as keyof AdoptOptions] !== undefined) {
        const n = kernel.setSocketOption(copy, level, name, value);
        expect(`set ${option} with setsockopt`, n, url);
      }
    }
    slot = reactor.open(copy);
    if (slot < 0) {
      throw new SystemError('adopt', slot === NO_SLOT ? EMFILE : -slot, url);
    }
    expect('fcntl', kernel.adopt(copy), url);
  } catch (error) {
    if (slot < 0) {
      kernel.close(copy);
    } else {
      reactor.discard(slot);
    }
    throw error;
  }
  dispose();
  return reactor.establish(slot, profile, (connection) => {
    connection.context = options.context;
    equip(connection, head, hasEnded);
  });
}

function equip(connection: SocketConnection, head: Uint8Array, hasEnded: boolean): void {
  const { owner: state, slot } = connection;
  if (hasEnded) {
    state.table.flags[slot] |= END_WANTED | SEND_ENDED;
  }
  if (head.length > 0) {
    state.table.addReceived(slot, head.length);
    state.stats.add(Counter.bytesReceived, head.length);
    keep(state, slot, Buffer.from(head.buffer, head.byteOffset, head.length));
    listReady(state, slot);
  }
}

/** The socket's family. Throws unless it is a connected TCP or Unix stream socket. */
function checkStream(kernel: Kernel, fd: number, url: string): number {
  const read = (name: number) => {
    const value = new Uint8Array(INT_BYTES);
    expect('getsockopt', kernel.getSocketOption(fd, linux.SOL_SOCKET, name, value), url);
    return decodeInteger(value);
  };
  const family = read(linux.SO_DOMAIN);
  const isKnown = family === linux.AF_INET || family === linux.AF_INET6 || family === linux.AF_UNIX;
  if (!isKnown || read(linux.SO_TYPE) !== linux.SOCK_STREAM) {
    throw new TypeError(`Cannot adopt ${url}: expected a TCP or Unix stream socket`);
  }
  if (read(linux.SO_ACCEPTCONN) !== 0) {
    throw new TypeError(`Cannot adopt ${url}: it listens; serve can listen on ${url}`);
  }
  expect('getpeername', kernel.getPeerName(fd, new Uint8Array(128)), url);
  return family;
}

/** Whether FIN was sent: then the kernel refuses even to send nothing (tcp_sendmsg, unix_stream_sendmsg). */
function isShutDown(kernel: Kernel, fd: number, url: string): boolean {
  const n = kernel.send(fd, NO_BYTES);
  if (n < 0 && n !== -EPIPE) {
    throw new SystemError('send', -n, url);
  }
  return n < 0;
}

function expect(syscall: string, n: number, url: string): number {
  if (n < 0) {
    throw new SystemError(syscall, -n, url);
  }
  return n;
}
