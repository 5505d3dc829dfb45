/**
 * The epoll driver: completions made of readiness. It tries first and arms a descriptor only when a call would
 * block; epoll runs level-triggered, so that what one batch leaves (a firehose beyond its budget, a backlog beyond the
 * accept budget) is reported again in the next, in the kernel's own round-robin order.
 *
 * A registration carries (slot, generation). The generation grows when the slot is closed: events that were already
 * in the batch, or that a duplicate of the description keeps producing, do not match and are dropped.
 *
 * What level-triggered epoll would repeat for ever is taken out: EPOLLIN after the peer's FIN, and the registration
 * as a whole when EPOLLHUP or EPOLLERR (which cannot be masked) is left with nobody to handle it.
 */

import {
  EAGAIN,
  EBADF,
  ECONNRESET,
  EFAULT,
  EINPROGRESS,
  EINVAL,
  EMFILE,
  ENFILE,
  ENOBUFS,
  ENOMEM,
  ENOTCONN,
  ENOTSOCK,
  EOPNOTSUPP,
} from '../../base/errno.js';
import type { Kernel, Region } from '../../base/kernel.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from '../../base/layout.js';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SOL_SOCKET,
} from '../../base/linux.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';
import {
  type Completions,
  type Driver,
  type DriverCounters,
  type DriverOptions,
  PENDING,
} from '../driver.js';
import { SystemError } from '../../errors.js';
import { IovecVector } from './iovec-vector.js';
import { ViewCache } from './view-cache.js';

/** What a slot is. */
const FREE = 0;
const STREAM = 1;
const LISTENER = 2;
const CONNECTING = 3;
const CLOSING = 4;

/** What a slot does, as bits. */
const REGISTERED = 1;
const RECEIVING = 2;
const SENDING = 4;
const ENDED = 8;
const ACCEPTING = 16;
const FAILED = 32;

/** The slot number of the wake descriptor's registration. */
const WAKE = -1;
/** struct linger { on, 0 seconds }: close sends RST. */
const LINGER_RESET = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);
const EVENT_WORDS = EPOLL_EVENT_SIZE / 4;
const DATA_WORD = EPOLL_EVENT_DATA / 4;

export class EpollDriver implements Driver {
  readonly name = 'epoll';
  readonly counters: DriverCounters = { calls: 0, acceptErrors: 0, staleEvents: 0 };
  readonly doorbellDescriptor: number;
  readonly wakeDescriptor: number;

  readonly #kernel: Kernel;
  readonly #completions: Completions;
  readonly #options: DriverOptions;
  readonly #fds: Int32Array;
  readonly #generations: Int32Array;
  readonly #kinds: Uint8Array;
  readonly #flags: Uint8Array;
  /** The mask each slot is registered with. */
  readonly #masks: Uint8Array;
  readonly #events: Region;
  readonly #eventWords: Int32Array;
  readonly #receiveRegion: Region;
  readonly #views: ViewCache;
  readonly #vector: IovecVector;
  readonly #optionBytes = new Uint8Array(4);
  readonly #addressBytes = new Uint8Array(128);
  /** Slots closed and not yet reported. */
  #closing: number[] = [];
  /** Connects that ended at once: slot, errno, slot, errno, … */
  #connected: number[] = [];

  constructor(kernel: Kernel, completions: Completions, options: DriverOptions) {
    this.#kernel = kernel;
    this.#completions = completions;
    this.#options = options;
    this.#fds = new Int32Array(options.slots).fill(-1);
    this.#generations = new Int32Array(options.slots);
    this.#kinds = new Uint8Array(options.slots);
    this.#flags = new Uint8Array(options.slots);
    this.#masks = new Uint8Array(options.slots);
    this.#events = takeRegion(kernel, options.batch * EPOLL_EVENT_SIZE);
    const { buffer, byteOffset, byteLength } = this.#events.bytes;
    this.#eventWords = new Int32Array(buffer, byteOffset, byteLength / 4);
    this.#receiveRegion = takeRegion(kernel, options.receiveBytes);
    this.#views = new ViewCache(this.#receiveRegion.bytes);
    this.#vector = new IovecVector(kernel);
    this.doorbellDescriptor = expectDescriptor('epoll_create1', kernel.epollCreate());
    this.wakeDescriptor =
      options.wakeDescriptor ?? expectDescriptor('eventfd', kernel.eventfd());
    const n = this.#control(EPOLL_CTL_ADD, this.wakeDescriptor, EPOLLIN, WAKE, 0);
    expectDescriptor('epoll_ctl', n);
  }

  get hasWork(): boolean {
    return this.#closing.length > 0 || this.#connected.length > 0;
  }

  open(slot: number, fd: number): number {
    this.#begin(slot, fd, STREAM);
    return 0;
  }

