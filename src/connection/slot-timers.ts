/**
 * Timers of a wheel that are named by slots: one for each slot, 12 bytes, with no id, payload or generation. Whoever
 * uses them clears a slot's timer when the slot's use ends. For the deadlines of a million connections.
 *
 * A tick is kept modulo 2^32 - 1, plus one: zero is a slot without a timer. Since no timer lies behind the wheel, where
 * the wheel is tells which tick is meant, of those less than 49.7 days ahead.
 */

import { Columns } from '../base/columns.js';
import { HEADS, TimerLists } from './timer-lists.js';

const WRAP = 2 ** 32 - 1;
const NODE_BYTES = 12;

export class SlotTimers extends TimerLists {
  /** How far ahead of the wheel a tick may lie. */
  readonly aheadMax = WRAP - 1;
  readonly capacity: number;
  #ticks!: Uint32Array;
  #size = 0;

  /** `slots`: one more than the largest. */
  constructor(slots: number) {
    super();
    this.capacity = slots;
    this.#makeColumns(0);
    this.clearLists();
  }

  /** How many timers are set. */
  get size(): number {
    return this.#size;
  }

  /** The slot's node, which must not be set. */
  take(tick: number, slot: number): number {
    const node = HEADS + slot;
    this.setTick(node, tick);
    this.#size++;
    return node;
  }

  giveBack(node: number): void {
    this.#ticks[node] = 0;
    this.#size--;
  }

  idOf(node: number): number {
    return node - HEADS;
  }

  /** The node of a slot's timer, or 0 when it is not set. */
  find(slot: number): number {
    const node = HEADS + slot;
    return this.#ticks[node] > 0 ? node : 0;
  }

  payload(node: number): number {
    return node - HEADS;
  }

  /** The tick, seen from where the wheel is. */
  tick(node: number, from: number): number {
    const ahead = this.#ticks[node] - 1 - (from % WRAP);
    return from + (ahead < 0 ? ahead + WRAP : ahead);
  }

  setTick(node: number, tick: number): void {
    this.#ticks[node] = (tick % WRAP) + 1;
  }

  /** Gives memory back: no timer is set from slot `limit` on. */
  trim(limit: number): void {
    this.#makeColumns(HEADS + limit);
  }

  #makeColumns(kept: number): void {
    const columns = new Columns(HEADS + this.capacity, NODE_BYTES);
    this.nexts = columns.cut(Int32Array, this.nexts, kept);
    this.previous = columns.cut(Int32Array, this.previous, kept);
    this.#ticks = columns.cut(Uint32Array, this.#ticks, kept);
  }
}
