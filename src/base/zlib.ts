/**
 * Raw DEFLATE (RFC 1951) by the zlib that the node binary carries and exports, called synchronously: a stream is a
 * context that lives from call to call, in a structure of 112 bytes that must not move.
 *
 * Why not node:zlib: its synchronous calls make and free a context each time, its streams answer on another thread and
 * weigh some kilobytes beside zlib's own memory; what reaches a stream's handle directly is not promised (measured:
 * bench/websocket-deflate.ts).
 *
 * The bare names are Node's zlib, in the binary or the shared one that it was built against. (V8 has another, whose
 * names begin with `Cr_z_`; the two are never mixed.) It has to pass a round trip before it is used. Bytes go in and
 * out through two pieces of off-heap memory of the thread's, so that zlib never holds an address of a JavaScript
 * buffer.
 */

import { declareFunctions, loadLibc } from './ffi.js';
import type { Region } from './kernel.js';
import { allocateRegion, wordsOf } from './linux-memory.js';
import { forgetNative, Native, type NativeKind, noteNative } from './native-registry.js';

export const Z_OK = 0;
export const Z_STREAM_END = 1;
export const Z_BUF_ERROR = -5;
export const Z_NO_FLUSH = 0;
export const Z_SYNC_FLUSH = 2;

/** Bytes that go in, and come out, by one call. */
export const STEP_BYTES = 65_536;
/**
 * Bytes that one call inflates, at most: blocks that each bring codes of their own, and next to no data, cost twenty
 * times as much for each byte as others (measured), and a call cannot be interrupted.
 */
export const INFLATE_BYTES = 16_384;

/** Streams of this thread that were made and not yet ended; tests assert that it returns to where it was. */
export const census = { streams: 0 };

// struct z_stream_s of zlib.h with 64-bit pointers: next_in, avail_in, total_in, next_out, avail_out, …
const STREAM_BYTES = 112;
const NEXT_IN = 0;
const AVAIL_IN = 8 / 4;
const NEXT_OUT = 24 / 4;
const AVAIL_OUT = 32 / 4;
const DATA_TYPE = 88 / 4;
/** In inflate's data_type: it stopped at the end of a block. */
const AT_BLOCK_END = 128;

const METHOD_DEFLATED = 8;
const STRATEGY_DEFAULT = 0;
const WORD = 0x1_0000_0000;

const NOTHING = new Uint8Array(0);

interface Library {
  readonly version: string;
  readonly functions: ReturnType<typeof declareZlib>;
  readonly input: Region;
  readonly output: Region;
}

/** The thread's; null: there is none that works. */
let library: Library | null | undefined;

function declareZlib() {
  return declareFunctions(null, {
    version: 'const char *zlibVersion()',
    deflateInit: 'int deflateInit2_(uintptr_t, int, int, int, int, int, const char *, int)',
    deflate: 'int deflate(uintptr_t, int)',
    deflateReset: 'int deflateReset(uintptr_t)',
    deflateEnd: 'int deflateEnd(uintptr_t)',
    inflateInit: 'int inflateInit2_(uintptr_t, int, const char *, int)',
    inflate: 'int inflate(uintptr_t, int)',
    inflateReset: 'int inflateReset(uintptr_t)',
    inflateResetKeep: 'int inflateResetKeep(uintptr_t)',
    inflateEnd: 'int inflateEnd(uintptr_t)',
  });
}

function declareOrNone(): ReturnType<typeof declareZlib> | undefined {
  try {
    return declareZlib();
  } catch {
    // A node that was built without its own zlib, or hides it.
    return undefined;
  }
}

/** Whether raw DEFLATE can be had here. */
export function hasZlib(): boolean {
  return loadZlib() !== null;
}

/** The version of the zlib in use, or undefined. */
export function zlibVersion(): string | undefined {
  return loadZlib()?.version;
}

function loadZlib(): Library | null {
  if (library !== undefined) {
    return library;
  }
  const libc = loadLibc();
  const input = allocateRegion(libc, STEP_BYTES);
  const output = allocateRegion(libc, STEP_BYTES);
  const functions = declareOrNone();
  if (functions !== undefined) {
    library = { version: String(functions.version()), functions, input, output };
    if (passesRoundTrip()) {
      noteNative(Native.REGION, input.address);
      noteNative(Native.REGION, output.address);
      return library;
    }
  }
  library = null;
  libc.free(input.address);
  libc.free(output.address);
  return null;
}

function passesRoundTrip(): boolean {
  const text = Buffer.from('round and round and round it goes, and out it comes');
  try {
    const deflate = new RawDeflate(15, 6, 8);
    const isDeflated = deflate.step(text, 0, Z_SYNC_FLUSH) === Z_OK && deflate.consumed === 51;
    const packed = Buffer.from(deflate.output);
    deflate.end();
    const inflate = new RawInflate(15);
    const isInflated = inflate.step(packed, 0) === Z_OK && inflate.output.equals(text);
    inflate.end();
    return isDeflated && isInflated && packed.length < text.length;
  } catch {
    return false;
  }
}

function zlib(): Library {
  const loaded = loadZlib();
  if (loaded === null) {
    throw new Error('Cannot compress: this node exports no usable zlib');
  }
  return loaded;
}

