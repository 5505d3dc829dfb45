/**
 * Sending on io_uring. What was just received, and small writes, become one submission at once (`tryBytes`): from the
 * receive buffer itself, or from a copy in a slab. What is queued is gathered from off-heap blocks (`start`). An array
 * of the JavaScript heap is never given to the kernel for longer than a call: it is sent by one, and when the socket is
 * full, a poll says when to try again. So is a part of a file, by sendfile(2): the ring's own way, splice, goes through
 * a pipe and through threads of the kernel's. For a direct descriptor it is read into memory, and that is sent.
 */

import { EAGAIN, EFAULT, EINTR, ENOBUFS } from '../../base/errno.js';
import type { Kernel, Region } from '../../base/kernel.js';
import { EPOLLERR, EPOLLHUP, EPOLLOUT, MSG_DONTWAIT, MSG_NOSIGNAL } from '../../base/linux.js';
import { giveRegion, takeRegion } from '../../base/region-cache.js';
import { CQE_F_MORE, OP_POLL_ADD, OP_SEND, OP_SENDMSG, POLL_ADD_MULTI } from '../../base/uring.js';
import { PENDING } from '../driver.js';
import { IovecVector } from './iovec-vector.js';
import { wouldBlock } from './retry.js';
import type { UringFiles, UringShared } from './uring-files.js';
import { DirectSends, UringVector } from './uring-sends.js';
import * as s from './uring-slots.js';
import type { UringUnit } from './uring-unit.js';

const WORD = 0x1_0000_0000;
/** Copies of small writes: a slab of so many pieces. */
const PIECE_BYTES = 2_048;
const PIECES = 512;
/** Where a record lies whose piece somebody else has by now, though its completion has not been read. */
const RECLAIMED = -1;
/**
 * Full means EAGAIN, to be dealt with here: left to itself the kernel would try again at each event of the socket, and
 * in the end block one of its threads for each peer that half-closes and does not read (seen on 6.18).
 */
const SEND_FLAGS = MSG_NOSIGNAL | MSG_DONTWAIT;

export class UringSender {
  readonly #shared: UringShared;
  readonly #kernel: Kernel;
  readonly #slots: s.UringSlots;
  readonly #files: UringFiles;
  readonly #fail: (slot: number, code: number) => void;
  readonly #vector: UringVector;
  /** For arrays of the heap. */
  readonly #callVector: IovecVector;
  readonly #direct = new DirectSends();
  readonly #slab: Region;
  readonly #freePieces: number[] = [];
  /** Sends past the queue that wait for room: record by slot. */
  readonly #blocked = new Map<number, number>();
  #borrowed: Buffer | undefined;
  #borrowedUnit: UringUnit | undefined;
  #borrowedStart = 0;

  constructor(shared: UringShared, files: UringFiles, fail: (slot: number, code: number) => void) {
    this.#shared = shared;
    this.#kernel = shared.kernel;
    this.#slots = shared.slots;
    this.#files = files;
    this.#fail = fail;
    this.#vector = new UringVector(shared.kernel);
    this.#callVector = new IovecVector(shared.kernel);
    this.#slab = takeRegion(shared.kernel, PIECES * PIECE_BYTES);
    for (let i = PIECES - 1; i >= 0; i -= 1) {
      this.#freePieces.push(i);
    }
  }

  /** `bytes`, at `start` of the ring's receive buffers, are being reported. */
  borrow(unit: UringUnit, bytes: Buffer, start: number): void {
    this.#borrowed = bytes;
    this.#borrowedUnit = unit;
    this.#borrowedStart = start;
  }

  forget(): void {
    this.#borrowed = undefined;
  }

  /** Something was submitted: once everything is, the vectors' arena starts anew. */
  noteSubmitted(): void {
    // Asked first: with direct descriptors there are many rings to look at.
    if (!this.#vector.isEmpty && !this.#files.hasPending) {
      this.#vector.clear();
    }
  }

