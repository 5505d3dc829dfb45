/**
 * Connecting on io_uring: the call itself is made at once, since it never blocks, and a poll says when the outcome is
 * there. (The operation of the same name would wait in a kernel thread where a Unix listener's backlog is full.)
 */

import { EINPROGRESS } from '../../base/errno.js';
import { EPOLLOUT } from '../../base/linux.js';
import { OP_POLL_ADD } from '../../base/uring.js';
import { connectOutcome } from './connect-outcome.js';
import type { UringFiles, UringShared } from './uring-files.js';
import * as s from './uring-slots.js';

export class UringConnects {
  readonly #shared: UringShared;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  /** Connects that ended at once: slot, errno, slot, errno, … */
  #immediate: number[] = [];

  constructor(shared: UringShared, files: UringFiles) {
    this.#shared = shared;
    this.#slots = shared.slots;
    this.#files = files;
  }

  get hasWork(): boolean {
    return this.#immediate.length > 0;
  }

  begin(slot: number, fd: number, sockaddr: Uint8Array): void {
    this.#shared.counters.calls += 1;
    const n = this.#shared.kernel.connect(fd, sockaddr);
    if (n === -EINPROGRESS) {
      this.#wait(slot);
    } else {
      this.#immediate.push(slot, -n);
    }
  }

  #wait(slot: number): void {
    this.#slots.underWay[slot] += 1;
    this.#files.push(slot, OP_POLL_ADD, 0, 0, 0, EPOLLOUT, s.TAG_CONNECT);
  }

  /** The poll of a connecting slot has completed. */
  onEvent(slot: number): void {
    if (this.#slots.kinds[slot] !== s.CONNECTING) {
      return;
    }
    const { kernel, counters } = this.#shared;
    const code = connectOutcome(kernel, this.#slots.fds[slot], counters);
    if (code === undefined) {
      this.#wait(slot);
    } else {
      this.#finish(slot, code);
    }
  }

  /** Reports connects that ended at once. Returns how many. */
  report(): number {
    const list = this.#immediate;
    this.#immediate = [];
    for (let i = 0; i < list.length; i += 2) {
      if (this.#slots.kinds[list[i]] === s.CONNECTING) {
        this.#finish(list[i], list[i + 1]);
      }
    }
    return list.length / 2;
  }

  #finish(slot: number, code: number): void {
    if (code === 0) {
      this.#slots.kinds[slot] = s.STREAM;
    } else {
      this.#slots.flags[slot] |= s.FAILED;
    }
    this.#shared.completions.connected(slot, code);
  }
}