  listen(slot: number, fd: number): number {
    this.#begin(slot, fd, LISTENER);
    return 0;
  }

  connect(slot: number, fd: number, sockaddr: Uint8Array): number {
    this.#begin(slot, fd, CONNECTING);
    this.counters.calls += 1;
    const n = this.#kernel.connect(fd, sockaddr);
    if (n === -EINPROGRESS) {
      const m = this.#syncInterest(slot);
      if (m < 0) {
        this.#kinds[slot] = FREE;
        this.#fds[slot] = -1;
        this.#generations[slot] += 1;
      }
      return m;
    }
    this.#connected.push(slot, -n);
    return 0;
  }

  accept(slot: number): void {
    if (this.#kinds[slot] === LISTENER) {
      this.#flags[slot] |= ACCEPTING;
      this.#syncInterest(slot);
    }
  }

  stopAccept(slot: number): void {
    if (this.#kinds[slot] === LISTENER) {
      this.#flags[slot] &= ~ACCEPTING;
      this.#syncInterest(slot);
    }
  }

  receive(slot: number): void {
    if (this.#kinds[slot] === STREAM) {
      this.#flags[slot] |= RECEIVING;
      const n = this.#syncInterest(slot);
      if (n < 0) {
        this.#fail(slot, -n);
      }
    }
  }

  stopReceive(slot: number): void {
    if (this.#kinds[slot] === STREAM) {
      this.#flags[slot] &= ~RECEIVING;
      this.#syncInterest(slot);
    }
  }

  trySend(slot: number, bytes: Uint8Array): number {
    if (this.#kinds[slot] !== STREAM) {
      return this.#kinds[slot] === CONNECTING ? 0 : -EBADF;
    }
    this.counters.calls += 1;
    const n = this.#kernel.send(this.#fds[slot], bytes);
    return n < 0 && wouldBlock(n) ? 0 : n;
  }

  send(slot: number): number {
    if (this.#kinds[slot] !== STREAM) {
      return -EBADF;
    }
    const n = this.#sendGathered(slot);
    if (n !== 0) {
      return n;
    }
    this.#flags[slot] |= SENDING;
    const m = this.#syncInterest(slot);
    return m < 0 ? m : PENDING;
  }

  shutdown(slot: number): number {
    this.counters.calls += 1;
    return this.#kinds[slot] === STREAM ? this.#kernel.shutdown(this.#fds[slot], SHUT_WR) : -EBADF;
  }

  close(slot: number, abort: boolean): void {
    const kind = this.#kinds[slot];
    if (kind === FREE || kind === CLOSING) {
      return;
    }
    const fd = this.#fds[slot];
    if (abort && kind !== LISTENER) {
      this.counters.calls += 1;
      this.#kernel.setSocketOption(fd, SOL_SOCKET, SO_LINGER, LINGER_RESET);
    }
    this.#unregister(slot);
    this.counters.calls += 1;
    this.#kernel.close(fd);
    this.#fds[slot] = -1;
    this.#flags[slot] = 0;
    this.#kinds[slot] = CLOSING;
    this.#generations[slot] += 1;
    this.#closing.push(slot);
  }

