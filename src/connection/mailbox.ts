/**
 * A bounded queue between threads, many producers and one consumer, in a SharedArrayBuffer. Each reactor reads its own;
 * whoever wants something of a reactor (another one, the acceptor, the supervisor, a `Remote`) writes into it: a
 * descriptor to take over, the address of a block to send, a connection to close. After a reactor's thread has died,
 * the supervisor closes its mailbox and drains what is left, to free what the messages own.
 *
 * Any thread may die at any step: `worker.terminate()` and heap limits end a thread at the next call or back-edge of a
 * loop, and calls of builtins such as `Atomics.store` count (measured on Node 20: V8 stops at them in the interpreter
 * and in optimized code). That rules out the well-known bounded queue of Vyukov, in which a producer claims a cell and
 * then publishes it: one that dies in between, at the `Atomics.store` that publishes, blocks the ring for good. Here a
 * message is written where nobody looks, and one compare-and-exchange puts it in its place:
 *
 *   1. take a node from the ring of free nodes                   dies after: the node is lost, the rest goes on
 *   2. write the message into the node                           the same
 *   3. exchange the ring's next empty cell for the node          now it is pushed
 *   4. move the tail on                                          dies before: the next producer does it
 *
 * The ring of free nodes is filled by the consumer alone. An empty cell holds the position that it is empty for, so
 * that step 3 fails for a producer that was late by a round. Positions wrap around at 2^31; who sleeps for just so many
 * messages between two steps is not defended against. There are twice as many cells as nodes, and messages are taken
 * out in order: so what is found at the tail can be a message of this round but never one of the round before.
 *
 * Rules:
 * - A message is seen once at most, in the order of its producer. One whose handler was interrupted is not seen again;
 *   the other messages are still there for whoever drains next.
 * - `close` puts a mark into the cell that the next message needs: afterwards nothing is pushed, from any thread, and
 *   a drain that ends below its budget has left nothing behind.
 * - Waking is coalesced. Each producer pushes, then asks `needsSignal`, and signals if told so. The consumer calls
 *   `beginDrain`, which takes the flag down, and then drains. All of these are sequentially consistent: a producer that
 *   finds the flag up did so before it was taken down, hence pushed before that, hence the drain sees its message. Only
 *   a drain that stops at its budget has to be repeated without a signal.
 * - A producer that dies between pushing and signalling leaves a message that nobody is woken for, and maybe the flag
 *   up. Whoever sees a thread die must therefore signal every mailbox that the thread could write to.
 */

/** Arguments of messages are 32-bit integers; see `lowWord` for larger ones. */
export type HandleMessage = (
  kind: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
) => void;

// Words of the header; what different threads write lies on cache lines (16 words) of its own.
const CAPACITY = 0;
/** The position of the next message, or one behind it (step 4). */
const TAIL = 16;
/** How many free nodes were ever taken, and given, modulo 2^32. */
const FREE_TAKEN = 32;
const FREE_GIVEN = 48;
const HEAD = 49;
const HIGH_WATER = 50;
/** A double: how many messages were taken out, ever. In words. */
const DRAINED = 52;
/** The word of the wake flag: 0 is down. Exported for threads that wait on it with `Atomics.wait`. */
export const WAKE_WORD = 64;
const REFUSED = 80;
/** The cells of the ring, two for each node; behind them the ring of free nodes, and then the nodes. */
const CELLS = 96;

/** A node: kind and six arguments. Half a cache line. */
const NODE_WORDS = 8;

const CAPACITY_DEFAULT = 4096;
const CAPACITY_MAX = 2 ** 20;
const POSITION_MASK = 0x7fff_ffff;
/** A cell: the position that it is empty for; or, below 0, the node of a message with this bit, or the mark. */
const FULL = -(2 ** 31);
const CLOSED = -1;
const WORD_RANGE = 2 ** 32;

export class Mailbox {
  /** The memory, to be passed to other threads. */
  readonly buffer: SharedArrayBuffer;
  /** How many messages fit, but for nodes that are lost. */
  readonly capacity: number;
  readonly #words: Int32Array;
  readonly #drained: Float64Array;
  readonly #cellMask: number;
  readonly #freeMask: number;
  readonly #free: number;
  readonly #nodes: number;

