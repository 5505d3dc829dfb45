/**
 * The server's warnings, one line each on standard error. The same warning again and again (a hook that throws for
 * every message) is told the first, the tenth, the hundredth time and so on.
 */

import { describeFailure, describeWarning } from './failure.js';

/** Different texts that are counted; when there are more, counting starts anew. */
const TEXTS_MAX = 256;

export class Warnings {
  readonly #tell: (line: string) => void;
  readonly #debug: boolean;
  readonly #counts = new Map<string, number>();

  constructor(tell: (line: string) => void, debug: boolean) {
    this.#tell = tell;
    this.#debug = debug;
  }

  add(error: Error): void {
    const text = this.#debug ? describeFailure(error, true) : describeWarning(error);
    const n = (this.#counts.get(text) ?? 0) + 1;
    if (n === 1 && this.#counts.size >= TEXTS_MAX) {
      this.#counts.clear();
    }
    this.#counts.set(text, n);
    if (/^10*$/.test(String(n))) {
      this.#tell(`millrace: warning: ${text}${n === 1 ? '' : ` (${n} times)`}`);
    }
  }
}
