/**
 * The io_uring driver. Submissions of a turn go to the kernel in one call, which also brings the completions; the
 * turn goes on so until the kernel has nothing more, or the batch is full. Accepting and receiving are armed once
 * (multishot); received bytes lie in buffers that the kernel picks (uring-buffers.ts).
 *
 * Rules that keep memory and descriptors safe:
 * - A descriptor is closed only when nothing of its slot is with the kernel: `close` cancels first, and the slot is
 *   reported `closed` after its last completion. So no completion ever meets the next use of a slot.
 * - What the kernel reads or writes after a call is off-heap and not freed before its completion (uring-sends.ts).
 * - The ring is closed before its memory is released.
 */

import { EBADF } from '../../base/errno.js';
import type { Kernel } from '../../base/kernel.js';
import * as linux from '../../base/linux.js';
import * as uring from '../../base/uring.js';
import type { Completions, Driver, DriverCounters, DriverOptions } from '../driver.js';
import { encodeLinger } from '../option-values.js';
import { UringAccepts } from './uring-accepts.js';
import { UringConnects } from './uring-connects.js';
import { UringDoorbell } from './uring-doorbell.js';
import { UringFiles } from './uring-files.js';
import { UringReceives } from './uring-receives.js';
import { UringSender } from './uring-sender.js';
import type { UringFeatures } from './uring-setup.js';
import * as s from './uring-slots.js';
import type { UringUnit } from './uring-unit.js';
import { UringWatches } from './uring-watches.js';

/** With it close sends RST. */
const LINGER_RESET = encodeLinger('abort', 0);
/** Bytes of a receive, while nothing is known of it. */
const MEAN_RECEIVE = 1_024;
const DESTROY_ROUNDS = 1_000;

export interface UringOptions extends DriverOptions {
  readonly features: UringFeatures;
  /** Connections live in the rings' own tables of files, so many in each; see `direct` in api.ts. */
  readonly directFiles?: number;
}

export class UringDriver implements Driver {
  readonly name = 'uring';
  readonly isAsynchronous = true;
  readonly counters: DriverCounters = { calls: 0, acceptErrors: 0, staleEvents: 0 };
  readonly doorbellDescriptor: number;
  readonly wakeDescriptor: number;
  readonly signals: readonly number[];
  readonly receiveAhead: number;

  readonly #kernel: Kernel;
  readonly #doorbell: UringDoorbell;
  readonly #completions: Completions;
  readonly #options: UringOptions;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  readonly #accepts: UringAccepts;
  readonly #connects: UringConnects;
  readonly #watches: UringWatches;
  readonly #sender: UringSender;
  readonly #receives: UringReceives;
  /** Slots closed, with nothing under way, to be reported. */
  #closing: number[] = [];
  #wakeIsArmed = false;

