/**
 * Views of the first n bytes of a receive buffer, made once for each small n and then reused: received bytes are
 * borrowed anyway, and a view for each message would be garbage for each message.
 */

const CACHED_MAX = 4096;

export class ViewCache {
  readonly #all: Buffer;
  readonly #views: (Buffer | undefined)[] = new Array<Buffer | undefined>(CACHED_MAX + 1);

  constructor(all: Buffer) {
    this.#all = all;
  }

  first(n: number): Buffer {
    if (n > CACHED_MAX) {
      return n === this.#all.length ? this.#all : this.#all.subarray(0, n);
    }
    let view = this.#views[n];
    if (view === undefined) {
      view = this.#all.subarray(0, n);
      this.#views[n] = view;
    }
    return view;
  }
}
