/**
 * The receiving side of a reactor's mailbox: carries letters out on its thread, some each turn. And what the supervisor
 * does with the letters of a reactor that is gone: nothing in them may leak.
 */

import type { Connection } from '../api.js';
import type { Kernel } from '../base/kernel.js';
import { makeId } from '../connection/connection-table.js';
import { deliverById } from '../connection/datagram/send-by-id.js';
import { makeSessionId } from '../connection/datagram/session-id.js';
import { findTransport } from '../connection/faces.js';
import { abort } from '../connection/lifecycle.js';
import type { Mailbox } from '../connection/mailbox.js';
import type { Profile } from '../connection/profile.js';
import type { Reactor } from '../connection/reactor.js';
import { receiveMessage } from '../connection/receive-message.js';
import { Counter } from '../connection/stats.js';
import { SEQPACKET, takePackets } from './datagram-listen.js';
import { ACCEPTED, addressFrom, MESSAGE, SEND_SESSION, SEND_SOCKET, WRITE } from './mail.js';

/** Letters worked off in one turn. */
const BUDGET = 1_024;
/** Bytes of a connection that are gathered at most: they must not fill its queue while the kernel had room. */
const GATHER_BYTES = 65_536;

export class Inbox {
  readonly #mailbox: Mailbox;
  readonly #pending: Int32Array;
  readonly #profile: Profile;
  #reactor: Reactor | undefined;
  /** Connections that were written to in this drain, and those of them that were more than once: they are corked. */
  readonly #written = new Set<Connection>();
  readonly #gathering = new Set<Connection>();
  readonly #handle: (
    kind: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
  ) => void;

  constructor(mailbox: Mailbox, pending: Int32Array, profile: Profile) {
    this.#mailbox = mailbox;
    this.#pending = pending;
    this.#profile = profile;
    this.#handle = (kind, a, b, c, d, e, f) => this.#open(kind, a, b, c, d, e, f);
  }

  /** Called by the reactor once a turn; true if letters are left. */
  drain(reactor: Reactor): boolean {
    this.#reactor = reactor;
    this.#mailbox.beginDrain();
    const n = this.#mailbox.drain(BUDGET, this.#handle);
    this.#flush();
    if (n > 0) {
      reactor.stats.add(Counter.mailboxMessages, n);
      reactor.stats.set(Counter.mailboxDepth, this.#mailbox.depth);
      reactor.stats.set(Counter.mailboxDepthMax, this.#mailbox.highWater);
    }
    return n === BUDGET;
  }

  #open(kind: number, a: number, b: number, c: number, d: number, e: number, f: number): void {
    const reactor = this.#reactor!;
    switch (kind) {
      case ACCEPTED:
        reactor.stats.add(Counter.adopted, 1);
        if (!this.#take(reactor, a, b)) {
          reactor.options.kernel.close(a);
          reactor.stats.add(Counter.refusedConnectionsMax, 1);
        }
        return;
      case WRITE:
        this.#write(reactor, makeId(reactor.index, b, a), c, d, e);
        return;
      case MESSAGE:
        receiveMessage(reactor, this.#bytes(reactor.options.kernel, c, d, e), a);
        return;
      case SEND_SESSION:
        this.#sendDatagram(reactor, sessionIdFrom(reactor.index, a, b), c, d, e, 0);
        return;
      case SEND_SOCKET:
        this.#sendDatagram(reactor, makeId(reactor.index, b, a), c, d, e, f);
        return;
      default:
        throw new Error(`A letter of unknown kind ${kind}`);
    }
  }

  #take(reactor: Reactor, fd: number, family: number): boolean {
    return family === SEQPACKET
      ? takePackets(reactor, fd)
      : reactor.takeDescriptor(fd, this.#profile, family);
  }

  #write(reactor: Reactor, id: number, low: number, high: number, byteLength: number): void {
    const bytes = this.#bytes(reactor.options.kernel, low, high, byteLength);
    const connection = reactor.find(id);
    if (connection === undefined) {
      return;
    }
    this.#gather(connection);
    if (connection.write(bytes) === 'full') {
      // Its sender was told `queued`, and may have sent more: better an end than a stream with a hole.
      reactor.stats.add(Counter.refusedWriteOverflow, 1);
      abort(reactor.state, findTransport(reactor.state, id)!, 'overflow');
    }
  }

  /** The first write goes out at once; what follows it in the same drain goes out together. */
  #gather(connection: Connection): void {
    if (!this.#written.has(connection)) {
      this.#written.add(connection);
    } else if (!this.#gathering.has(connection)) {
      this.#gathering.add(connection);
      connection.cork();
    } else if (connection.queuedBytes >= GATHER_BYTES) {
      connection.uncork();
      connection.cork();
    }
  }

  /** Each turn comes here, mostly without letters: emptying a set, or walking it, allocates. */
  #flush(): void {
    if (this.#written.size > 0) {
      this.#written.clear();
    }
    if (this.#gathering.size > 0) {
      for (const connection of this.#gathering) {
        connection.uncork();
      }
      this.#gathering.clear();
    }
  }

  /** The last `tailBytes` are the address to send to. */
  #sendDatagram(
    reactor: Reactor,
    id: number,
    low: number,
    high: number,
    byteLength: number,
    tailBytes: number,
  ): void {
    const all = this.#bytes(reactor.options.kernel, low, high, byteLength);
    const end = byteLength - tailBytes;
    const to = tailBytes === 0 ? undefined : all.toString('utf8', end);
    deliverById(reactor.state, id, all.subarray(0, end), to);
  }

  /** Takes a letter's bytes out of their block, which is freed. */
  #bytes(kernel: Kernel, low: number, high: number, byteLength: number): Buffer {
    Atomics.sub(this.#pending, 0, byteLength);
    const bytes = Buffer.allocUnsafe(byteLength);
    if (byteLength > 0) {
      const address = addressFrom(low, high);
      kernel.copyOut(bytes, address);
      kernel.releaseBlock(address);
    }
    return bytes;
  }
}

/** The low and high words of a serial. */
function sessionIdFrom(reactor: number, low: number, high: number): number {
  return makeSessionId(reactor, high * 2 ** 32 + (low >>> 0));
}

/** Throws away the letters of a reactor that is gone: closes descriptors, frees blocks. */
export function discardLetters(kernel: Kernel, mailbox: Mailbox, pending: Int32Array): void {
  mailbox.beginDrain();
  const discard = (kind: number, a: number, _b: number, c: number, d: number, e: number) => {
    if (kind === ACCEPTED) {
      kernel.close(a);
    } else if (e > 0) {
      Atomics.sub(pending, 0, e);
      kernel.releaseBlock(addressFrom(c, d));
    }
  };
  while (mailbox.drain(BUDGET, discard) > 0) {
    // Until it is empty.
  }
}