  /** An empty mailbox. `capacity` is a power of two, 2 to 2^20; a message takes 44 bytes. */
  static create(capacity: number = CAPACITY_DEFAULT): Mailbox {
    if (!isCapacity(capacity)) {
      throw new RangeError(`The capacity must be a power of two, 2 to 2^20, not ${capacity}`);
    }
    const words = new Int32Array(new SharedArrayBuffer(bytesFor(capacity)));
    words[CAPACITY] = capacity;
    words[FREE_GIVEN] = capacity;
    for (let i = 0; i < capacity; i++) {
      words[CELLS + i] = i;
      words[CELLS + capacity + i] = capacity + i;
      words[CELLS + capacity * 2 + i] = i;
    }
    return new Mailbox(words.buffer);
  }

  /** The mailbox of another thread. Throws TypeError for memory that is none. */
  static from(buffer: SharedArrayBuffer): Mailbox {
    return new Mailbox(buffer);
  }

  private constructor(buffer: SharedArrayBuffer) {
    if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < CELLS * 4) {
      throw new TypeError('A mailbox is a SharedArrayBuffer made by Mailbox.create');
    }
    const words = new Int32Array(buffer);
    const capacity = words[CAPACITY];
    if (!isCapacity(capacity) || buffer.byteLength !== bytesFor(capacity)) {
      throw new TypeError('This SharedArrayBuffer is not a mailbox');
    }
    this.buffer = buffer;
    this.capacity = capacity;
    this.#words = words;
    this.#drained = new Float64Array(buffer, DRAINED * 4, 1);
    this.#cellMask = capacity * 2 - 1;
    this.#freeMask = capacity - 1;
    this.#free = CELLS + capacity * 2;
    this.#nodes = CELLS + capacity * 3;
  }

  // Producers: any thread.

  /**
   * Appends a message. False when the mailbox is full, which is counted, or closed. Then ask `needsSignal`. With a
   * `reserve`, that much room is left for those who push without one.
   */
  push(
    kind: number,
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
    reserve = 0,
  ): boolean {
    const words = this.#words;
    let position = this.#nextPosition();
    if (Atomics.load(words, CELLS + (position & this.#cellMask)) === CLOSED) {
      return false;
    }
    const node = this.#takeNode(reserve);
    if (node < 0) {
      Atomics.add(words, REFUSED, 1);
      return false;
    }
    const at = this.#nodes + node * NODE_WORDS;
    words[at] = kind;
    words[at + 1] = a;
    words[at + 2] = b;
    words[at + 3] = c;
    words[at + 4] = d;
    words[at + 5] = e;
    words[at + 6] = f;
    for (;;) {
      const cell = CELLS + (position & this.#cellMask);
      const found = Atomics.compareExchange(words, cell, position, FULL | node);
      if (found === position) {
        Atomics.compareExchange(words, TAIL, position, (position + 1) & POSITION_MASK);
        return true;
      }
      if (found === CLOSED) {
        // Closed meanwhile. Only the consumer may give a node back, so this one is lost.
        return false;
      }
      position = this.#nextPosition();
    }
  }

  /** Whether the caller, who has just pushed, must wake the consumer: true for one producer until `beginDrain`. */
  needsSignal(): boolean {
    // The load spares the others the exclusive hold of the cache line.
    return (
      Atomics.load(this.#words, WAKE_WORD) === 0 &&
      Atomics.compareExchange(this.#words, WAKE_WORD, 0, 1) === 0
    );
  }

  /** Nothing is pushed from now on, from any thread. What was pushed before can still be drained. */
  close(): void {
    for (;;) {
      const position = this.#nextPosition();
      const cell = CELLS + (position & this.#cellMask);
      const found = Atomics.compareExchange(this.#words, cell, position, CLOSED);
      if (found === position || found === CLOSED) {
        return;
      }
    }
  }

  /** Accepts messages again: for the thread that replaces a dead one, after what was left has been drained. */
  reopen(): void {
    const position = this.#nextPosition();
    Atomics.compareExchange(this.#words, CELLS + (position & this.#cellMask), CLOSED, position);
  }

  // The consumer: one thread at a time.

  /** Takes the wake flag down. Must come before `drain`, not after it; see above. */
  beginDrain(): void {
    Atomics.store(this.#words, WAKE_WORD, 0);
  }

  /**
   * Takes out up to `budget` messages, in order, and returns how many. As many as the budget: there may be more, and no
   * signal will come for them. Each is out of the mailbox when its handler is called; the handler may push and drain.
   */
  drain(budget: number, handle: HandleMessage): number {
    const words = this.#words;
    const depth = this.depth;
    if (depth > words[HIGH_WATER]) {
      words[HIGH_WATER] = depth;
    }
    let n = 0;
    while (n < budget) {
      const head = words[HEAD];
      const cell = CELLS + (head & this.#cellMask);
      const word = Atomics.load(words, cell);
      if (word >= 0 || word === CLOSED) {
        break;
      }
      const node = word & ~FULL;
      const at = this.#nodes + node * NODE_WORDS;
      const kind = words[at];
      const a = words[at + 1];
      const b = words[at + 2];
      const c = words[at + 3];
      const d = words[at + 4];
      const e = words[at + 5];
      const f = words[at + 6];
      // No call between these three, so that all or none is done. Plain stores are enough: a producer comes here again
      // only with a node that was given back after them.
      words[HEAD] = (head + 1) & POSITION_MASK;
      words[cell] = (head + this.capacity * 2) & POSITION_MASK;
      this.#drained[0] += 1;
      const given = words[FREE_GIVEN];
      words[this.#free + (given & this.#freeMask)] = node;
      Atomics.store(words, FREE_GIVEN, (given + 1) | 0);
      n++;
      handle(kind, a, b, c, d, e, f);
    }
    return n;
  }

  // Counters: any thread.

  /** Messages pushed and not yet taken out. */
  get depth(): number {
    const head = Atomics.load(this.#words, HEAD);
    const tail = Atomics.load(this.#words, TAIL);
    return Math.min(Math.max(distance(head, tail), 0), this.capacity);
  }

  /** Messages pushed since the start. */
  get pushed(): number {
    // The tail is this number modulo 2^31, or one less.
    const drained = this.#drained[0];
    const tail = Atomics.load(this.#words, TAIL);
    return drained + Math.max(distance(drained % (POSITION_MASK + 1), tail), 0);
  }

  /** Messages refused because the mailbox was full, modulo 2^32. */
  get refused(): number {
    return Atomics.load(this.#words, REFUSED) >>> 0;
  }

  /** The greatest depth that a drain has found. */
  get highWater(): number {
    return Atomics.load(this.#words, HIGH_WATER);
  }

  /** Nodes neither free nor in a message: lost with threads that died, or just being written. */
  get lost(): number {
    const taken = Atomics.load(this.#words, FREE_TAKEN);
    const given = Atomics.load(this.#words, FREE_GIVEN);
    return Math.max(this.capacity - ((given - taken) | 0) - this.depth, 0);
  }

  get isClosed(): boolean {
    const cell = CELLS + (this.#nextPosition() & this.#cellMask);
    return Atomics.load(this.#words, cell) === CLOSED;
  }

  /** Where the next message goes, after moving on a tail that its producer did not. */
  #nextPosition(): number {
    const words = this.#words;
    for (;;) {
      const position = Atomics.load(words, TAIL);
      const word = Atomics.load(words, CELLS + (position & this.#cellMask));
      if (word === position || word === CLOSED) {
        return position;
      }
      // A message of this position is there, or was. If the tail has moved meanwhile, this does nothing.
      Atomics.compareExchange(words, TAIL, position, (position + 1) & POSITION_MASK);
    }
  }

  /** A node for the caller alone, or -1 when there are no more than `reserve`. */
  #takeNode(reserve: number): number {
    const words = this.#words;
    for (;;) {
      const taken = Atomics.load(words, FREE_TAKEN);
      if (((Atomics.load(words, FREE_GIVEN) - taken) | 0) <= reserve) {
        return -1;
      }
      // The consumer overwrites this word only after the node was taken, and then the exchange fails.
      const node = words[this.#free + (taken & this.#freeMask)];
      if (Atomics.compareExchange(words, FREE_TAKEN, taken, (taken + 1) | 0) === taken) {
        return node;
      }
    }
  }
}

/** How far ahead of the first position the second is; below 0 when it is behind. */
function distance(from: number, to: number): number {
  return ((to - from) << 1) >> 1;
}

/** The lower 32 bits of an integer below 2^53, such as an address or the id of a connection: one argument. */
export function lowWord(value: number): number {
  return value | 0;
}

/** The bits above those. */
export function highWord(value: number): number {
  return Math.floor(value / WORD_RANGE);
}

/** The integer that was split into these two. */
export function joinWords(low: number, high: number): number {
  return high * WORD_RANGE + (low >>> 0);
}

function isCapacity(capacity: number): boolean {
  return (
    Number.isInteger(capacity) &&
    capacity >= 2 &&
    capacity <= CAPACITY_MAX &&
    (capacity & (capacity - 1)) === 0
  );
}

function bytesFor(capacity: number): number {
  return (CELLS + capacity * (3 + NODE_WORDS)) * 4;
}
