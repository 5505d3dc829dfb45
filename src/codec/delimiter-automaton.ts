/**
 * Finds the first of several delimiters in one pass, whatever they look like: the automaton of Aho and Corasick (1975).
 * Its state is a number, so a search that was begun can go on with later bytes.
 */

import type { Terminator } from './framing.js';

export class DelimiterAutomaton implements Terminator {
  /** The state where `pass` and `search` have ended. */
  state = 0;
  /** After `search`: the length of the longest delimiter that ends there. */
  matched = 0;
  readonly #longest: number;
  /** The next state, by 256 * state + byte. */
  readonly #steps: Uint16Array;
  /** By state: the length of the longest delimiter that ends in it, or 0. */
  readonly #ends: Uint16Array;

  constructor(delimiters: readonly Uint8Array[]) {
    this.#longest = Math.max(...delimiters.map(({ length: byteLength }) => byteLength));
    const statesMax = 1 + delimiters.reduce((sum, { length: byteLength }) => sum + byteLength, 0);
    this.#steps = new Uint16Array(256 * statesMax);
    this.#ends = new Uint16Array(statesMax);
    const count = this.#plant(delimiters);
    this.#link(count);
  }

  /** The tree of all delimiters. State 0 is its root, and nobody's child. */
  #plant(delimiters: readonly Uint8Array[]): number {
    let count = 1;
    for (const delimiter of delimiters) {
      let state = 0;
      for (const byte of delimiter) {
        const step = 256 * state + byte;
        if (this.#steps[step] === 0) {
          this.#steps[step] = count;
          count += 1;
        }
        state = this.#steps[step];
      }
      this.#ends[state] = delimiter.length;
    }
    return count;
  }

  /** Where the tree has no child, the search goes on in the longest suffix that the tree has. Breadth first. */
  #link(count: number): void {
    const suffixes = new Uint16Array(count);
    const queue = [...new Set(this.#steps.subarray(0, 256))].filter((child) => child !== 0);
    for (const state of queue) {
      const suffix = suffixes[state];
      if (this.#ends[state] === 0) {
        this.#ends[state] = this.#ends[suffix];
      }
      for (let byte = 0; byte < 256; byte += 1) {
        const child = this.#steps[256 * state + byte];
        const elsewhere = this.#steps[256 * suffix + byte];
        if (child === 0) {
          this.#steps[256 * state + byte] = elsewhere;
        } else {
          suffixes[child] = elsewhere;
          queue.push(child);
        }
      }
    }
  }

  /** The position after the first delimiter that ends in `bytes[from..to)`, or -1; `matched` is its length. */
  search(bytes: Uint8Array, from: number, to: number): number {
    const at = this.pass(bytes, from, to, 0);
    this.matched = this.#ends[this.state];
    return at;
  }

  stateAfter(bytes: Uint8Array, from: number, to: number): number {
    this.pass(bytes, Math.max(from, to - this.#longest + 1), to, 0);
    return this.state;
  }

  pass(bytes: Uint8Array, from: number, to: number, start: number): number {
    let state = start;
    for (let at = from; at < to; at += 1) {
      state = this.#steps[256 * state + bytes[at]];
      if (this.#ends[state] !== 0) {
        this.state = state;
        return at + 1;
      }
    }
    this.state = state;
    return -1;
  }
}
