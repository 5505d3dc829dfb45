/**
 * The real kernel's hooks into Node's event loop: a doorbell on a descriptor, an alarm on a timer.
 */

import { pollDescriptor } from './ffi.js';
import type { Alarm, Doorbell } from './kernel.js';

export class HostDoorbell implements Doorbell {
  readonly #handle: ReturnType<typeof pollDescriptor>;
  readonly #ring: () => void;
  #running = true;
  /** Any call on a handle that was closed would be a segmentation fault (koffi 3.3.4). */
  #isClosed = false;

  constructor(fd: number, callback: () => void) {
    this.#ring = callback;
    this.#handle = pollDescriptor(fd, callback);
  }

  ref(): void {
    if (!this.#isClosed) {
      this.#handle.ref();
    }
  }

  unref(): void {
    if (!this.#isClosed) {
      this.#handle.unref();
    }
  }

  stop(): void {
    if (this.#running && !this.#isClosed) {
      this.#running = false;
      this.#handle.stop();
    }
  }

  start(): void {
    if (!this.#running && !this.#isClosed) {
      this.#running = true;
      this.#handle.start({ readable: true }, this.#ring);
    }
  }

  close(): void {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#handle.close();
    }
  }
}

export class HostAlarm implements Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #referenced = false;

  constructor(callback: () => void) {
    this.#ring = callback;
  }

  set(delayMs: number): void {
    this.clear();
    // Node takes delays of up to 2^31 - 1 ms; the caller arms again when woken early.
    const delay = Math.min(Math.max(1, Math.ceil(delayMs)), 0x7fff_ffff);
    this.#timer = setTimeout(this.#ring, delay);
    if (!this.#referenced) {
      this.#timer.unref();
    }
  }

  clear(): void {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }

  ref(): void {
    this.#referenced = true;
    this.#timer?.ref();
  }

  unref(): void {
    this.#referenced = false;
    this.#timer?.unref();
  }
}