  /** See Driver.trySend. */
  tryBytes(slot: number, bytes: Uint8Array): number {
    const { length: byteLength } = bytes;
    if (bytes === this.#borrowed) {
      const unit = this.#borrowedUnit!;
      // Another ring may send from the memory of this one: it is all the process's.
      if (unit.buffers.pin(this.#borrowedStart)) {
        const record = this.#direct.add(this.#borrowedStart, byteLength, unit);
        this.#submit(slot, record);
        return PENDING;
      }
    }
    if (byteLength <= PIECE_BYTES && (this.#freePieces.length > 0 || this.#reclaimPieces())) {
      const piece = this.#freePieces.pop()!;
      this.#slab.bytes.set(bytes, piece * PIECE_BYTES);
      this.#submit(slot, this.#direct.add(piece * PIECE_BYTES, byteLength, undefined));
      return PENDING;
    }
    if ((this.#slots.flags[slot] & s.DIRECT) !== 0) {
      return 0;
    }
    this.#shared.counters.calls += 1;
    const n = this.#kernel.send(this.#slots.fds[slot], bytes);
    return n < 0 && wouldBlock(n) ? 0 : n;
  }

  /**
   * All pieces are in use, as in a broadcast to thousands: submits what waits, and takes the pieces of what was sent.
   * The completions stay where they are, for the batch. True if there is a piece.
   */
  #reclaimPieces(): boolean {
    for (const { queue } of this.#files.units) {
      // Completions that find no room are set aside by the kernel, where nobody sees them.
      if (queue.pending > 0 && queue.pending <= queue.completionRoom) {
        queue.flush();
        queue.forEachNew(this.#reclaim);
      }
    }
    return this.#freePieces.length > 0;
  }

  readonly #reclaim = (tag: number, result: number): void => {
    const record = tag >>> 8;
    if ((tag & 0xff) !== s.TAG_SEND || record === 0) {
      return;
    }
    const { starts, lefts, units } = this.#direct;
    if (units[record] === undefined && starts[record] >= 0 && lefts[record] === result) {
      this.#freePieces.push(starts[record] / PIECE_BYTES);
      starts[record] = RECLAIMED;
    }
  };

  #submit(slot: number, record: number): void {
    const direct = this.#direct;
    const unit = direct.units[record];
    const base = unit === undefined ? this.#slab.address : unit.buffers.address;
    const left = direct.lefts[record];
    const address = base + direct.starts[record] + direct.sizes[record] - left;
    this.#begin(slot);
    const tag = s.TAG_SEND | (record << 8);
    const high = Math.floor(address / WORD);
    this.#files.push(slot, OP_SEND, (address % WORD) | 0, high, left, SEND_FLAGS, tag);
  }

  #begin(slot: number): void {
    this.#slots.flags[slot] |= s.SENDING;
    this.#slots.underWay[slot] += 1;
  }