  setOption(slot: number, level: number, name: number, value: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.setSocketOption(this.#fds[slot], level, name, value);
  }

  getOption(slot: number, level: number, name: number, value: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.getSocketOption(this.#fds[slot], level, name, value);
  }

  localAddress(slot: number, sockaddr: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.getSocketName(this.#fds[slot], sockaddr);
  }

  peerAddress(slot: number, sockaddr: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.getPeerName(this.#fds[slot], sockaddr);
  }

  detach(slot: number): number {
    const kind = this.#kinds[slot];
    if (kind === FREE || kind === CLOSING) {
      return -EBADF;
    }
    this.#unregister(slot);
    const fd = this.#fds[slot];
    this.#fds[slot] = -1;
    this.#flags[slot] = 0;
    this.#kinds[slot] = FREE;
    this.#generations[slot] += 1;
    return fd;
  }

  poll(): number {
    this.counters.calls += 1;
    const n = this.#kernel.epollWait(this.doorbellDescriptor, this.#events);
    const words = this.#eventWords;
    for (let i = 0, at = 0; i < n; i += 1, at += EVENT_WORDS) {
      const slot = words[at + DATA_WORD];
      if (slot === WAKE) {
        this.#wake();
      } else if (this.#generations[slot] === words[at + DATA_WORD + 1]) {
        this.#dispatch(slot, words[at]);
      } else {
        this.counters.staleEvents += 1;
      }
    }
    let handled = n > 0 ? n : 0;
    if (this.#connected.length > 0) {
      handled += this.#reportConnected();
    }
    if (this.#closing.length > 0) {
      handled += this.#reportClosed();
    }
    return handled;
  }

  destroy(): void {
    for (let slot = 0; slot < this.#fds.length; slot += 1) {
      if (this.#fds[slot] >= 0) {
        this.#kernel.close(this.#fds[slot]);
        this.#fds[slot] = -1;
        this.#kinds[slot] = FREE;
      }
    }
    if (this.#options.wakeDescriptor === undefined) {
      this.#kernel.close(this.wakeDescriptor);
    }
    this.#kernel.close(this.doorbellDescriptor);
    giveRegion(this.#kernel, this.#events);
    giveRegion(this.#kernel, this.#vector.region);
    giveRegion(this.#kernel, this.#receiveRegion);
  }

  #begin(slot: number, fd: number, kind: number): void {
    if (this.#kinds[slot] !== FREE) {
      throw new Error(`Cannot use slot ${slot}: it is in use (a slot is free after closed)`);
    }
    this.#kinds[slot] = kind;
    this.#fds[slot] = fd;
    this.#flags[slot] = 0;
    this.#masks[slot] = 0;
  }

  #wake(): void {
    this.counters.calls += 1;
    this.#kernel.drain(this.wakeDescriptor);
    this.#completions.woken();
  }

  #dispatch(slot: number, events: number): void {
    switch (this.#kinds[slot]) {
      case STREAM:
        this.#onStream(slot, events);
        break;
      case LISTENER:
        this.#onListener(slot);
        break;
      case CONNECTING:
        this.#onConnecting(slot);
        break;
      default:
        this.counters.staleEvents += 1;
    }
  }

  #onStream(slot: number, events: number): void {
    const generation = this.#generations[slot];
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) !== 0 && (this.#flags[slot] & SENDING) !== 0) {
      this.#onWritable(slot);
      if (this.#generations[slot] !== generation || (this.#flags[slot] & FAILED) !== 0) {
        return;
      }
    }
    if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) === 0) {
      return;
    }
    if ((this.#flags[slot] & (RECEIVING | ENDED)) === RECEIVING) {
      this.#onReadable(slot, generation);
      if ((events & (EPOLLERR | EPOLLHUP)) === 0 || this.#generations[slot] !== generation) {
        return;
      }
      if ((this.#flags[slot] & (RECEIVING | ENDED)) === RECEIVING) {
        return;
      }
    }
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0 && (this.#flags[slot] & FAILED) === 0) {
      this.#onHangup(slot, (events & EPOLLERR) !== 0);
    }
  }

  /**
   * An error or the end of both directions, and nobody receives: paused, or after the peer's FIN. An error is reported
   * (a reset peer must not hold a paused connection); a mere hang-up waits for `receive`, out of epoll's sight.
   */
  #onHangup(slot: number, isError: boolean): void {
    if (isError) {
      const code = this.#takeError(slot);
      this.#fail(slot, code === 0 ? ECONNRESET : code);
    } else {
      this.#unregister(slot);
    }
  }

  #onReadable(slot: number, generation: number): void {
    const fd = this.#fds[slot];
    const capacity = this.#options.receiveBytes;
    let budget = this.#options.receiveBudget;
    do {
      this.counters.calls += 1;
      const n = this.#kernel.receive(fd, this.#receiveRegion);
      if (n > 0) {
        this.#completions.received(slot, this.#views.first(n));
        if (n < capacity) {
          return;
        }
        budget -= n;
      } else if (n === 0) {
        this.#flags[slot] |= ENDED;
        this.#syncInterest(slot);
        this.#completions.receiveEnded(slot);
        return;
      } else {
        if (!wouldBlock(n)) {
          this.#fail(slot, -n);
        }
        return;
      }
    } while (
      budget > 0 &&
      this.#generations[slot] === generation &&
      (this.#flags[slot] & RECEIVING) !== 0
    );
  }

  #onWritable(slot: number): void {
    const n = this.#sendGathered(slot);
    if (n > 0) {
      this.#flags[slot] &= ~SENDING;
      const generation = this.#generations[slot];
      this.#completions.sent(slot, n);
      // Only now, since `sent` often asks for the next send at once: two epoll_ctl calls saved.
      if (this.#generations[slot] === generation) {
        this.#syncInterest(slot);
      }
    } else if (n < 0) {
      this.#fail(slot, -n);
    }
  }

