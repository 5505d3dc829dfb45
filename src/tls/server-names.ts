/**
 * Which entry of a table a server name means: the exact one first, then a wildcard for exactly its first label
 * (`*.example.org` is for `a.example.org`, and neither for `example.org` nor for `a.b.example.org`: RFC 6125 section
 * 6.4.3).
 */

const EXACT = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

export class ServerNames<Entry> {
  readonly #exact = new Map<string, Entry>();
  readonly #wildcards = new Map<string, Entry>();

  /** @throws TypeError for what is neither a host name nor a wildcard; international names are A-labels. */
  add(pattern: string, entry: Entry): void {
    const name = pattern.toLowerCase();
    const isWildcard = name.startsWith('*.');
    const rest = isWildcard ? name.slice(2) : name;
    if (!EXACT.test(rest)) {
      throw new TypeError(
        `Cannot use ${JSON.stringify(pattern)} as a server name: expected a name such as example.org or *.example.org`,
      );
    }
    (isWildcard ? this.#wildcards : this.#exact).set(rest, entry);
  }

  /** `name` is in lower case. */
  find(name: string): Entry | undefined {
    const exact = this.#exact.get(name);
    if (exact !== undefined || this.#wildcards.size === 0) {
      return exact;
    }
    const dot = name.indexOf('.');
    return dot <= 0 ? undefined : this.#wildcards.get(name.slice(dot + 1));
  }

  get size(): number {
    return this.#exact.size + this.#wildcards.size;
  }

  *entries(): IterableIterator<Entry> {
    yield* this.#exact.values();
    yield* this.#wildcards.values();
  }
}
