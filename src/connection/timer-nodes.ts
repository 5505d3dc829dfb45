/**
 * The memory of a timing wheel: timers as 24-byte nodes in one array, on circular doubly linked lists, and which of the
 * lists are not empty. Used by timer-wheel.ts alone, which decides what list a timer belongs to.
 *
 * - Nodes and list heads share the array, which makes a head a node like any other. To unlink a timer nobody needs to
 *   know its list; and when both its neighbours are the same node, then that is the head of a list which is now empty.
 * - Lists are numbered level * 64 + slot. Two words of bits for each level, and one bit for each level that has any,
 *   lead to the first list that is not empty without looking at the others.
 * - An id is generation * 2^26 + node. The generation of a node changes when it is given back, so that a stale id finds
 *   nothing, until the same node was used 2^27 times. An id is exact in a number, above 0, and safe to hold for ever.
 */

export const LEVEL_BITS = 6;
/** Levels of the wheel proper. There is memory for one level more, whose lists are for the wheel's own use. */
export const LEVELS = 6;
export const SLOTS = 1 << LEVEL_BITS;
const HEADS = (LEVELS + 1) * SLOTS;
const WHEEL_LEVELS = (1 << LEVELS) - 1;

// A node: next, previous, payload and generation as 32-bit words, then its tick as a double.
const NODE_WORDS = 6;
const NODE_DOUBLES = NODE_WORDS / 2;
const PREVIOUS = 1;
const PAYLOAD = 2;
const GENERATION = 3;
const TICK = 2;

const NODE_BITS = 26;
const NODE_MASK = 2 ** NODE_BITS - 1;
const ID_SCALE = 2 ** NODE_BITS;
const ID_SCALE_INVERSE = 2 ** -NODE_BITS;
const GENERATION_MASK = 2 ** 27 - 1;

/** How many nodes an id can name. */
export const TIMERS_MAX = 2 ** NODE_BITS - HEADS;
const CAPACITY_FIRST = 1024;

/** The node that an id was made for: the user of a timer that is set may keep this in place of the id. */
export function nodeOf(id: number): number {
  return id & NODE_MASK;
}

export class TimerNodes {
  readonly #capacityMax: number;
  #capacity: number;
  /** One memory under two views. Both are replaced when it grows: never kept across a call of the user's. */
  #words: Int32Array;
  #ticks: Float64Array;
  readonly #bits = new Int32Array((LEVELS + 1) * 2);
  #levels = 0;
  /** Nodes handed out at least once, heads included; and the chain, by `next`, of those given back. 0 ends it. */
  #used = HEADS;
  #free = 0;
  #size = 0;
  /** What a node begins with when it is handed out for the first time, and the highest that any has had. */
  #generation = 0;
  #generationMax = 0;

  constructor(capacityMax: number) {
    if (!Number.isInteger(capacityMax) || capacityMax < 1 || capacityMax > TIMERS_MAX) {
      throw new RangeError(`capacityMax must be 1 to ${TIMERS_MAX}, not ${capacityMax}`);
    }
    this.#capacityMax = capacityMax;
    this.#capacity = Math.min(capacityMax, CAPACITY_FIRST);
    this.#words = new Int32Array((HEADS + this.#capacity) * NODE_WORDS);
    this.#ticks = new Float64Array(this.#words.buffer);
    for (let head = 0; head < HEADS; head++) {
      this.#words[head * NODE_WORDS] = head;
      this.#words[head * NODE_WORDS + PREVIOUS] = head;
    }
  }

  /** How many nodes are taken. */
  get size(): number {
    return this.#size;
  }

  /** How many fit the memory there is now. */
  get capacity(): number {
    return this.#capacity;
  }

  /** A node on no list, or 0 when `capacityMax` of them are taken. */
  take(tick: number, payload: number): number {
    let node = this.#free;
    if (node !== 0) {
      this.#free = this.#words[node * NODE_WORDS];
    } else {
      if (this.#used === HEADS + this.#capacity && !this.#grow()) {
        return 0;
      }
      node = this.#used++;
      this.#words[node * NODE_WORDS + GENERATION] = this.#generation;
    }
    this.#words[node * NODE_WORDS + PAYLOAD] = payload;
    this.#ticks[node * NODE_DOUBLES + TICK] = tick;
    this.#size++;
    return node;
  }

