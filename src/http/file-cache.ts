/**
 * Files that were asked for, kept for a moment: small ones as their bytes, others open. For that moment a request costs
 * no call of Node's thread pool. Then a file is opened anew, with all checks, so that a file that was changed,
 * replaced, removed, or led out of the folder by a link is kept for no longer than that, and an idle server keeps none.
 *
 * Bounded in files, hence descriptors, and in bytes; the one that was not asked for the longest goes first.
 */

import type { Reactor } from '../api.js';
import type { Coding } from './accept-encoding.js';
import type { FileSource } from './file-source.js';

export interface FileCacheLimits {
  readonly cacheMs: number;
  readonly cacheFilesMax: number;
  readonly cacheBytesMax: number;
  /** Files are read by Node's threads. */
  readonly readsInThreads: boolean;
}

/** Files up to this size are kept as their bytes from the start: reading them costs next to nothing. */
const SMALL_BYTES_MAX = 16_384;
/** Others up to this size once they are asked for again: sending them from memory costs less than sendfile(2). */
const CONTENT_BYTES_MAX = 65_536;

interface Entry {
  readonly source: FileSource;
  /** Of its content. */
  byteLength: number;
  /** On the reactor's clock. */
  readonly until: number;
  /** Variants of it that were not there. */
  readonly missing: readonly Coding[];
}

type Opened = FileSource | 'folder' | undefined;

export class FileCache {
  readonly #reactor: Reactor;
  readonly #limits: FileCacheLimits;
  /** The one that was asked for last is the last. */
  readonly #entries = new Map<string, Entry>();
  /** Being opened: others that ask for them meanwhile wait for that. */
  readonly #opening = new Map<string, Promise<Opened>>();
  #bytes = 0;
  #timer = -1;
  #isClosed = false;

  constructor(reactor: Reactor, limits: FileCacheLimits) {
    this.#reactor = reactor;
    this.#limits = limits;
  }

  /** Open files and contents that are kept. */
  get size(): number {
    return this.#entries.size;
  }

  /** Variants of that file which are known not to be there. */
  missing(key: string): readonly Coding[] | undefined {
    const entry = this.#entries.get(key);
    return entry === undefined || entry.until <= this.#reactor.now ? undefined : entry.missing;
  }

  /** The file, if it is here and good; the caller releases it. */
  get(key: string): FileSource | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      return undefined;
    }
    if (entry.until <= this.#reactor.now || !entry.source.isUnchanged()) {
      this.drop(key);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (entry.source.content === undefined) {
      this.#promote(entry);
    }
    return entry.source.retain();
  }

  /** Asked for again: reads it, if that is to be. */
  #promote(entry: Entry): void {
    const { source } = entry;
    const { byteLength } = source.representation;
    const { cacheBytesMax, readsInThreads } = this.#limits;
    if (readsInThreads || byteLength > Math.min(CONTENT_BYTES_MAX, cacheBytesMax)) {
      return;
    }
    source.load();
    if (source.content !== undefined) {
      entry.byteLength = byteLength;
      this.#bytes += byteLength;
      // It is the last one, which fits.
      this.#evict();
    }
  }

  /** Opens a file once for all that ask for it now; each of them releases what it gets. */
  async open(key: string, open: () => Promise<Opened>): Promise<Opened> {
    let opening = this.#opening.get(key);
    const isFirst = opening === undefined;
    if (opening === undefined) {
      opening = this.#load(open);
      this.#opening.set(key, opening);
    }
    try {
      const opened = await opening;
      // The first has it from who opened it. That waits for the others, which run before it lets go.
      return !isFirst && typeof opened === 'object' ? opened.retain() : opened;
    } finally {
      if (isFirst) {
        this.#opening.delete(key);
      }
    }
  }

  async #load(open: () => Promise<Opened>): Promise<Opened> {
    const opened = await open();
    if (typeof opened === 'object' && opened.representation.byteLength <= SMALL_BYTES_MAX) {
      try {
        if (this.#limits.readsInThreads) {
          await opened.loadInThreads();
        } else {
          opened.load();
        }
      } catch (error) {
        opened.release();
        throw error;
      }
    }
    return opened;
  }

  /** Keeps a file that was just opened. */
  put(key: string, source: FileSource, missing: readonly Coding[]): void {
    const { cacheMs, cacheBytesMax } = this.#limits;
    const byteLength = source.content?.length ?? 0;
    if (this.#isClosed || byteLength > cacheBytesMax) {
      return;
    }
    const { now } = this.#reactor;
    const before = this.#entries.get(key);
    // Others ask for other variants: what they found missing holds as long as it would have.
    const known = before !== undefined && before.until > now ? before : undefined;
    const all = known === undefined ? missing : [...new Set([...known.missing, ...missing])];
    this.drop(key);
    const until = known?.until ?? now + cacheMs;
    this.#entries.set(key, { source: source.retain(), byteLength, until, missing: all });
    this.#bytes += byteLength;
    this.#evict();
    this.#schedule();
  }

  #evict(): void {
    const { cacheFilesMax, cacheBytesMax } = this.#limits;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= cacheFilesMax && this.#bytes <= cacheBytesMax) {
        return;
      }
      this.drop(oldest);
    }
  }

  drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#bytes -= entry.byteLength;
      entry.source.release();
    }
  }

  #schedule(): void {
    if (this.#timer < 0 && this.#entries.size > 0) {
      this.#timer = this.#reactor.setTimer(this.#limits.cacheMs, () => this.#sweep());
    }
  }

  /** What nobody asks for any more is not kept open. */
  #sweep(): void {
    this.#timer = -1;
    const { now } = this.#reactor;
    for (const [key, { until }] of this.#entries) {
      if (until <= now) {
        this.drop(key);
      }
    }
    this.#schedule();
  }

  /** The reactor ends. */
  close(): void {
    this.#isClosed = true;
    this.#reactor.clearTimer(this.#timer);
    for (const key of [...this.#entries.keys()]) {
      this.drop(key);
    }
  }
}
