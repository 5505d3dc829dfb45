/**
 * The two queues of one io_uring, as the driver uses them: submissions are written here and go to the kernel in one
 * call; completions are read by the driver straight from `words`. Used by the uring*.ts files alone.
 *
 * Heads and tails are shared with the kernel: what it writes is read with Atomics.load, and what it reads is written
 * with Atomics.store, after what they publish (io_uring(7), "memory barriers").
 */

import { EAGAIN, EBUSY } from '../../base/errno.js';
import type { Kernel, Ring } from '../../base/kernel.js';
import {
  CQ_EVENTFD_DISABLED,
  CQE_SIZE,
  ENTER_GETEVENTS,
  SQ_CQ_OVERFLOW,
  SQ_TASKRUN,
  SQE_SIZE,
} from '../../base/uring.js';
import { SystemError } from '../../errors.js';
import type { DriverCounters } from '../driver.js';

const SQE_WORDS = SQE_SIZE / 4;

export class UringQueue {
  readonly ring: Ring;
  /** Both queues, as 32-bit words. */
  readonly words: Int32Array;
  /** Where in `words` the completions start, each of four: user data (two words), result, flags. */
  readonly completionsAt: number;
  readonly completionMask: number;
  /** The submissions, as words: for fields that `push` leaves zero. */
  readonly entries: Int32Array;
  /** Submissions written and not yet taken by the kernel. */
  pending = 0;
  /** Submissions whose last completion has not been read: the driver counts it down. */
  underWay = 0;
  /** The first completion that was not handled; `release` gives those before it back, at the end of a batch. */
  unread = 0;

  readonly #kernel: Kernel;
  readonly #counters: DriverCounters;
  readonly #onPending: () => void;
  readonly #mask: number;
  readonly #submissionTailAt: number;
  readonly #flagsAt: number;
  readonly #headAt: number;
  readonly #tailAt: number;
  readonly #completionFlagsAt: number;
  #tail: number;
  /** Up to where `forEachNew` has looked. */
  #shown = 0;

