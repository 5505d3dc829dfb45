/**
 * The memory into which a batch of datagrams is received: one for each reactor and size, shared by its sockets, since
 * what is received is borrowed. Pages are touched only as far as datagrams reach into them.
 */

import type { Kernel } from '../../base/kernel.js';
import { MSG_TRUNC } from '../../base/linux.js';
import { CONTROL_BYTES, MessageTable, NAME_BYTES } from './message-table.js';

/** Datagrams of one call: recvmmsg's cost is spread over them; 64 gain nothing measurable over 32. */
export const BATCH = 64;
const LINE_BYTES = 64;

export class ReceiveBatch {
  readonly bytesMax: number;
  readonly table: MessageTable;
  readonly #kernel: Kernel;
  readonly #stride: number;
  /** By message, the view given last: traffic often has one size. */
  readonly #views: (Buffer | undefined)[] = new Array<Buffer | undefined>(BATCH).fill(undefined);
  /** How many messages the last call wrote to. */
  #used = BATCH;

  constructor(kernel: Kernel, bytesMax: number) {
    this.#kernel = kernel;
    this.bytesMax = bytesMax;
    // A line more than a power of two, or the first bytes of all datagrams would meet in one set of the cache.
    this.#stride = Math.ceil(bytesMax / LINE_BYTES) * LINE_BYTES + LINE_BYTES;
    this.table = new MessageTable(kernel, BATCH, BATCH * this.#stride);
    for (let i = 0; i < BATCH; i += 1) {
      this.table.setName(i, NAME_BYTES);
      this.table.setControl(i, CONTROL_BYTES);
      this.table.setPayload(i, this.#payloadAt(i), bytesMax);
    }
  }

  /** Receives up to `count` datagrams: how many, or -errno. */
  receive(fd: number, count: number, flags = MSG_TRUNC): number {
    const { table } = this;
    for (let i = 0; i < this.#used; i += 1) {
      table.setNameRoom(i, NAME_BYTES);
      table.setControlRoom(i, CONTROL_BYTES);
    }
    const n = this.#kernel.datagrams.receive(fd, table.region, Math.min(count, BATCH), flags);
    // A call that fails may have written to the first.
    this.#used = Math.max(1, n);
    return n;
  }

  /** The bytes of message `i`, `byteLength` of them. Valid until the next call. */
  bytes(i: number, byteLength: number): Buffer {
    const view = this.#views[i];
    if (view !== undefined && view.length === byteLength) {
      return view;
    }
    const at = this.#payloadAt(i);
    const made = this.table.bytes.subarray(at, at + byteLength);
    this.#views[i] = made;
    return made;
  }

  release(): void {
    this.table.release();
  }

  #payloadAt(i: number): number {
    return this.table.payloadAt + i * this.#stride;
  }
}
