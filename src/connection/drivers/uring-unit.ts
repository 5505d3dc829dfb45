/**
 * One ring with what belongs to it: queues, receive buffers, and, for direct descriptors, a table of files. The driver
 * has one, or several when more direct descriptors are wanted than one table may hold (RLIMIT_NOFILE each).
 */

import type { Kernel } from '../../base/kernel.js';
import {
  REGISTER_EVENTFD,
  REGISTER_FILES2,
  RSRC_REGISTER_SIZE,
  RSRC_REGISTER_SPARSE,
} from '../../base/uring.js';
import type { DriverCounters } from '../driver.js';
import { expectSuccess } from './retry.js';
import { UringBuffers } from './uring-buffers.js';
import { UringQueue } from './uring-queue.js';
import { createRing, type UringFeatures } from './uring-setup.js';

export interface UnitOptions {
  readonly sqEntries: number;
  readonly cqEntries: number;
  /** The receive buffers: see UringBuffers.create. */
  readonly buffers: { readonly count: number; readonly size: number; readonly initially: number };
  /** Places in the table of files; 0 for none. */
  readonly files: number;
  /** Signalled when there are completions. */
  readonly eventfd: number;
  readonly features: UringFeatures;
  readonly requestPoll: () => void;
}

export class UringUnit {
  readonly queue: UringQueue;
  readonly buffers: UringBuffers;
  readonly index: number;
  /** Slots whose receive ended because no buffer was free. */
  starved: number[] = [];
  /** Direct descriptors in use, and how many there can be. */
  files = 0;
  readonly filesMax: number;
  readonly #kernel: Kernel;

  constructor(kernel: Kernel, index: number, options: UnitOptions, counters: DriverCounters) {
    const { features, eventfd, files } = options;
    this.#kernel = kernel;
    this.index = index;
    this.filesMax = files;
    const ring = createRing(kernel, options.sqEntries, options.cqEntries, features);
    if (typeof ring === 'number') {
      throw expectSuccess('io_uring_setup', ring);
    }
    this.queue = new UringQueue(kernel, ring, counters, options.requestPoll);
    try {
      this.#register(REGISTER_EVENTFD, word(eventfd), 1);
      if (files > 0) {
        const table = new Uint8Array(RSRC_REGISTER_SIZE);
        new Uint32Array(table.buffer).set([files, RSRC_REGISTER_SPARSE]);
        this.#register(REGISTER_FILES2, table, RSRC_REGISTER_SIZE);
      }
      const buffers = UringBuffers.create(
        kernel,
        ring.fd,
        options.buffers,
        features.incrementalBuffers,
      );
      if (typeof buffers === 'number') {
        throw expectSuccess('io_uring_register', buffers);
      }
      this.buffers = buffers;
    } catch (error) {
      kernel.ringClose(ring);
      throw error;
    }
    this.queue.signalEventfd(false);
  }

  /** Whether there is anything to submit, to have completed or to read, or somebody to receive again. */
  get hasWork(): boolean {
    return this.queue.hasWork || (this.starved.length > 0 && this.buffers.available > 0);
  }

  #register(operation: number, argument: Uint8Array, count: number): void {
    const n = this.#kernel.ringRegister(this.queue.ring.fd, operation, argument, count);
    expectSuccess('io_uring_register', n);
  }

  /** The ring is closed, and nothing was under way in it. */
  release(): void {
    this.buffers.release();
  }
}

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new Int32Array(bytes.buffer)[0] = value;
  return bytes;
}
