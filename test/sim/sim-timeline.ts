/**
 * The clock of a world, and what is going to happen at which time of it: a binary heap of deliveries. Deliveries of the
 * same time happen in random order; whatever must stay in order has one delivery underway at most.
 */

import type { Random } from './random.js';

/** Something that a delivery reaches. `kind` says what arrived, by the target's own numbering. */
export interface Target {
  deliver(kind: number): void;
}

interface Delivery {
  readonly dueMs: number;
  readonly order: number;
  readonly target: Target;
  readonly kind: number;
}

export class Timeline {
  /** Virtual monotonic milliseconds. */
  now: number;
  readonly #random: Random;
  readonly #heap: Delivery[] = [];

  constructor(startMs: number, random: Random) {
    this.now = startMs;
    this.#random = random;
  }

  get pending(): number {
    return this.#heap.length;
  }

  /** When the next delivery is due; infinity if there is none. */
  get nextDueMs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0]!.dueMs;
  }

  schedule(delayMs: number, target: Target, kind: number): void {
    const order = this.#random.uint32();
    const delivery = { dueMs: this.now + delayMs, order, target, kind };
    const heap = this.#heap;
    let at = heap.length;
    heap.push(delivery);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(delivery, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = delivery;
  }

  /** Makes the first delivery, which must be due. */
  deliverNext(): void {
    const first = this.take();
    first.target.deliver(first.kind);
  }

  private take(): Delivery {
    const heap = this.#heap;
    const first = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Delivery, b: Delivery): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