  /** `onPending` is called when there is something to submit and there was nothing before. */
  constructor(kernel: Kernel, ring: Ring, counters: DriverCounters, onPending: () => void) {
    this.#onPending = onPending;
    this.#kernel = kernel;
    this.#counters = counters;
    this.ring = ring;
    this.words = wordsOf(ring.rings.bytes);
    this.entries = wordsOf(ring.sqes.bytes);
    this.#mask = ring.sqEntries - 1;
    this.completionMask = ring.cqEntries - 1;
    this.completionsAt = ring.cqes / 4;
    this.#submissionTailAt = ring.sqTail / 4;
    this.#flagsAt = ring.sqFlags / 4;
    this.#headAt = ring.cqHead / 4;
    this.#tailAt = ring.cqTail / 4;
    this.#completionFlagsAt = ring.cqFlags / 4;
    this.#tail = this.words[this.#submissionTailAt];
    this.unread = this.words[this.#headAt];
  }

  /**
   * Writes a submission and returns where its words start in `entries`, for fields that few operations have.
   * `head` is the operation, its SQE_ flags << 8 and its ioprio << 16. `slot` and `tag` come back with the completion.
   */
  push(
    head: number,
    fd: number,
    low: number,
    high: number,
    byteLength: number,
    flags: number,
    slot: number,
    tag: number,
  ): number {
    if (this.pending === 0) {
      this.#onPending();
    } else if (this.pending > this.#mask && !this.flush() && this.pending > this.#mask) {
      throw new SystemError('io_uring_enter', EBUSY);
    }
    const at = (this.#tail & this.#mask) * SQE_WORDS;
    const { entries } = this;
    entries[at] = head;
    entries[at + 1] = fd;
    entries[at + 2] = 0;
    entries[at + 3] = 0;
    entries[at + 4] = low;
    entries[at + 5] = high;
    entries[at + 6] = byteLength;
    entries[at + 7] = flags;
    entries[at + 8] = slot;
    entries[at + 9] = tag;
    entries[at + 10] = 0;
    entries[at + 11] = 0;
    entries[at + 12] = 0;
    entries[at + 13] = 0;
    entries[at + 14] = 0;
    entries[at + 15] = 0;
    this.#tail = (this.#tail + 1) | 0;
    this.pending += 1;
    this.underWay += 1;
    return at;
  }

  /** Whether there is anything to do: to submit, to have completed, or to read. */
  get hasWork(): boolean {
    return this.wantsEnter || this.head !== this.tail;
  }

  /** Whether `enter` has something to do: submissions, or work of the kernel's. */
  get wantsEnter(): boolean {
    return (
      this.pending > 0 ||
      (Atomics.load(this.words, this.#flagsAt) & (SQ_TASKRUN | SQ_CQ_OVERFLOW)) !== 0
    );
  }

  /** Submits what is pending and lets the kernel complete what is ready. Returns how many were submitted. */
  enter(): number {
    return this.#enter(ENTER_GETEVENTS);
  }

  /** Submits everything that is pending; completions may come, and are not handled. False if something is left. */
  flush(): boolean {
    // Without room for completions the kernel may refuse: then it must be allowed to set some aside.
    for (let i = 0; i < 16 && this.pending > 0; i += 1) {
      this.#enter(i === 0 ? 0 : ENTER_GETEVENTS);
    }
    return this.pending === 0;
  }

  #enter(flags: number): number {
    const { pending } = this;
    if (pending > 0) {
      Atomics.store(this.words, this.#submissionTailAt, this.#tail);
    }
    this.#counters.calls += 1;
    const n = this.#kernel.ringEnter(this.ring.fd, pending, flags);
    if (n >= 0) {
      this.pending = pending - n;
      return n;
    }
    // EBUSY: completions must be read first. EAGAIN: no memory for requests now.
    if (n !== -EBUSY && n !== -EAGAIN) {
      throw new SystemError('io_uring_enter', -n);
    }
    return 0;
  }

  /** The first completion that was not read, and the end of what the kernel has written. */
  get head(): number {
    return this.words[this.#headAt];
  }

  get tail(): number {
    return Atomics.load(this.words, this.#tailAt);
  }

  /** How many more completions fit. */
  get completionRoom(): number {
    return this.completionMask + 1 - ((this.tail - this.head) | 0);
  }

  /**
   * Looks ahead: calls with the tag and result of each completion that is there, was not handled, and was not shown
   * before. They are handled later all the same.
   */
  forEachNew(look: (tag: number, result: number) => void): void {
    const end = this.tail;
    // Those before `unread` were handled meanwhile.
    let head = ((this.#shown - this.unread) | 0) > 0 ? this.#shown : this.unread;
    for (; head !== end; head = (head + 1) | 0) {
      const at = this.completionsAt + (head & this.completionMask) * (CQE_SIZE / 4);
      look(this.words[at + 1], this.words[at + 2]);
    }
    this.#shown = end;
  }

  /** Gives the completions before `head` back to the kernel. */
  release(head: number): void {
    this.unread = head;
    Atomics.store(this.words, this.#headAt, head);
  }

  /** Whether finished work is to signal the registered eventfd. */
  signalEventfd(isWanted: boolean): void {
    Atomics.store(this.words, this.#completionFlagsAt, isWanted ? 0 : CQ_EVENTFD_DISABLED);
  }

  /**
   * The result of a submission that completes at once, such as a command on a socket: submits it, and takes its
   * completion out of the queue, leaving those before it. `tag` must be of no other submission. -EBUSY if it did not
   * complete, which then comes later.
   */
  finishNow(slot: number, tag: number, ignored: number): number {
    const at = this.#findNow(slot, tag, -1, 16);
    if (at < 0) {
      return -EBUSY;
    }
    this.words[at + 1] = ignored;
    return this.words[at + 2];
  }

  /**
   * The same for a submission of which the low 8 bits of the tag are known: where its completion lies in `words`, -1 if
   * it is not there. Whoever takes it overwrites its tag.
   */
  findNow(slot: number, tag: number): number {
    return this.#findNow(slot, tag, 0xff, 2);
  }

  #findNow(slot: number, tag: number, mask: number, rounds: number): number {
    for (let i = 0; i < rounds; i += 1) {
      // First what needs no entering: it may be there already.
      if (i > 0 || this.pending > 0) {
        this.#enter(i <= 1 ? 0 : ENTER_GETEVENTS);
      }
      const end = this.tail;
      for (let head = this.unread; head !== end; head = (head + 1) | 0) {
        const at = this.completionsAt + (head & this.completionMask) * (CQE_SIZE / 4);
        if (this.words[at] === slot && (this.words[at + 1] & mask) === tag) {
          return at;
        }
      }
    }
    return -1;
  }
}

function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
}
