/**
 * Watched descriptors on io_uring: a poll that reports once, submitted again with the next turn's submissions, which
 * makes it level-triggered and costs no call. (A multishot poll reports edges: what a turn's budget leaves unread would
 * have to be remembered.)
 */

import { EBADF } from '../../base/errno.js';
import { EPOLLIN, EPOLLOUT } from '../../base/linux.js';
import { OP_POLL_ADD } from '../../base/uring.js';
import type { UringFiles, UringShared } from './uring-files.js';
import * as s from './uring-slots.js';

export class UringWatches {
  readonly #shared: UringShared;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  /** Slots whose poll is to be submitted. */
  #list: number[] = [];

  constructor(shared: UringShared, files: UringFiles) {
    this.#shared = shared;
    this.#slots = shared.slots;
    this.#files = files;
  }

  get hasWork(): boolean {
    return this.#list.length > 0;
  }

  want(slot: number, events: number): number {
    if (this.#slots.kinds[slot] !== s.POLLED) {
      return -EBADF;
    }
    const before = this.#slots.flags[slot];
    const receiving = (events & EPOLLIN) === 0 ? 0 : s.RECEIVING;
    const sending = (events & EPOLLOUT) === 0 ? 0 : s.SENDING;
    const after = (before & ~(s.RECEIVING | s.SENDING)) | receiving | sending;
    this.#slots.flags[slot] = after;
    if ((before & s.ARMED) === 0) {
      this.#list.push(slot);
    } else if (after !== before && (before & s.CANCELLING) === 0) {
      this.#slots.flags[slot] |= s.CANCELLING;
      this.#files.cancel(slot, s.TAG_WATCH);
    }
    return 0;
  }

  /** Submits the polls that are due: once a turn. */
  arm(): void {
    const list = this.#list;
    this.#list = [];
    for (const slot of list) {
      const flags = this.#slots.flags[slot];
      if (this.#slots.kinds[slot] === s.POLLED && (flags & s.ARMED) === 0) {
        const receiving = (flags & s.RECEIVING) === 0 ? 0 : EPOLLIN;
        const sending = (flags & s.SENDING) === 0 ? 0 : EPOLLOUT;
        this.#slots.flags[slot] |= s.ARMED;
        this.#slots.underWay[slot] += 1;
        this.#files.push(slot, OP_POLL_ADD, 0, 0, 0, receiving | sending, s.TAG_WATCH);
      }
    }
  }

  /** The poll has reported, or was cancelled since something else is wanted. */
  onCompletion(slot: number, result: number): void {
    this.#slots.underWay[slot] -= 1;
    this.#slots.flags[slot] &= ~(s.ARMED | s.CANCELLING);
    if (this.#slots.kinds[slot] === s.POLLED) {
      this.#list.push(slot);
      if (result > 0) {
        this.#shared.completions.ready(slot, result);
      }
    }
  }
}
