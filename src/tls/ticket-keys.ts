/**
 * The keys that session tickets are sealed with (RFC 5077, RFC 8446 section 4.6.1), in shared memory: all reactors of a
 * server have the same, so that a session resumes on whichever the client meets next. The current key seals; it and the
 * one before open. Whoever first notices that a key is old enough makes the next one at random and forgets the oldest:
 * who learns a key later cannot read what was recorded under one that is gone.
 *
 * Shared memory: words of 32 bits, then two keys of 80 bytes. Word 0 is a lock for writers; word 1 counts changes and
 * is odd while one is being made (a sequence lock); words 2 and 3 are the time of the last rotation, 4 and 5 the
 * interval, both as 64-bit floats in milliseconds of `Reactor.now`.
 */

import { loadLibc } from '../base/ffi.js';
import { loadOpenSsl, withCopy } from '../base/openssl.js';

/** Name (16 bytes), HMAC key (32), AES key (32): the layout that OpenSSL takes. */
export const TICKET_KEY_BYTES = 80;
export const TICKET_NAME_BYTES = 16;
const HEADER_BYTES = 24;
const LOCK = 0;
const CHANGES = 1;
const ROTATED_AT = 1;
const INTERVAL = 2;
const INTERVAL_MS = 3_600_000;
/** Writers hold the lock for a microsecond; one that died with it must not stop all others. */
const SPINS_MAX = 10_000;

export interface TicketKeysOptions {
  /** The current key lives so long, and then as long again only to open tickets. 3,600,000 (an hour); 0: for ever. */
  rotateAfterMs?: number;
  /** Keys of 80 random bytes, the current one first and perhaps the one before: for servers that share sessions. */
  keys?: readonly Uint8Array[];
}

export class TicketKeys {
  /** What another thread of this process needs to have the same keys: pass it in `data`, then `TicketKeys.from`. */
  readonly handle: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #times: Float64Array;
  readonly #keys: Uint8Array;
  #seen = -1;
  readonly #current = Buffer.alloc(TICKET_KEY_BYTES);
  readonly #previous = Buffer.alloc(TICKET_KEY_BYTES);

  private constructor(handle: SharedArrayBuffer) {
    this.handle = handle;
    this.#words = new Int32Array(handle, 0, HEADER_BYTES / 4);
    this.#times = new Float64Array(handle, 0, HEADER_BYTES / 8);
    this.#keys = new Uint8Array(handle, HEADER_BYTES, 2 * TICKET_KEY_BYTES);
  }

  static create(options: TicketKeysOptions = {}): TicketKeys {
    const { rotateAfterMs = INTERVAL_MS, keys = [] } = options;
    if (!(rotateAfterMs >= 0)) {
      throw new RangeError(`Expected rotateAfterMs of 0 or more, got ${String(rotateAfterMs)}`);
    }
    if (keys.length > 2) {
      throw new RangeError(`Expected at most two ticket keys, got ${keys.length}`);
    }
    const made = new TicketKeys(new SharedArrayBuffer(HEADER_BYTES + 2 * TICKET_KEY_BYTES));
    made.#times[INTERVAL] = rotateAfterMs;
    made.#keys.set(keys[1] === undefined ? randomKey() : checked(keys[1]), TICKET_KEY_BYTES);
    made.#keys.set(keys[0] === undefined ? randomKey() : checked(keys[0]), 0);
    return made;
  }

  static from(handle: SharedArrayBuffer): TicketKeys {
    const byteLength = HEADER_BYTES + 2 * TICKET_KEY_BYTES;
    if (!(handle instanceof SharedArrayBuffer) || handle.byteLength !== byteLength) {
      throw new TypeError('Expected the handle of a TicketKeys');
    }
    return new TicketKeys(handle);
  }

  /** The given key, or a random one, becomes the current one at once, on all threads; the one before still opens. */
  rotate(key?: Uint8Array): void {
    const next = key === undefined ? randomKey() : checked(key);
    for (let i = 0; i < SPINS_MAX && !this.#tryLock(); i += 1) {
      // For a microsecond: another thread is writing. One that died in the midst of it is not waited for.
    }
    this.#replace(next);
    this.#unlock();
  }

  /** Rotates if it is time; `now` is `Reactor.now`. Returns a number that differs when the keys do. */
  refresh(now: number): number {
    const interval = this.#times[INTERVAL]!;
    if (interval > 0 && this.#isDue(now, interval) && this.#tryLock()) {
      // Again: another thread may have done it just now.
      if (this.#isDue(now, interval)) {
        const since = this.#times[ROTATED_AT]!;
        // The first one to look at a clock only notes the time.
        const rotations = since === 0 ? 0 : Math.min(2, Math.floor((now - since) / interval));
        for (let i = 0; i < rotations; i += 1) {
          this.#replace(randomKey());
        }
        this.#times[ROTATED_AT] = now;
      }
      this.#unlock();
    }
    this.#read();
    return this.#seen;
  }

  /** As of the last `refresh`; 80 bytes that are not to be kept. */
  get current(): Buffer {
    return this.#current;
  }

  get previous(): Buffer {
    return this.#previous;
  }

  /** Whether a ticket that begins with `name` is sealed with the key. */
  isCurrent(name: Buffer): boolean {
    return this.#current.subarray(0, TICKET_NAME_BYTES).equals(name);
  }

  isPrevious(name: Buffer): boolean {
    return this.#previous.subarray(0, TICKET_NAME_BYTES).equals(name);
  }

  #isDue(now: number, interval: number): boolean {
    const since = this.#times[ROTATED_AT]!;
    return since === 0 || now - since >= interval;
  }

  #replace(key: Uint8Array): void {
    const changes = Atomics.load(this.#words, CHANGES) | 1;
    Atomics.store(this.#words, CHANGES, changes);
    this.#keys.copyWithin(TICKET_KEY_BYTES, 0, TICKET_KEY_BYTES);
    this.#keys.set(key, 0);
    Atomics.store(this.#words, CHANGES, (changes + 1) | 0);
  }

  #read(): void {
    for (let i = 0; i < SPINS_MAX; i += 1) {
      const changes = Atomics.load(this.#words, CHANGES);
      if (changes === this.#seen) {
        return;
      }
      if ((changes & 1) === 0) {
        this.#current.set(this.#keys.subarray(0, TICKET_KEY_BYTES));
        this.#previous.set(this.#keys.subarray(TICKET_KEY_BYTES));
        if (Atomics.load(this.#words, CHANGES) === changes) {
          this.#seen = changes;
          return;
        }
      }
    }
  }

  #tryLock(): boolean {
    return Atomics.compareExchange(this.#words, LOCK, 0, 1) === 0;
  }

  #unlock(): void {
    Atomics.store(this.#words, LOCK, 0);
  }
}

function checked(key: Uint8Array): Uint8Array {
  if (!(key instanceof Uint8Array) || key.length !== TICKET_KEY_BYTES) {
    throw new TypeError(`Expected a ticket key of ${TICKET_KEY_BYTES} bytes`);
  }
  return key;
}

function randomKey(): Uint8Array {
  const { calls } = loadOpenSsl();
  const key = new Uint8Array(TICKET_KEY_BYTES);
  withCopy(key, (address) => {
    if (calls.RAND_bytes(address, TICKET_KEY_BYTES) !== 1) {
      throw new Error('Cannot make a ticket key: OpenSSL has no random bytes');
    }
    loadLibc().memcpyOut(key, address, TICKET_KEY_BYTES);
  });
  return key;
}