/** Frees the context of a thread that is gone. */
export function endStreamAt(address: number, isInflate: boolean): void {
  const functions = loadZlib()?.functions;
  if (functions !== undefined) {
    (isInflate ? functions.inflateEnd : functions.deflateEnd)(address);
    loadLibc().free(address);
  }
}

abstract class RawStream {
  protected readonly library: Library = zlib();
  protected readonly region: Region = allocateRegion(loadLibc(), STREAM_BYTES);
  readonly #words: Int32Array = wordsOf(this.region);
  #isEnded = false;
  #note = -1;
  /** Bytes of the input that the last step took. */
  consumed = 0;
  /** Bytes that the last step put out. */
  produced = 0;

  /** What the last step put out: valid until the next step of any stream of this thread. */
  get output(): Buffer {
    return this.library.output.bytes.subarray(0, this.produced);
  }

  protected check(status: unknown, kind: NativeKind): void {
    if (status !== Z_OK) {
      loadLibc().free(this.region.address);
      throw new RangeError(`Cannot make a compression context: zlib says ${String(status)}`);
    }
    census.streams += 1;
    this.#note = noteNative(kind, this.region.address);
  }

  /** Puts `bytes` from `from` on before zlib, at `at`, up to `end`; returns where they end. */
  protected load(bytes: Uint8Array, from: number, at: number, end: number): number {
    const given = Math.min(bytes.length - from, end - at);
    if (given <= 0) {
      return at;
    }
    this.library.input.bytes.set(
      from === 0 && given === bytes.length ? bytes : bytes.subarray(from, from + given),
      at,
    );
    return at + given;
  }

  /** Runs over what was loaded. */
  protected run(code: (...values: number[]) => unknown, given: number, flush: number): number {
    if (this.#isEnded) {
      throw new Error('Cannot compress with a context that was ended');
    }
    const { input, output } = this.library;
    this.#point(NEXT_IN, input.address);
    this.#words[AVAIL_IN] = given;
    this.#point(NEXT_OUT, output.address);
    this.#words[AVAIL_OUT] = STEP_BYTES;
    const status = code(this.region.address, flush) as number;
    this.consumed = given - this.#words[AVAIL_IN];
    this.produced = STEP_BYTES - this.#words[AVAIL_OUT];
    return status;
  }

  protected word(index: number): number {
    return this.#words[index];
  }

  #point(word: number, address: number): void {
    this.#words[word] = (address % WORD) | 0;
    this.#words[word + 1] = Math.floor(address / WORD);
  }

  /** Frees the context. A second call does nothing. */
  protected free(code: (...values: number[]) => unknown): void {
    if (!this.#isEnded) {
      this.#isEnded = true;
      census.streams -= 1;
      forgetNative(this.#note);
      code(this.region.address);
      loadLibc().free(this.region.address);
    }
  }
}

export class RawDeflate extends RawStream {
  /** `windowBits` 9 to 15, `level` 0 to 9, `memoryLevel` 1 to 9: see zlib.h. */
  constructor(windowBits: number, level: number, memoryLevel: number) {
    super();
    const { functions, version } = this.library;
    const { address } = this.region;
    const sizes = [-windowBits, memoryLevel, STRATEGY_DEFAULT, version, STREAM_BYTES] as const;
    const status = functions.deflateInit(address, level, METHOD_DEFLATED, ...sizes);
    this.check(status, Native.DEFLATE);
  }

  /** Compresses up to STEP_BYTES of `bytes` from `from` on. Full output means that there is more. */
  step(bytes: Uint8Array, from: number, flush: number): number {
    return this.run(this.library.functions.deflate, this.load(bytes, from, 0, STEP_BYTES), flush);
  }

  /** Forgets the window. */
  reset(): void {
    this.library.functions.deflateReset(this.region.address);
  }

  end(): void {
    this.free(this.library.functions.deflateEnd);
  }
}

export class RawInflate extends RawStream {
  /** `windowBits` 8 to 15. */
  constructor(windowBits: number) {
    super();
    const { functions, version } = this.library;
    const { address } = this.region;
    this.check(functions.inflateInit(address, -windowBits, version, STREAM_BYTES), Native.INFLATE);
  }

  /** Inflates up to INFLATE_BYTES of `bytes` and then `tail` from position `from` on, into at most STEP_BYTES. */
  step(bytes: Uint8Array, from: number, tail: Uint8Array = NOTHING): number {
    let given = this.load(bytes, from, 0, INFLATE_BYTES);
    given = this.load(tail, Math.max(0, from - bytes.length), given, INFLATE_BYTES);
    return this.run(this.library.functions.inflate, given, Z_SYNC_FLUSH);
  }

  /** Whether the last step stopped between two blocks, and not within one. */
  get isAtBlockEnd(): boolean {
    return (this.word(DATA_TYPE) & AT_BLOCK_END) !== 0;
  }

  /** Forgets the window. */
  reset(): void {
    this.library.functions.inflateReset(this.region.address);
  }

  /** Begins a new stream of blocks that may refer to what came before. */
  resetKeepingWindow(): void {
    this.library.functions.inflateResetKeep(this.region.address);
  }

  end(): void {
    this.free(this.library.functions.inflateEnd);
  }
}