  /** The node must be on no list. Its id is stale from now on. */
  giveBack(node: number): void {
    const at = node * NODE_WORDS;
    const generation = (this.#words[at + GENERATION] + 1) & GENERATION_MASK;
    this.#words[at + GENERATION] = generation;
    this.#generationMax = Math.max(this.#generationMax, generation);
    this.#words[at] = this.#free;
    this.#free = node;
    this.#size--;
  }

  idOf(node: number): number {
    return this.#words[node * NODE_WORDS + GENERATION] * ID_SCALE + node;
  }

  /** The node that an id names, or 0 when it is stale or none. */
  find(id: number): number {
    const node = id & NODE_MASK;
    if (node < HEADS || node >= this.#used) {
      return 0;
    }
    const generation = (id - node) * ID_SCALE_INVERSE;
    return this.#words[node * NODE_WORDS + GENERATION] === generation ? node : 0;
  }

  payload(node: number): number {
    return this.#words[node * NODE_WORDS + PAYLOAD];
  }

  tick(node: number): number {
    return this.#ticks[node * NODE_DOUBLES + TICK];
  }

  setTick(node: number, tick: number): void {
    this.#ticks[node * NODE_DOUBLES + TICK] = tick;
  }

  /** The first node of a list; the list's own number when it is empty. */
  first(list: number): number {
    return this.#words[list * NODE_WORDS];
  }

  /** The next node of the same list; the list's own number at its end. */
  next(node: number): number {
    return this.#words[node * NODE_WORDS];
  }

  isEmpty(list: number): boolean {
    return this.#words[list * NODE_WORDS] === list;
  }

  /** Appends a node that is on no list. */
  link(node: number, list: number): void {
    const words = this.#words;
    const last = words[list * NODE_WORDS + PREVIOUS];
    words[last * NODE_WORDS] = node;
    words[node * NODE_WORDS] = list;
    words[node * NODE_WORDS + PREVIOUS] = last;
    words[list * NODE_WORDS + PREVIOUS] = node;
    this.#markUsed(list);
  }

  /** Takes a node off the list that it is on. */
  unlink(node: number): void {
    const words = this.#words;
    const next = words[node * NODE_WORDS];
    const previous = words[node * NODE_WORDS + PREVIOUS];
    words[previous * NODE_WORDS] = next;
    words[next * NODE_WORDS + PREVIOUS] = previous;
    if (next === previous) {
      this.#markEmpty(next);
    }
  }

  /** Moves all of a list, which must not be empty, to another one, which must be. */
  moveAll(from: number, to: number): void {
    const words = this.#words;
    const first = words[from * NODE_WORDS];
    const last = words[from * NODE_WORDS + PREVIOUS];
    words[from * NODE_WORDS] = from;
    words[from * NODE_WORDS + PREVIOUS] = from;
    words[to * NODE_WORDS] = first;
    words[to * NODE_WORDS + PREVIOUS] = last;
    words[first * NODE_WORDS + PREVIOUS] = to;
    words[last * NODE_WORDS] = to;
    this.#markEmpty(from);
    this.#markUsed(to);
  }

  /** The first list of the wheel proper that is not empty, by level and then by slot, or -1. */
  firstUsed(): number {
    const levels = this.#levels & WHEEL_LEVELS;
    if (levels === 0) {
      return -1;
    }
    const level = 31 - Math.clz32(levels & -levels);
    const first = this.#bits[level << 1];
    const bits = first === 0 ? this.#bits[(level << 1) | 1] : first;
    const bit = 31 - Math.clz32(bits & -bits);
    return (level << LEVEL_BITS) | (first === 0 ? 32 : 0) | bit;
  }

  #markUsed(list: number): void {
    this.#bits[list >> 5] |= 1 << (list & 31);
    this.#levels |= 1 << (list >> LEVEL_BITS);
  }

  #markEmpty(list: number): void {
    const word = list >> 5;
    this.#bits[word] &= ~(1 << (list & 31));
    if ((this.#bits[word & ~1] | this.#bits[word | 1]) === 0) {
      this.#levels &= ~(1 << (list >> LEVEL_BITS));
    }
  }

  /** Gives memory back if few timers are left, and none of them high up in it. Ids stay what they are. */
  trim(): void {
    const isFree = new Uint8Array(this.#used);
    for (let node = this.#free; node !== 0; node = this.#words[node * NODE_WORDS]) {
      isFree[node] = 1;
    }
    const used = isFree.lastIndexOf(0) + 1;
    let capacity = this.#capacity;
    while (capacity > CAPACITY_FIRST && used - HEADS <= capacity >> 2) {
      capacity >>= 1;
    }
    if (capacity === this.#capacity) {
      return;
    }
    this.#used = used;
    this.#resize(capacity);
    // Nodes above may have been used before: their next generation is one that none has had.
    this.#generation = (this.#generationMax + 1) & GENERATION_MASK;
    this.#free = 0;
    for (let node = used - 1; node >= HEADS; node--) {
      if (isFree[node] === 1) {
        this.#words[node * NODE_WORDS] = this.#free;
        this.#free = node;
      }
    }
  }

  #grow(): boolean {
    const capacity = Math.min(this.#capacity * 2, this.#capacityMax);
    if (capacity === this.#capacity) {
      return false;
    }
    this.#resize(capacity);
    return true;
  }

  #resize(capacity: number): void {
    const words = new Int32Array((HEADS + capacity) * NODE_WORDS);
    words.set(this.#words.subarray(0, Math.min(this.#used * NODE_WORDS, words.length)));
    this.#words = words;
    this.#ticks = new Float64Array(words.buffer);
    this.#capacity = capacity;
  }
}
