/**
 * The lists of a timing wheel: circular, doubly linked, over the timers' indexes, and which of them are not empty. What
 * a timer is beside its links is for the two kinds below: timer-nodes.ts and slot-timers.ts.
 *
 * - Timers and list heads share the columns, which makes a head a node like any other. To unlink a timer nobody needs
 *   to know its list; and when both its neighbours are the same node, that is the head of a list which is now empty.
 * - Lists are numbered level * 64 + slot. Two words of bits for each level, and one bit for each level that has any,
 *   lead to the first list that is not empty without looking at the others.
 */

export const LEVEL_BITS = 6;
/** Levels of the wheel proper. There is memory for one level more, whose lists are for the wheel's own use. */
export const LEVELS = 6;
export const SLOTS = 1 << LEVEL_BITS;
/** The first nodes are the heads. */
export const HEADS = (LEVELS + 1) * SLOTS;
const WHEEL_LEVELS = (1 << LEVELS) - 1;

export abstract class TimerLists {
  /** By node; replaced when the memory grows or shrinks. */
  protected nexts!: Int32Array;
  protected previous!: Int32Array;
  readonly #bits = new Int32Array((LEVELS + 1) * 2);
  #levels = 0;

  /** Makes all lists empty, in columns of zeros. */
  protected clearLists(): void {
    for (let head = 0; head < HEADS; head++) {
      this.nexts[head] = head;
      this.previous[head] = head;
    }
  }

  /** The first node of a list; the list's own number when it is empty. */
  first(list: number): number {
    return this.nexts[list];
  }

  /** The next node of the same list; the list's own number at its end. */
  next(node: number): number {
    return this.nexts[node];
  }

  isEmpty(list: number): boolean {
    return this.nexts[list] === list;
  }

  /** Appends a node that is on no list. */
  link(node: number, list: number): void {
    const last = this.previous[list];
    this.nexts[last] = node;
    this.nexts[node] = list;
    this.previous[node] = last;
    this.previous[list] = node;
    this.#markUsed(list);
  }

  /** Takes a node off the list that it is on. */
  unlink(node: number): void {
    const next = this.nexts[node];
    const previous = this.previous[node];
    this.nexts[previous] = next;
    this.previous[next] = previous;
    if (next === previous) {
      this.#markEmpty(next);
    }
  }

  /** Moves all of a list, which must not be empty, to another one, which must be. */
  moveAll(from: number, to: number): void {
    const first = this.nexts[from];
    const last = this.previous[from];
    this.nexts[from] = from;
    this.previous[from] = from;
    this.nexts[to] = first;
    this.previous[to] = last;
    this.previous[first] = to;
    this.nexts[last] = to;
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
}
