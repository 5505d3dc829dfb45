/**
 * What the io_uring driver knows of its slots: eight bytes each, plus two where several rings share them. Used by
 * uring*.ts alone.
 *
 * A slot is reported `closed`, and thereby free, only when its last submission has completed: no completion can come
 * for a former use, and so there is no generation here.
 */

import { Columns } from '../../base/columns.js';

/** What a slot is. */
export const FREE = 0;
export const STREAM = 1;
export const LISTENER = 2;
export const CONNECTING = 3;
export const CLOSING = 4;
/** A descriptor whose calls are made above the driver. */
export const POLLED = 5;

// What a slot does, as bits.
/** Receiving is wanted. */
export const RECEIVING = 1;
/** A receive, or an accept, is with the kernel. */
export const ARMED = 2;
/** It was cancelled, and has not ended yet. */
export const CANCELLING = 4;
/** A send, or a wait until one is possible, is with the kernel. */
export const SENDING = 8;
/** The peer's FIN has come. */
export const ENDED = 16;
export const FAILED = 32;
/** Accepting is wanted. */
export const ACCEPTING = 64;
/** A poll for errors is with the kernel. */
export const GUARDED = 128;
/** In the list of those that are to get one. */
export const GUARD_LISTED = 256;
/** In the list of those that wait for receive buffers. */
export const STARVED = 512;
/** The descriptor is a place in the ring's own table of files. */
export const DIRECT = 1024;
/** A poll for room to send is with the kernel, until the slot is closed. */
export const WATCHED = 2048;
/** The socket was full at the last attempt: the send waits for the poll. */
export const BLOCKED = 4096;
/** The poll has reported room during the attempt that is under way. */
export const ROOM = 8192;
/** Who stopped receiving once may do so again: one receive at a time, so that the kernel takes no more than that. */
export const CAREFUL = 16384;
/** The last receive was large. One at a time, too: one submission that receives on would take the others' buffers. */
export const BULK = 32768;

// What a completion is of: the low 8 bits of the upper word of its user data.
export const TAG_IGNORED = 0;
export const TAG_RECEIVE = 1;
export const TAG_SEND = 2;
/** There may be room to send again. */
export const TAG_WRITABLE = 3;
export const TAG_ACCEPT = 4;
export const TAG_CONNECT = 5;
export const TAG_GUARD = 6;
export const TAG_CLOSE = 7;
export const TAG_WAKE = 8;
export const TAG_COMMAND = 9;
/** A cancel of all that a slot has under way: counted, so that the descriptor is closed after it was looked up. */
export const TAG_CANCEL = 10;
/** A watched descriptor is ready. */
export const TAG_WATCH = 11;

export class UringSlots {
  fds!: Int32Array;
  kinds!: Uint8Array;
  flags!: Uint16Array;
  /** Index of the slot's ring, where there are several. */
  rings!: Uint16Array;
  /** Submissions that have not completed for good. */
  underWay!: Uint8Array;
  readonly #capacity: number;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.trim(0);
  }

  /** Makes new columns, which hold the first slots only; see Driver.trim. */
  trim(limit: number): void {
    const columns = new Columns(this.#capacity, 10);
    this.fds = columns.cut(Int32Array, this.fds, limit);
    this.flags = columns.cut(Uint16Array, this.flags, limit);
    this.rings = columns.cut(Uint16Array, this.rings, limit);
    this.kinds = columns.cut(Uint8Array, this.kinds, limit);
    this.underWay = columns.cut(Uint8Array, this.underWay, limit);
  }

  /** Starts a use of a slot. */
  begin(slot: number, fd: number, kind: number, flags: number): void {
    if (this.kinds[slot] !== FREE) {
      throw new Error(`Cannot use slot ${slot}: it is in use (a slot is free after closed)`);
    }
    this.kinds[slot] = kind;
    this.fds[slot] = fd;
    this.flags[slot] = flags;
  }

  isOpen(slot: number): boolean {
    return this.kinds[slot] !== FREE && this.kinds[slot] !== CLOSING;
  }
}
