/**
 * The state of a reactor's connections: typed arrays indexed by slot, made for the most slots there can be. Pages of a
 * column that nobody writes cost no memory, so columns that only some connections need (timeouts) are written only for
 * these. When nearly all of very many connections have gone, the columns are made anew, and the pages go back to the
 * system: nobody may keep a column beyond a turn.
 *
 * A slot is taken by `take` and given back by `release` at the end of the turn in which the connection closed, never
 * earlier: completions of the same batch may still name it. Each use of a slot has a generation, which is part of the
 * connection's id.
 */

import { Columns } from '../base/columns.js';

export const CONNECTING = 1 << 0;
/** onOpen was called, so onClose will be. */
export const OPENED = 1 << 1;
/** The peer's FIN was reported. */
export const RECEIVE_ENDED = 1 << 2;
/** FIN is to follow what is queued: no more writes are taken. */
export const END_WANTED = 1 << 3;
/** Our FIN is sent. */
export const SEND_ENDED = 1 << 4;
/** Graceful close: received bytes are dropped. */
export const CLOSING = 1 << 5;
/** Handed to the driver for closing: nothing but `closed` follows. */
export const DESTROYED = 1 << 6;
/** Reading is paused by the user. */
export const PAUSED = 1 << 7;
/** Reading is paused because a sink that this connection writes to is full (`pause-source`). */
export const HELD = 1 << 8;
/** There is a WriteQueue. */
export const QUEUED = 1 << 9;
/** The driver has a send pending. */
export const SENDING = 1 << 10;
export const CORKED = 1 << 11;
/** In the list of connections to flush at the end of the callback or turn. */
export const FLUSH_LISTED = 1 << 12;
/** Above the high-water mark; onDrain is owed. */
export const BLOCKED = 1 << 13;
/** Has a read or idle timeout: note the time of each activity. */
export const TIMED = 1 << 14;
/** In the list of connections with something to report: unread bytes, or a wake. */
export const READY_LISTED = 1 << 15;
/** `wake` was called. */
export const WOKEN = 1 << 16;
/** Something of the user's hangs on the connection besides its context: see Extras. */
export const HAS_EXTRAS = 1 << 17;
/** A hook of this connection already sent something directly: the rest of its writes go together. */
export const WROTE = 1 << 18;
/** Has a reader with, perhaps, unread bytes. */
export const HAS_READER = 1 << 19;
/** Reading is paused because the unread bytes of a pull handler are at their limit. */
export const READ_FULL = 1 << 20;
/** The peer's FIN is to be reported after the unread bytes. */
export const END_OWED = 1 << 21;
/** Another connection stands on this one: see faces.ts. */
export const HAS_FACE = 1 << 22;
/** Anything that keeps us from receiving. */
export const NO_RECEIVE = PAUSED | HELD | READ_FULL | RECEIVE_ENDED | DESTROYED;
/** Anything that keeps received bytes from going straight to who is told of them. */
export const NO_ROOM = PAUSED | HELD | HAS_READER | HAS_EXTRAS | CLOSING | DESTROYED;
/** Anything that keeps a direct send from being right. */
export const NO_DIRECT_SEND =
  CONNECTING | END_WANTED | SEND_ENDED | CLOSING | DESTROYED | QUEUED | SENDING | CORKED;
/** Anything that ends writing. */
export const NO_WRITE = END_WANTED | SEND_ENDED | CLOSING | DESTROYED;

const SLOT_BITS = 21;
const GENERATION_BITS = 22;
export const SLOTS_MAX = 1 << SLOT_BITS;
const GENERATIONS = 1 << GENERATION_BITS;
const SLOT_SPAN = 2 ** SLOT_BITS;
const REACTOR_SPAN = 2 ** (SLOT_BITS + GENERATION_BITS);

/** Of a slot, in all columns but the generations: one column of 8 bytes, ten of 4, one of 2. */
const SLOT_BYTES = 8 + 10 * 4 + 2;
const WORD = 2 ** 32;
/** What lies so far in the future, modulo 2^32, is in the future: all else is in the past. */
const FUTURE = WORD - 65_536;
/** Longer timeouts count as this one, of 49.7 days: the columns of times could not tell them from short ones. */
export const TIMEOUT_MAX_MS = WORD - 2 * 65_536;
/** Fewer slots than this were never worth the work of giving their memory back. */
const TRIM_MIN = 65_536;