  constructor(kernel: Kernel, completions: Completions, options: UringOptions) {
    this.#kernel = kernel;
    this.#completions = completions;
    this.#options = options;
    this.#slots = new s.UringSlots(options.slots);
    this.#doorbell = new UringDoorbell(kernel, options.wakeDescriptor);
    this.wakeDescriptor = this.#doorbell.wakeDescriptor;
    this.doorbellDescriptor = this.#doorbell.descriptor;
    this.signals = this.#doorbell.signals;
    const shared = { kernel, completions, counters: this.counters, slots: this.#slots };
    try {
      this.#files = new UringFiles(shared, options, this.#doorbell.eventfd);
    } catch (error) {
      this.#doorbell.close();
      throw error;
    }
    this.receiveAhead = this.#files.first.buffers.count * this.#files.first.buffers.size;
    this.#accepts = new UringAccepts(shared, this.#files, options.acceptBudget);
    this.#connects = new UringConnects(shared, this.#files);
    this.#watches = new UringWatches(shared, this.#files);
    const fail = (slot: number, code: number) => this.#fail(slot, code);
    this.#sender = new UringSender(shared, this.#files, fail);
    const { multishotReceive } = options.features;
    const parts = { files: this.#files, sender: this.#sender, fail };
    this.#receives = new UringReceives(shared, parts, multishotReceive);
    // The host may wait for the doorbell before the first turn.
    this.#armWake();
    this.#files.first.queue.flush();
    this.rest();
  }

  trim(limit: number): void {
    this.#slots.trim(limit);
  }

  get hasWork(): boolean {
    return (
      this.#closing.length > 0 ||
      this.#receives.hasWork ||
      this.#accepts.hasWork ||
      this.#connects.hasWork ||
      this.#watches.hasWork ||
      this.#files.hasPending
    );
  }

  open(slot: number, fd: number): number {
    this.#files.begin(slot, fd, s.STREAM);
    return 0;
  }

  listen(slot: number, fd: number): number {
    this.#files.begin(slot, fd, s.LISTENER);
    this.#accepts.open(slot);
    return 0;
  }

  connect(slot: number, fd: number, sockaddr: Uint8Array): number {
    this.#files.begin(slot, fd, s.CONNECTING);
    this.#connects.begin(slot, fd, sockaddr);
    return 0;
  }

  watch(slot: number, fd: number): number {
    this.#files.begin(slot, fd, s.POLLED);
    return 0;
  }

  want(slot: number, events: number): number {
    return this.#watches.want(slot, events);
  }

  accept(slot: number): void {
    this.#accepts.start(slot);
  }

  stopAccept(slot: number): void {
    this.#accepts.stop(slot);
  }

  receive(slot: number): void {
    this.#receives.start(slot);
  }

  stopReceive(slot: number): void {
    this.#receives.stop(slot);
  }

  trySend(slot: number, bytes: Uint8Array): number {
    if (this.#slots.kinds[slot] !== s.STREAM) {
      return this.#slots.kinds[slot] === s.CONNECTING ? 0 : -EBADF;
    }
    return this.#sender.tryBytes(slot, bytes);
  }

  send(slot: number): number {
    return this.#slots.kinds[slot] === s.STREAM ? this.#sender.start(slot) : -EBADF;
  }

  finishSend(slot: number): number {
    return this.#sender.finishNow(slot);
  }

  shutdown(slot: number): number {
    return this.#slots.kinds[slot] === s.STREAM ? this.#files.shutdown(slot) : -EBADF;
  }

  close(slot: number, abort: boolean): void {
    if (!this.#slots.isOpen(slot)) {
      return;
    }
    const isListener = this.#slots.kinds[slot] === s.LISTENER;
    if (abort && !isListener) {
      this.setOption(slot, linux.SOL_SOCKET, linux.SO_LINGER, LINGER_RESET);
    }
    if (isListener) {
      this.#accepts.end(slot);
    }
    this.#slots.kinds[slot] = s.CLOSING;
    this.#sender.abandon(slot);
    if (this.#slots.underWay[slot] > 0) {
      this.#files.cancelAll(slot);
    } else if (this.#files.close(slot)) {
      this.#closing.push(slot);
    }
  }

  setOption(slot: number, level: number, name: number, value: Uint8Array): number {
    this.counters.calls += 1;
    return this.#files.use(slot, (fd) => this.#kernel.setSocketOption(fd, level, name, value));
  }

  getOption(slot: number, level: number, name: number, value: Uint8Array): number {
    this.counters.calls += 1;
    return this.#files.use(slot, (fd) => this.#kernel.getSocketOption(fd, level, name, value));
  }

  localAddress(slot: number, sockaddr: Uint8Array): number {
    this.counters.calls += 1;
    return this.#files.use(slot, (fd) => this.#kernel.getSocketName(fd, sockaddr));
  }

  peerAddress(slot: number, sockaddr: Uint8Array): number {
    this.counters.calls += 1;
    return this.#files.use(slot, (fd) => this.#kernel.getPeerName(fd, sockaddr));
  }

  discard(fd: number): void {
    this.#files.discard(fd);
  }

  drained(): void {
    this.#doorbell.isDrained = true;
  }

  poll(): number {
    if (this.#doorbell.isResting) {
      this.#files.signalEventfd(false);
      this.#doorbell.silence(this.counters);
    }
    if (!this.#wakeIsArmed) {
      this.#armWake();
    }
    let handled = this.#connects.hasWork ? this.#connects.report() : 0;
    if (this.#watches.hasWork) {
      this.#watches.arm();
    }
    this.#accepts.begin();
    if (this.#accepts.hasWork) {
      handled += this.#accepts.report();
    }
    for (const unit of this.#files.units) {
      handled += this.#run(unit);
    }
    if (this.#accepts.hasWork) {
      handled += this.#accepts.report();
    }
    if (this.#closing.length > 0) {
      handled += this.#reportClosed();
    }
    if (this.#receives.hasWork) {
      this.#receives.startGuards();
    }
    return handled;
  }

  rest(): boolean {
    this.#files.signalEventfd(true);
    this.#doorbell.isResting = true;
    return this.hasWork || this.#files.hasWork;
  }

  /** Submissions and completions in turn, until there is nothing to do or the batch is full. */
  #run(unit: UringUnit): number {
    const { queue } = unit;
    let handled = 0;
    const { receiveBudget } = this.#options;
    let bytesLeft = receiveBudget;
    let receives = 0;
    for (;;) {
      const submitted = queue.wantsEnter ? queue.enter() : 0;
      this.#sender.noteSubmitted();
      let n = 0;
      const end = queue.tail;
      const { words, completionMask, completionsAt } = queue;
      // What is left over when the budget is spent waits in the queue for the next batch.
      for (let head = queue.head; head !== end && bytesLeft > 0; head = (head + 1) | 0) {
        const at = completionsAt + ((head & completionMask) << 2);
        queue.unread = (head + 1) | 0;
        const result = words[at + 2];
        const tag = words[at + 1];
        if ((words[at + 3] & uring.CQE_F_MORE) === 0) {
          queue.underWay -= 1;
        }
        if ((tag & 0xff) === s.TAG_RECEIVE) {
          if (result > 0) {
            bytesLeft -= result;
            receives += 1;
          }
          this.#receives.onCompletion(unit, words[at], result, words[at + 3]);
          if (this.#slots.kinds[words[at]] === s.CLOSING) {
            this.#settle(words[at]);
          }
        } else {
          this.#onCompletion(words[at], tag, result, words[at + 3]);
        }
        n += 1;
      }
      queue.release(queue.unread);
      unit.buffers.recycle();
      if (unit.starved.length > 0) {
        this.#receives.feed(unit, (receiveBudget - bytesLeft) / receives || MEAN_RECEIVE);
      }
      handled += n;
      if (n + submitted === 0 || handled >= this.#options.batch || bytesLeft <= 0) {
        return handled;
      }
    }
  }

  #onCompletion(slot: number, tag: number, result: number, flags: number): void {
    switch (tag & 0xff) {
      case s.TAG_SEND:
        this.#sender.onSent(slot, tag >>> 8, result);
        break;
      case s.TAG_WRITABLE:
        this.#sender.onRoom(slot, result, flags);
        break;
      case s.TAG_CANCEL:
        this.#slots.underWay[slot] -= 1;
        break;
      case s.TAG_ACCEPT:
        this.#accepts.onCompletion(slot, tag >>> 8, result, flags);
        break;
      case s.TAG_CONNECT:
        this.#slots.underWay[slot] -= 1;
        this.#connects.onEvent(slot);
        break;
      case s.TAG_WATCH:
        this.#watches.onCompletion(slot, result);
        break;
      case s.TAG_GUARD:
        this.#receives.onGuard(slot, result, flags);
        break;
      case s.TAG_CLOSE:
        this.#slots.underWay[slot] -= 1;
        this.#files.closed(slot);
        this.#finish(slot);
        return;
      case s.TAG_WAKE:
        this.#onWake(flags);
        return;
      default:
        return;
    }
    if (this.#slots.kinds[slot] === s.CLOSING) {
      this.#settle(slot);
    }
  }

