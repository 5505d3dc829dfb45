/**
 * What one thread has of memory that native libraries allocated, in shared memory, so that whoever supervises the
 * thread can free it after it died (native-reaper.ts). Objects of OpenSSL's and zlib's belong to no thread: nothing of
 * them is freed with the one that made them.
 *
 * Rules: an object is noted when it is ready to be freed, and forgotten right BEFORE its owner frees it, so that a
 * thread that dies in between leaks one, and nothing is ever freed twice. Written by that thread alone; read only when
 * it is gone. A thread that nobody supervises notes nothing.
 */

/** In the order in which they are freed: what refers to others comes first. */
export const Native = {
  SSL: 1,
  INFLATE: 2,
  DEFLATE: 3,
  SSL_CTX: 4,
  X509_STORE: 5,
  BIO: 6,
  /** Of calloc. */
  REGION: 7,
} as const;

export type NativeKind = (typeof Native)[keyof typeof Native];

export interface NativeObject {
  readonly kind: NativeKind;
  readonly address: number;
}

/** What is noted in one number: addresses have at most 48 bits. */
const KIND = 2 ** 48;
const HEADER_WORDS = 2;
const USED = 0;
const LIBRARY = 1;
/** 8 MiB of address space; memory is only what was used. */
const ENTRIES_MAX = 1 << 20;

export class NativeRegistry {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Float64Array;
  readonly #free: number[] = [];

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Float64Array(buffer);
  }

  /** Room for so many objects, at most 2^20. What does not fit is not noted, and leaks if the thread dies. */
  static create(entries: number): NativeRegistry {
    if (!Number.isInteger(entries) || entries < 1) {
      throw new RangeError(`Expected room for 1 object or more, got ${entries}`);
    }
    const words = HEADER_WORDS + Math.min(entries, ENTRIES_MAX);
    return new NativeRegistry(new SharedArrayBuffer(words * 8));
  }

  /** The same, in the thread that writes: once for each thread that gets it, after `takeAll`. */
  static from(buffer: SharedArrayBuffer): NativeRegistry {
    return new NativeRegistry(buffer);
  }

  /** Which OpenSSL the objects are of: an address that only that one has. 0: none was noted. */
  get library(): number {
    return this.#words[LIBRARY];
  }

  set library(address: number) {
    this.#words[LIBRARY] = address;
  }

  /** The place, for `remove`; -1 if there is no room. */
  add(kind: NativeKind, address: number): number {
    const words = this.#words;
    let place = this.#free.pop() ?? -1;
    if (place < 0) {
      place = HEADER_WORDS + words[USED];
      if (place >= words.length) {
        return -1;
      }
      words[USED] += 1;
    }
    words[place] = kind * KIND + address;
    return place;
  }

  remove(place: number): void {
    if (place >= HEADER_WORDS) {
      this.#words[place] = 0;
      this.#free.push(place);
    }
  }

  /** Everything noted, in the order in which it is to be freed; the registry is empty afterwards. */
  takeAll(): NativeObject[] {
    const words = this.#words;
    const end = HEADER_WORDS + words[USED];
    const objects: NativeObject[] = [];
    for (let place = HEADER_WORDS; place < end; place += 1) {
      const word = words[place];
      words[place] = 0;
      if (word !== 0) {
        const kind = Math.floor(word / KIND) as NativeKind;
        objects.push({ kind, address: word - kind * KIND });
      }
    }
    words[USED] = 0;
    words[LIBRARY] = 0;
    return objects.sort((a, b) => a.kind - b.kind);
  }
}

/** The thread's, if it is supervised. */
let ours: NativeRegistry | undefined;

/** From now on what this thread makes is noted there. */
export function useNativeRegistry(registry: NativeRegistry): void {
  ours = registry;
}

/** Notes an object of this thread; the result is for `forgetNative`. */
export function noteNative(kind: NativeKind, address: number): number {
  return ours === undefined ? -1 : ours.add(kind, address);
}

/** To be called right before the object is freed. */
export function forgetNative(place: number): void {
  ours?.remove(place);
}

/** Says which OpenSSL this thread uses. */
export function noteLibrary(address: number): void {
  if (ours !== undefined) {
    ours.library = address;
  }
}