export class ConnectionTable {
  readonly capacity: number;
  flags!: Uint32Array;
  readonly generations: Uint32Array;
  /** Timeouts in milliseconds, plus 1; 0 for that of the profile. */
  idleTimeouts!: Uint32Array;
  readTimeouts!: Uint32Array;
  writeTimeouts!: Uint32Array;
  /** Linger or half-open: an absolute time, 0 for none. */
  hardDeadlines!: Float64Array;
  corkDepths!: Uint16Array;
  /** Bytes that an asynchronous driver has taken from a write, past the queue, and not yet reported as sent. */
  directBytes!: Int32Array;
  /** Times, in whole milliseconds modulo 2^32. */
  #lastReceived!: Uint32Array;
  #lastSent!: Uint32Array;
  /** Counts modulo 2^32; and how often they have wrapped round, by slot, for the few that have. */
  #received!: Uint32Array;
  #sent!: Uint32Array;
  readonly #receivedWraps = new Map<number, number>();
  readonly #sentWraps = new Map<number, number>();
  #free!: Int32Array;
  #freeCount = 0;
  #next = 0;
  readonly #releasing: number[] = [];
  readonly #trimMin: number;
  /** With fewer slots in use, it is time to look whether memory can be given back. */
  #trimBelow = 0;

  /** `trimMin`: how many slots must have been in use before memory is given back; for tests. */
  constructor(capacity: number, trimMin = TRIM_MIN) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > SLOTS_MAX) {
      throw new RangeError(`Expected 1 to ${SLOTS_MAX} slots, got ${capacity}`);
    }
    this.capacity = capacity;
    this.#trimMin = trimMin;
    this.generations = new Uint32Array(capacity);
    this.#makeColumns();
  }

  /** Slots in use, those being released included. */
  get used(): number {
    return this.#next - this.#freeCount;
  }

  /** A free slot, or -1. The last one freed comes first: its memory is warm. */
  take(): number {
    if (this.#freeCount > 0) {
      this.#freeCount -= 1;
      return this.#free[this.#freeCount];
    }
    if (this.#next === this.capacity) {
      return -1;
    }
    this.#next += 1;
    if (this.#next >= this.#trimMin) {
      this.#trimBelow = Math.max(this.#next >> 6, this.#trimMin >> 1);
    }
    return this.#next - 1;
  }

  /** Ends this use of the slot; it is free after `settle`. */
  release(slot: number): void {
    this.flags[slot] = 0;
    this.generations[slot] = (this.generations[slot] + 1) % GENERATIONS;
    this.#releasing.push(slot);
  }

  /** The bytes of a fresh connection: none. Written only where there were some. */
  resetBytes(slot: number): void {
    if (this.#received[slot] !== 0) {
      this.#received[slot] = 0;
    }
    if (this.#sent[slot] !== 0) {
      this.#sent[slot] = 0;
    }
    if (this.#receivedWraps.size + this.#sentWraps.size > 0) {
      this.#receivedWraps.delete(slot);
      this.#sentWraps.delete(slot);
    }
  }

  addReceived(slot: number, byteLength: number): void {
    const sum = this.#received[slot] + byteLength;
    this.#received[slot] = sum;
    if (sum >= WORD) {
      wrap(this.#receivedWraps, slot);
    }
  }

  addSent(slot: number, byteLength: number): void {
    const sum = this.#sent[slot] + byteLength;
    this.#sent[slot] = sum;
    if (sum >= WORD) {
      wrap(this.#sentWraps, slot);
    }
  }

  bytesReceived(slot: number): number {
    return this.#received[slot] + WORD * (this.#receivedWraps.get(slot) ?? 0);
  }

  bytesSent(slot: number): number {
    return this.#sent[slot] + WORD * (this.#sentWraps.get(slot) ?? 0);
  }

  /** Notes a time, in milliseconds, rounded up: what counts from it never comes early. */
  noteReceived(slot: number, now: number): void {
    this.#lastReceived[slot] = Math.ceil(now);
  }

  noteSent(slot: number, now: number): void {
    this.#lastSent[slot] = Math.ceil(now);
  }

  /** The time that was noted last, which must not be longer ago than TIMEOUT_MAX_MS. */
  lastReceived(slot: number, now: number): number {
    return timeBefore(now, this.#lastReceived[slot]);
  }

  lastSent(slot: number, now: number): number {
    return timeBefore(now, this.#lastSent[slot]);
  }

  /** Called at the end of a turn: frees what was released in it. True: it is time for `trim`. */
  settle(): boolean {
    const releasing = this.#releasing;
    if (releasing.length === 0) {
      return false;
    }
    for (let i = 0; i < releasing.length; i += 1) {
      this.#free[this.#freeCount] = releasing[i];
      this.#freeCount += 1;
    }
    releasing.length = 0;
    return this.used < this.#trimBelow;
  }

  /**
   * Gives memory back if the slots in use are all low ones: from the slot that is returned on, all are free and as good
   * as never used. Returns -1 if a slot too high is in use, and is not to be called again until half of them are gone.
   */
  trim(): number {
    const isFree = new Uint8Array(this.#next);
    for (let i = 0; i < this.#freeCount; i += 1) {
      isFree[this.#free[i]] = 1;
    }
    const limit = isFree.lastIndexOf(0) + 1;
    if (limit * 4 > this.#next) {
      this.#trimBelow = this.used >> 1;
      return -1;
    }
    this.#trimBelow = 0;
    this.#next = limit;
    this.#freeCount = 0;
    this.#makeColumns();
    for (let slot = limit - 1; slot >= 0; slot -= 1) {
      if (isFree[slot] === 1) {
        this.#free[this.#freeCount] = slot;
        this.#freeCount += 1;
      }
    }
    return limit;
  }

  #makeColumns(): void {
    const columns = new Columns(this.capacity, SLOT_BYTES);
    const kept = this.#next;
    this.hardDeadlines = columns.cut(Float64Array, this.hardDeadlines, kept);
    this.flags = columns.cut(Uint32Array, this.flags, kept);
    this.idleTimeouts = columns.cut(Uint32Array, this.idleTimeouts, kept);
    this.readTimeouts = columns.cut(Uint32Array, this.readTimeouts, kept);
    this.writeTimeouts = columns.cut(Uint32Array, this.writeTimeouts, kept);
    this.directBytes = columns.cut(Int32Array, this.directBytes, kept);
    this.#lastReceived = columns.cut(Uint32Array, this.#lastReceived, kept);
    this.#lastSent = columns.cut(Uint32Array, this.#lastSent, kept);
    this.#received = columns.cut(Uint32Array, this.#received, kept);
    this.#sent = columns.cut(Uint32Array, this.#sent, kept);
    this.#free = columns.cut(Int32Array);
    this.corkDepths = columns.cut(Uint16Array, this.corkDepths, kept);
  }
}

function wrap(wraps: Map<number, number>, slot: number): void {
  wraps.set(slot, (wraps.get(slot) ?? 0) + 1);
}

/** The time near `now`, hardly ever after it, that is `low` modulo 2^32. */
function timeBefore(now: number, low: number): number {
  const floor = Math.floor(now);
  const elapsed = (floor - low) >>> 0;
  return elapsed < FUTURE ? floor - elapsed : floor - elapsed + WORD;
}

export function makeId(reactor: number, generation: number, slot: number): number {
  return reactor * REACTOR_SPAN + generation * SLOT_SPAN + slot;
}

export function reactorOfId(id: number): number {
  return Math.floor(id / REACTOR_SPAN);
}

export function slotOfId(id: number): number {
  return id % SLOT_SPAN;
}

export function generationOfId(id: number): number {
  return Math.floor(id / SLOT_SPAN) % GENERATIONS;
}

/** Throws TypeError for what cannot be an id. */
export function checkId(id: number): void {
  if (!Number.isSafeInteger(id) || id < 0) {
    throw new TypeError(`Expected a connection id, got ${String(id)}`);
  }
}
