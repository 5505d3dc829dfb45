/**
 * Timers of a wheel that are named by ids: 24 bytes each, in columns that grow. Used by timer-wheel.ts alone, which
 * decides what list a timer belongs to.
 *
 * An id is generation * 2^26 + node. The generation of a node changes when it is given back, so that a stale id finds
 * nothing, until the same node was used 2^27 times. An id is exact in a number, above 0, and safe to hold for ever.
 */

import { Columns } from '../base/columns.js';
import { HEADS, TimerLists } from './timer-lists.js';

const NODE_BYTES = 24;
const NODE_BITS = 26;
const NODE_MASK = 2 ** NODE_BITS - 1;
const ID_SCALE = 2 ** NODE_BITS;
const ID_SCALE_INVERSE = 2 ** -NODE_BITS;
const GENERATION_MASK = 2 ** 27 - 1;

/** How many nodes an id can name. */
export const TIMERS_MAX = 2 ** NODE_BITS - HEADS;
const CAPACITY_FIRST = 1024;

export class TimerNodes extends TimerLists {
  /** How far ahead of the wheel a tick may lie. */
  readonly aheadMax = Number.POSITIVE_INFINITY;
  readonly #capacityMax: number;
  #capacity: number;
  /** By node; replaced when the memory grows: never kept across a call of the user's. */
  #ticks!: Float64Array;
  #payloads!: Int32Array;
  #generations!: Int32Array;
  /** Nodes handed out at least once, heads included; and the chain, by `next`, of those given back. 0 ends it. */
  #used = HEADS;
  #free = 0;
  #size = 0;
  /** What a node begins with when it is handed out for the first time, and the highest that any has had. */
  #generation = 0;
  #generationMax = 0;

  constructor(capacityMax: number) {
    super();
    if (!Number.isInteger(capacityMax) || capacityMax < 1 || capacityMax > TIMERS_MAX) {
      throw new RangeError(`capacityMax must be 1 to ${TIMERS_MAX}, not ${capacityMax}`);
    }
    this.#capacityMax = capacityMax;
    this.#capacity = Math.min(capacityMax, CAPACITY_FIRST);
    this.#resize(this.#capacity, 0);
    this.clearLists();
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
      this.#free = this.nexts[node];
    } else {
      if (this.#used === HEADS + this.#capacity && !this.#grow()) {
        return 0;
      }
      node = this.#used++;
      this.#generations[node] = this.#generation;
    }
    this.#payloads[node] = payload;
    this.#ticks[node] = tick;
    this.#size++;
    return node;
  }

  /** The node must be on no list. Its id is stale from now on. */
  giveBack(node: number): void {
    const generation = (this.#generations[node] + 1) & GENERATION_MASK;
    this.#generations[node] = generation;
    this.#generationMax = Math.max(this.#generationMax, generation);
    this.nexts[node] = this.#free;
    this.#free = node;
    this.#size--;
  }

  idOf(node: number): number {
    return this.#generations[node] * ID_SCALE + node;
  }

  /** The node that an id names, or 0 when it is stale or none. */
  find(id: number): number {
    const node = id & NODE_MASK;
    if (node < HEADS || node >= this.#used) {
      return 0;
    }
    const generation = (id - node) * ID_SCALE_INVERSE;
    return this.#generations[node] === generation ? node : 0;
  }

  payload(node: number): number {
    return this.#payloads[node];
  }

  tick(node: number): number {
    return this.#ticks[node];
  }

  setTick(node: number, tick: number): void {
    this.#ticks[node] = tick;
  }

  /** Gives memory back if few timers are left, and none of them high up in it. Ids stay what they are. */
  trim(_limit?: number): void {
    const isFree = new Uint8Array(this.#used);
    for (let node = this.#free; node !== 0; node = this.nexts[node]) {
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
    this.#resize(capacity, used);
    // Nodes above may have been used before: their next generation is one that none has had.
    this.#generation = (this.#generationMax + 1) & GENERATION_MASK;
    this.#free = 0;
    for (let node = used - 1; node >= HEADS; node--) {
      if (isFree[node] === 1) {
        this.nexts[node] = this.#free;
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

  /** `kept`: how many of the nodes, from the first on. */
  #resize(capacity: number, kept = Math.min(this.#used, HEADS + capacity)): void {
    const columns = new Columns(HEADS + capacity, NODE_BYTES);
    this.#ticks = columns.cut(Float64Array, this.#ticks, kept);
    this.nexts = columns.cut(Int32Array, this.nexts, kept);
    this.previous = columns.cut(Int32Array, this.previous, kept);
    this.#payloads = columns.cut(Int32Array, this.#payloads, kept);
    this.#generations = columns.cut(Int32Array, this.#generations, kept);
    this.#capacity = capacity;
  }
}
