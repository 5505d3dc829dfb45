/**
 * The epoll driver: completions made of readiness. It tries first and arms a descriptor only when a call would
 * block; epoll runs level-triggered, so that what one batch leaves (a firehose beyond its budget, a backlog beyond the
 * accept budget) is reported again in the next, in the kernel's own round-robin order.
 *
 * A registration carries (slot, generation). The generation grows when the slot is closed: events that were already
 * in the batch, or that a duplicate of the description keeps producing, do not match and are dropped.
 *
 * What level-triggered epoll would repeat for ever is taken out: EPOLLIN after the peer's FIN, and the registration
 * when EPOLLHUP or EPOLLERR (which cannot be masked) is left with nobody to handle it.
 */

import { EBADF, ECONNRESET, EFAULT } from '../../base/errno.js';
import type { Kernel, Region } from '../../base/kernel.js';
import { EPOLL_EVENT_DATA, EPOLL_EVENT_SIZE } from '../../base/layout.js';
import * as linux from '../../base/linux.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';
import {
  type Completions,
  type Driver,
  type DriverCounters,
  type DriverOptions,
  PENDING,
} from '../driver.js';
import { encodeLinger } from '../option-values.js';
import { takeError } from './connect-outcome.js';
import { EpollConnects } from './epoll-connects.js';
import { EpollListeners } from './epoll-listeners.js';
import { EpollMemory } from './epoll-memory.js';
import * as s from './epoll-slots.js';
import { IovecVector } from './iovec-vector.js';
import { expectSuccess, wouldBlock } from './retry.js';

const LINGER_RESET = encodeLinger('abort', 0);
const EVENT_WORDS = EPOLL_EVENT_SIZE / 4;
const DATA_WORD = EPOLL_EVENT_DATA / 4;

export class EpollDriver implements Driver {
  readonly name = 'epoll';
  readonly isAsynchronous = false;
  readonly receiveAhead = 0;
  readonly counters: DriverCounters = { calls: 0, acceptErrors: 0, staleEvents: 0 };
  readonly doorbellDescriptor: number;
  readonly wakeDescriptor: number;

  readonly #kernel: Kernel;
  readonly #completions: Completions;
  readonly #options: DriverOptions;
  readonly #slots: s.EpollSlots;
  readonly #connects: EpollConnects;
  readonly #listeners: EpollListeners;
  readonly #events: Region;
  readonly #eventWords: Int32Array;
  readonly #memory: EpollMemory;
  readonly #vector: IovecVector;
  /** Slots closed and not yet reported. */
  readonly #closing: number[] = [];