  #end(slot: number): void {
    this.#slots.flags[slot] &= ~s.SENDING;
    this.#slots.underWay[slot] -= 1;
  }

  #freeRecord(record: number): void {
    const unit = this.#direct.units[record];
    const start = this.#direct.starts[record];
    if (unit === undefined) {
      if (start !== RECLAIMED) {
        this.#freePieces.push(start / PIECE_BYTES);
      }
    } else {
      unit.buffers.unpin(start);
    }
    this.#direct.remove(record);
  }

  /** See Driver.send. */
  start(slot: number): number {
    const vector = this.#vector;
    if (vector.isFull && !this.#makeRoom()) {
      return this.#call(slot);
    }
    const isDirect = (this.#slots.flags[slot] & s.DIRECT) !== 0;
    vector.reset(slot, isDirect);
    this.#shared.completions.gather(slot, vector);
    if (vector.count === 0) {
      vector.giveBack();
      return vector.isOnHeap ? this.#call(slot) : -(vector.errno || EFAULT);
    }
    this.#begin(slot);
    if (vector.count === 1) {
      const { firstLow, firstHigh, byteLength } = vector;
      vector.giveBack();
      this.#files.push(slot, OP_SEND, firstLow, firstHigh, byteLength, SEND_FLAGS, s.TAG_SEND);
    } else {
      const address = vector.header();
      const high = Math.floor(address / WORD);
      this.#files.push(slot, OP_SENDMSG, address | 0, high, 1, SEND_FLAGS, s.TAG_SEND);
    }
    return PENDING;
  }

  /** The arena is full of vectors that the kernel has not read yet. */
  #makeRoom(): boolean {
    for (const unit of this.#files.units) {
      if (!unit.queue.flush()) {
        return false;
      }
    }
    this.#vector.clear();
    return true;
  }

  /** Sends what is queued with a call, or waits until the socket has room. */
  #call(slot: number): number {
    const vector = this.#callVector;
    vector.reset();
    this.#shared.completions.gather(slot, vector);
    if (vector.count === 0) {
      return -EFAULT;
    }
    this.#shared.counters.calls += 1;
    const n = this.#files.use(slot, (fd) => vector.send(fd));
    if (n > 0 || (n < 0 && !wouldBlock(n))) {
      return n;
    }
    this.#slots.flags[slot] &= ~s.ROOM;
    this.#slots.flags[slot] |= s.BLOCKED;
    this.#watch(slot, n === -ENOBUFS);
    return PENDING;
  }

  /** The poll for room has something to report: room, the end of the connection, or a mere FIN. */
  onRoom(slot: number, result: number, flags: number): void {
    if ((flags & CQE_F_MORE) === 0) {
      this.#slots.flags[slot] &= ~s.WATCHED;
      this.#slots.underWay[slot] -= 1;
    }
    if (!this.#isAlive(slot)) {
      return;
    }
    if (result > 0 && (result & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) {
      this.#watch(slot, false);
      return;
    }
    if ((this.#slots.flags[slot] & s.BLOCKED) !== 0) {
      this.#slots.flags[slot] &= ~s.BLOCKED;
      const record = this.#blocked.get(slot) ?? 0;
      this.#blocked.delete(slot);
      this.#retry(slot, record);
    } else if ((this.#slots.flags[slot] & s.SENDING) !== 0) {
      this.#slots.flags[slot] |= s.ROOM;
    } else if ((flags & CQE_F_MORE) !== 0) {
      // Nobody wants to know. TCP tells of room only after it was missed, Unix sockets at each read of the peer.
      this.#files.cancel(slot, s.TAG_WRITABLE);
    }
  }

  /** The socket was full: the send goes on when the poll says that there is room. */
  #block(slot: number, record: number, isOutOfMemory: boolean): void {
    if ((this.#slots.flags[slot] & s.ROOM) !== 0) {
      this.#slots.flags[slot] &= ~s.ROOM;
      this.#retry(slot, record);
      return;
    }
    this.#slots.flags[slot] |= s.BLOCKED;
    if (record !== 0) {
      this.#blocked.set(slot, record);
    }
    this.#watch(slot, isOutOfMemory);
  }

  /** Starts the poll for room if there is none. It stays, unless it reports room that nothing waits for. */
  #watch(slot: number, isOutOfMemory: boolean): void {
    if (isOutOfMemory && (this.#slots.flags[slot] & s.WATCHED) !== 0) {
      // The socket may have had room all the time, of which no poll tells twice: its end makes us try again.
      this.#files.cancel(slot, s.TAG_WRITABLE);
      return;
    }
    if ((this.#slots.flags[slot] & (s.WATCHED | s.BLOCKED)) === s.BLOCKED) {
      this.#slots.flags[slot] |= s.WATCHED;
      this.#slots.underWay[slot] += 1;
      this.#files.push(slot, OP_POLL_ADD, 0, 0, POLL_ADD_MULTI, EPOLLOUT, s.TAG_WRITABLE);
    }
  }

  #retry(slot: number, record: number): void {
    if (record === 0) {
      this.#again(slot);
    } else {
      this.#submit(slot, record);
    }
  }

  /** See Driver.finishSend. Errors, full sockets and rests are left to the batch. */
  finishNow(slot: number): number {
    const flags = this.#slots.flags[slot];
    if (!this.#isAlive(slot) || (flags & (s.SENDING | s.BLOCKED)) !== s.SENDING) {
      return PENDING;
    }
    const { queue } = this.#files.unitOf(slot);
    const at = queue.findNow(slot, s.TAG_SEND);
    if (at < 0) {
      return PENDING;
    }
    const n = queue.words[at + 2];
    const record = queue.words[at + 1] >>> 8;
    if (n <= 0 || (record !== 0 && n < this.#direct.lefts[record])) {
      return PENDING;
    }
    queue.words[at + 1] = s.TAG_IGNORED;
    this.#end(slot);
    this.#freeSend(slot, record);
    return n;
  }

  onSent(slot: number, record: number, result: number): void {
    this.#end(slot);
    if (result > 0) {
      this.#onBytes(slot, record, result);
    } else if (!this.#isAlive(slot)) {
      this.#freeSend(slot, record);
    } else if (result === -EAGAIN || result === -ENOBUFS) {
      this.#vector.finish(slot);
      this.#block(slot, record, result === -ENOBUFS);
    } else if (result === -EINTR) {
      this.#vector.finish(slot);
      this.#retry(slot, record);
    } else {
      this.#freeSend(slot, record);
      this.#fail(slot, -result);
    }
  }

  /** Of a slot that is being closed too: what went to the peer counts. */
  #onBytes(slot: number, record: number, n: number): void {
    if (record === 0) {
      this.#vector.finish(slot);
      this.#shared.completions.sent(slot, n);
      return;
    }
    const direct = this.#direct;
    direct.lefts[record] -= n;
    if (direct.lefts[record] > 0 && this.#isAlive(slot)) {
      this.#submit(slot, record);
    } else {
      this.#freeRecord(record);
    }
    this.#shared.completions.sent(slot, n);
  }

  #freeSend(slot: number, record: number): void {
    if (record === 0) {
      this.#vector.finish(slot);
    } else {
      this.#freeRecord(record);
    }
  }

  /** The slot is being closed: nothing is with the kernel of a send that waits for room. */
  abandon(slot: number): void {
    const record = this.#blocked.get(slot);
    if (record !== undefined) {
      this.#blocked.delete(slot);
      this.#freeRecord(record);
    }
  }

  /** Sends what is queued, once more. */
  #again(slot: number): void {
    const n = this.start(slot);
    if (n > 0) {
      this.#shared.completions.sent(slot, n);
    } else if (n !== PENDING) {
      this.#fail(slot, -n);
    }
  }

  #isAlive(slot: number): boolean {
    return this.#slots.kinds[slot] === s.STREAM && (this.#slots.flags[slot] & s.FAILED) === 0;
  }

  destroy(): void {
    this.#vector.release();
    giveRegion(this.#kernel, this.#callVector.region);
    giveRegion(this.#kernel, this.#slab);
  }
}
