/**
 * The state of a reactor's connections: typed arrays indexed by slot, made once for the most slots there can be.
 * Pages of a column that nobody writes cost no memory, so columns that only some connections need (timeouts) are
 * written only for these.
 *
 * A slot is taken by `take` and given back by `release` at the end of the turn in which the connection closed, never
 * earlier: completions of the same batch may still name it. Each use of a slot has a generation, which is part of the
 * connection's id.
 */

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
/** Anything that keeps us from receiving. */
export const NO_RECEIVE = PAUSED | HELD | READ_FULL | RECEIVE_ENDED | DESTROYED;
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

export class ConnectionTable {
  readonly capacity: number;
  readonly flags: Uint32Array;
  readonly generations: Uint32Array;
  readonly bytesReceived: Float64Array;
  readonly bytesSent: Float64Array;
  /** Timer of the connection's nearest deadline, -1 for none; with TIMED or a queue only. */
  readonly timers: Float64Array;
  readonly lastReceived: Float64Array;
  readonly lastSent: Float64Array;
  readonly idleTimeouts: Uint32Array;
  readonly readTimeouts: Uint32Array;
  readonly writeTimeouts: Uint32Array;
  /** Linger or half-open: an absolute time, 0 for none. */
  readonly hardDeadlines: Float64Array;
  readonly corkDepths: Uint16Array;
  /** Bytes that an asynchronous driver has taken from a write, past the queue, and not yet reported as sent. */
  readonly directBytes: Int32Array;
  readonly #free: Int32Array;
  #freeCount = 0;
  #next = 0;
  readonly #releasing: number[] = [];

  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > SLOTS_MAX) {
      throw new RangeError(`Expected 1 to ${SLOTS_MAX} slots, got ${capacity}`);
    }
    this.capacity = capacity;
    this.flags = new Uint32Array(capacity);
    this.generations = new Uint32Array(capacity);
    this.bytesReceived = new Float64Array(capacity);
    this.bytesSent = new Float64Array(capacity);
    this.timers = new Float64Array(capacity);
    this.lastReceived = new Float64Array(capacity);
    this.lastSent = new Float64Array(capacity);
    this.idleTimeouts = new Uint32Array(capacity);
    this.readTimeouts = new Uint32Array(capacity);
    this.writeTimeouts = new Uint32Array(capacity);
    this.hardDeadlines = new Float64Array(capacity);
    this.corkDepths = new Uint16Array(capacity);
    this.directBytes = new Int32Array(capacity);
    this.#free = new Int32Array(capacity);
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
    return this.#next - 1;
  }

  /** Ends this use of the slot; it is free after `settle`. */
  release(slot: number): void {
    this.flags[slot] = 0;
    this.generations[slot] = (this.generations[slot] + 1) % GENERATIONS;
    this.#releasing.push(slot);
  }

  /** Called at the end of a turn: frees what was released in it. */
  settle(): void {
    const releasing = this.#releasing;
    if (releasing.length === 0) {
      return;
    }
    for (let i = 0; i < releasing.length; i += 1) {
      this.#free[this.#freeCount] = releasing[i];
      this.#freeCount += 1;
    }
    releasing.length = 0;
  }
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