  /** Of a closing slot, something has completed: with the last, the descriptor is closed. */
  #settle(slot: number): void {
    // The descriptor is -1 if a hook closed the slot a moment ago, with nothing under way: it is in the list.
    if (this.#slots.underWay[slot] === 0 && this.#slots.fds[slot] >= 0 && this.#files.close(slot)) {
      this.#finish(slot);
    }
  }

  #finish(slot: number): void {
    this.#slots.kinds[slot] = s.FREE;
    this.#completions.closed(slot);
  }

  #reportClosed(): number {
    const list = this.#closing;
    this.#closing = [];
    for (const slot of list) {
      this.#finish(slot);
    }
    return list.length;
  }

  #armWake(): void {
    this.#wakeIsArmed = true;
    const { queue } = this.#files.first;
    const { EPOLLIN } = linux;
    const fd = this.wakeDescriptor;
    queue.push(uring.OP_POLL_ADD, fd, 0, 0, uring.POLL_ADD_MULTI, EPOLLIN, 0, s.TAG_WAKE);
  }

  #onWake(flags: number): void {
    if ((flags & uring.CQE_F_MORE) === 0) {
      this.#wakeIsArmed = false;
    }
    this.counters.calls += 1;
    if (this.#kernel.drain(this.wakeDescriptor) >= 0) {
      this.#completions.woken();
    }
  }

  #fail(slot: number, code: number): void {
    if (this.#slots.kinds[slot] === s.STREAM && (this.#slots.flags[slot] & s.FAILED) === 0) {
      this.#slots.flags[slot] |= s.FAILED;
      this.#completions.failed(slot, code);
    }
  }

  destroy(): void {
    this.#files.destroy(DESTROY_ROUNDS);
    this.#accepts.destroy();
    this.#sender.destroy();
    this.#doorbell.close();
  }
}