  constructor(kernel: Kernel, completions: Completions, options: DriverOptions) {
    this.#kernel = kernel;
    this.#completions = completions;
    this.#options = options;
    this.doorbellDescriptor = expectSuccess('epoll_create1', kernel.epollCreate());
    this.#slots = new s.EpollSlots(kernel, this.doorbellDescriptor, options.slots, this.counters);
    this.#connects = new EpollConnects(kernel, this.#slots, completions, this.counters);
    this.#listeners = new EpollListeners(
      kernel,
      this.#slots,
      completions,
      this.counters,
      options.acceptBudget,
    );
    this.#events = takeRegion(kernel, options.batch * EPOLL_EVENT_SIZE);
    const { buffer, byteOffset, length: byteLength } = this.#events.bytes;
    this.#eventWords = new Int32Array(buffer, byteOffset, byteLength / 4);
    this.#memory = new EpollMemory(kernel, options.receiveBytes);
    this.#vector = new IovecVector(kernel);
    const wakeDescriptor = options.wakeDescriptor ?? kernel.eventfd();
    const n = wakeDescriptor < 0 ? wakeDescriptor : this.#slots.addWake(wakeDescriptor);
    if (n < 0) {
      this.#free(wakeDescriptor);
      expectSuccess(wakeDescriptor < 0 ? 'eventfd' : 'epoll_ctl', n);
    }
    this.wakeDescriptor = wakeDescriptor;
  }

  trim(limit: number): void {
    this.#slots.trim(limit);
  }

  get hasWork(): boolean {
    return this.#closing.length > 0 || this.#connects.hasWork || this.#listeners.hasWork;
  }

  open(slot: number, fd: number): number {
    this.#slots.begin(slot, fd, s.STREAM);
    return 0;
  }

  listen(slot: number, fd: number): number {
    this.#slots.begin(slot, fd, s.LISTENER);
    return 0;
  }

  connect(slot: number, fd: number, sockaddr: Uint8Array): number {
    return this.#connects.begin(slot, fd, sockaddr);
  }

  watch(slot: number, fd: number): number {
    this.#slots.begin(slot, fd, s.POLLED);
    return 0;
  }

  want(slot: number, events: number): number {
    return this.#slots.want(slot, events);
  }

  accept(slot: number): void {
    if (this.#slots.kinds[slot] === s.LISTENER) {
      this.#listeners.start(slot);
    }
  }

  stopAccept(slot: number): void {
    this.#slots.stop(slot, s.LISTENER, s.ACCEPTING);
  }

  receive(slot: number): void {
    if (this.#slots.kinds[slot] === s.STREAM) {
      this.#slots.flags[slot] |= s.RECEIVING;
      const n = this.#slots.sync(slot);
      if (n < 0) {
        this.#fail(slot, -n);
      }
    }
  }

  stopReceive(slot: number): void {
    this.#slots.stopReceiving(slot);
  }

  askForRoom(slot: number): void {
    if (this.#slots.kinds[slot] === s.STREAM) {
      this.#slots.flags[slot] |= s.ROOMY;
    }
  }

  trySend(slot: number, bytes: Uint8Array): number {
    if (this.#slots.kinds[slot] !== s.STREAM) {
      return this.#slots.kinds[slot] === s.CONNECTING ? 0 : -EBADF;
    }
    this.counters.calls += 1;
    const n = this.#memory.send(this.#slots.fds[slot], bytes);
    return n < 0 && wouldBlock(n) ? 0 : n;
  }

  send(slot: number): number {
    if (this.#slots.kinds[slot] !== s.STREAM) {
      return -EBADF;
    }
    const n = this.#sendGathered(slot);
    if (n !== 0) {
      return n;
    }
    this.#slots.flags[slot] |= s.SENDING;
    const m = this.#slots.sync(slot);
    return m < 0 ? m : PENDING;
  }

  /** A send is pending only where the socket is full. */
  readonly finishSend = () => PENDING;

  shutdown(slot: number): number {
    this.counters.calls += 1;
    return this.#slots.kinds[slot] === s.STREAM
      ? this.#kernel.shutdown(this.#slots.fds[slot], linux.SHUT_WR)
      : -EBADF;
  }

  close(slot: number, abort: boolean): void {
    if (!this.#slots.isOpen(slot)) {
      return;
    }
    const fd = this.#slots.fds[slot];
    if (abort && this.#slots.kinds[slot] !== s.LISTENER) {
      this.setOption(slot, linux.SOL_SOCKET, linux.SO_LINGER, LINGER_RESET);
    }
    this.#slots.end(slot, s.CLOSING);
    this.counters.calls += 1;
    this.#kernel.close(fd);
    this.#closing.push(slot);
  }

  setOption(slot: number, level: number, name: number, value: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.setSocketOption(this.#slots.fds[slot], level, name, value);
  }

  getOption(slot: number, level: number, name: number, value: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.getSocketOption(this.#slots.fds[slot], level, name, value);
  }

  localAddress(slot: number, sockaddr: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.getSocketName(this.#slots.fds[slot], sockaddr);
  }

  peerAddress(slot: number, sockaddr: Uint8Array): number {
    this.counters.calls += 1;
    return this.#kernel.getPeerName(this.#slots.fds[slot], sockaddr);
  }

  discard(fd: number): void {
    this.#kernel.close(fd);
  }

  rest(): boolean {
    return this.hasWork;
  }

  poll(): number {
    this.counters.calls += 1;
    const n = expectSuccess(
      'epoll_wait',
      this.#kernel.epollWait(this.doorbellDescriptor, this.#events),
    );
    const words = this.#eventWords;
    for (let i = 0, at = 0; i < n; i += 1, at += EVENT_WORDS) {
      const slot = words[at + DATA_WORD];
      if (slot === s.WAKE) {
        this.counters.calls += 1;
        this.#kernel.drain(this.wakeDescriptor);
        this.#completions.woken();
      } else if (this.#slots.generations[slot] === words[at + DATA_WORD + 1]) {
        this.#dispatch(slot, words[at]);
      } else {
        this.counters.staleEvents += 1;
      }
    }
    let handled = n;
    if (this.#connects.hasWork || this.#listeners.hasWork) {
      handled += this.#connects.report() + this.#listeners.report();
    }
    if (this.#closing.length > 0) {
      handled += this.#reportClosed();
    }
    return handled;
  }

  destroy(): void {
    this.#slots.closeAll();
    this.#free(this.wakeDescriptor);
  }

  #free(wakeDescriptor: number): void {
    if (this.#options.wakeDescriptor === undefined && wakeDescriptor >= 0) {
      this.#kernel.close(wakeDescriptor);
    }
    this.#kernel.close(this.doorbellDescriptor);
    giveRegion(this.#kernel, this.#events);
    giveRegion(this.#kernel, this.#vector.region);
    this.#memory.free();
  }

  #dispatch(slot: number, events: number): void {
    const kind = this.#slots.kinds[slot];
    if (kind === s.STREAM) {
      this.#onStream(slot, events);
    } else if (kind === s.LISTENER) {
      this.#listeners.onEvent(slot);
    } else if (kind === s.CONNECTING) {
      this.#connects.onEvent(slot);
    } else if (kind === s.POLLED) {
      this.#completions.ready(slot, events);
    } else {
      this.counters.staleEvents += 1;
    }
  }

  #onStream(slot: number, events: number): void {
    const { flags, generations } = this.#slots;
    const generation = generations[slot];
    const isError = (events & (linux.EPOLLERR | linux.EPOLLHUP)) !== 0;
    if ((isError || (events & linux.EPOLLOUT) !== 0) && (flags[slot] & s.SENDING) !== 0) {
      this.#onWritable(slot);
      if (generations[slot] !== generation || (flags[slot] & s.FAILED) !== 0) {
        return;
      }
    }
    if (!isError && (events & linux.EPOLLIN) === 0) {
      return;
    }
    if ((flags[slot] & (s.RECEIVING | s.ENDED)) === s.RECEIVING) {
      this.#onReadable(slot, generation);
      if (!isError || generations[slot] !== generation) {
        return;
      }
      if ((flags[slot] & (s.RECEIVING | s.ENDED)) === s.RECEIVING) {
        return;
      }
    }
    if (!isError) {
      this.#slots.sync(slot);
    } else if ((flags[slot] & s.FAILED) === 0) {
      this.#onHangup(slot, (events & linux.EPOLLERR) !== 0);
    }
  }

  /**
   * An error or the end of both directions, and nobody receives: paused, or after the peer's FIN. An error is reported
   * (a reset peer must not hold a paused connection); a mere hang-up waits for `receive`, out of epoll's sight.
   */
  #onHangup(slot: number, isError: boolean): void {
    if (isError) {
      const code = takeError(this.#kernel, this.#slots.fds[slot], this.counters);
      this.#fail(slot, code === 0 ? ECONNRESET : code);
    } else {
      this.#slots.unregister(slot);
    }
  }

  #onReadable(slot: number, generation: number): void {
    const fd = this.#slots.fds[slot];
    const isRoomy = (this.#slots.flags[slot] & s.ROOMY) !== 0;
    const memory = this.#memory;
    let budget = this.#options.receiveBudget;
    do {
      this.counters.calls += 1;
      const n = memory.receive(fd, isRoomy ? this.#completions.room?.(slot) : undefined);
      if (n > 0) {
        this.#completions.received(slot, memory.received(n));
        if (n < memory.capacity) {
          return;
        }
        budget -= n;
      } else if (n === 0) {
        this.#slots.flags[slot] |= s.ENDED;
        this.#slots.sync(slot);
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
      this.#slots.generations[slot] === generation &&
      (this.#slots.flags[slot] & s.RECEIVING) !== 0
    );
  }

  #onWritable(slot: number): void {
    const n = this.#sendGathered(slot);
    if (n > 0) {
      this.#slots.flags[slot] &= ~s.SENDING;
      const generation = this.#slots.generations[slot];
      this.#completions.sent(slot, n);
      // Only now, since `sent` often asks for the next send at once: two epoll_ctl calls saved.
      if (this.#slots.generations[slot] === generation) {
        this.#slots.sync(slot);
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
    const n = vector.send(this.#slots.fds[slot]);
    return n < 0 && wouldBlock(n) ? 0 : n;
  }

  #reportClosed(): number {
    const list = this.#closing.splice(0);
    for (const slot of list) {
      this.#slots.kinds[slot] = s.FREE;
      this.#completions.closed(slot);
    }
    return list.length;
  }

  #fail(slot: number, code: number): void {
    this.#slots.flags[slot] = (this.#slots.flags[slot] & s.REGISTERED) | s.FAILED;
    this.#slots.unregister(slot);
    this.#completions.failed(slot, code);
  }
}