  /** n > 0 bytes done, 0 if it would block, or -errno. */
  #sendGathered(slot: number): number {
    const vector = this.#vector;
    vector.reset();
    this.#completions.gather(slot, vector);
    if (vector.count === 0) {
      // The owned array that comes next was taken away by its user.
      return -EFAULT;
    }
    this.counters.calls += 1;
    const fd = this.#fds[slot];
    const n =
      vector.count === 1
        ? this.#kernel.sendAt(fd, vector.firstAddress, vector.byteLength)
        : this.#kernel.sendVector(fd, vector.region, vector.count);
    return n < 0 && wouldBlock(n) ? 0 : n;
  }

  #onListener(slot: number): void {
    const fd = this.#fds[slot];
    const generation = this.#generations[slot];
    for (let i = 0; i < this.#options.acceptBudget; i += 1) {
      if (this.#generations[slot] !== generation || (this.#flags[slot] & ACCEPTING) === 0) {
        return;
      }
      this.counters.calls += 1;
      const n = this.#kernel.accept(fd);
      if (n >= 0) {
        this.#completions.accepted(slot, n);
      } else if (n === -EAGAIN) {
        return;
      } else if (stopsAccepting(-n)) {
        this.stopAccept(slot);
        this.#completions.acceptFailed(slot, -n);
        return;
      } else {
        this.counters.acceptErrors += 1;
      }
    }
  }

  #onConnecting(slot: number): void {
    let code = this.#takeError(slot);
    if (code === 0) {
      this.counters.calls += 1;
      const n = this.#kernel.getPeerName(this.#fds[slot], this.#addressBytes);
      if (n === -ENOTCONN) {
        code = this.#takeError(slot);
        if (code === 0) {
          return;
        }
      }
    }
    this.#finishConnect(slot, code);
  }

  #finishConnect(slot: number, code: number): void {
    if (code === 0) {
      this.#kinds[slot] = STREAM;
      this.#syncInterest(slot);
    } else {
      this.#flags[slot] |= FAILED;
      this.#unregister(slot);
    }
    this.#completions.connected(slot, code);
  }

  #reportConnected(): number {
    const list = this.#connected;
    this.#connected = [];
    for (let i = 0; i < list.length; i += 2) {
      if (this.#kinds[list[i]] === CONNECTING) {
        this.#finishConnect(list[i], list[i + 1]);
      }
    }
    return list.length / 2;
  }

  #reportClosed(): number {
    const list = this.#closing;
    this.#closing = [];
    for (const slot of list) {
      this.#kinds[slot] = FREE;
      this.#completions.closed(slot);
    }
    return list.length;
  }

  #fail(slot: number, code: number): void {
    this.#flags[slot] = (this.#flags[slot] & REGISTERED) | FAILED;
    this.#unregister(slot);
    this.#completions.failed(slot, code);
  }

  #takeError(slot: number): number {
    this.counters.calls += 1;
    const value = this.#optionBytes;
    const n = this.#kernel.getSocketOption(this.#fds[slot], SOL_SOCKET, SO_ERROR, value);
    return n < 0 ? -n : value[0] | (value[1] << 8);
  }

  /** Brings the registration in line with what the slot does. */
  #syncInterest(slot: number): number {
    const flags = this.#flags[slot];
    if ((flags & FAILED) !== 0) {
      return 0;
    }
    let mask = 0;
    if ((flags & (RECEIVING | ENDED)) === RECEIVING || (flags & ACCEPTING) !== 0) {
      mask |= EPOLLIN;
    }
    if ((flags & SENDING) !== 0 || this.#kinds[slot] === CONNECTING) {
      mask |= EPOLLOUT;
    }
    const registered = (flags & REGISTERED) !== 0;
    if (registered ? mask === this.#masks[slot] : mask === 0) {
      return 0;
    }
    this.#masks[slot] = mask;
    this.#flags[slot] |= REGISTERED;
    const operation = registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    const n = this.#control(operation, this.#fds[slot], mask, slot, this.#generations[slot]);
    if (n < 0 && !registered) {
      this.#flags[slot] &= ~REGISTERED;
    }
    return n;
  }

  /** Explicit, since closing alone does not end the registration while another process has the description too. */
  #unregister(slot: number): void {
    if ((this.#flags[slot] & REGISTERED) !== 0) {
      this.#flags[slot] &= ~REGISTERED;
      this.#masks[slot] = 0;
      this.#control(EPOLL_CTL_DEL, this.#fds[slot], 0, 0, 0);
    }
  }

  #control(operation: number, fd: number, events: number, low: number, high: number): number {
    this.counters.calls += 1;
    return this.#kernel.epollControl(this.doorbellDescriptor, operation, fd, events, low, high);
  }
}

/** ENOBUFS: no memory for now, with the socket intact; libuv waits too. */
function wouldBlock(n: number): boolean {
  return n === -EAGAIN || n === -ENOBUFS;
}

/**
 * Errors after which accepting again at once would fail again: a full table, no memory, or a listener that is none.
 * All others are the pending connection's own (accept(2): "treat them like EAGAIN").
 */
function stopsAccepting(code: number): boolean {
  switch (code) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EBADF:
    case EFAULT:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

function expectDescriptor(syscall: string, n: number): number {
  if (n < 0) {
    throw new SystemError(syscall, -n);
  }
  return n;
}
