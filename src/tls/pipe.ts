/**
 * The memory through which all TLS connections of a thread pass: a BIO that reads ciphertext where we put it, a BIO
 * that OpenSSL writes ciphertext to, a region for plaintext in each direction. Every call into OpenSSL runs to its end
 * before the next connection's turn, and OpenSSL keeps partial records for itself, so that one pair is enough: an
 * idle connection costs what its SSL object costs, and nothing of ours.
 *
 * Both BIOs are memory BIOs whose public BUF_MEM (<openssl/buffer.h>: length, data, max) is read and set in place,
 * which saves a call and a copy for each direction. `selfTest` asserts at the start that this OpenSSL takes it so.
 *
 * What OpenSSL wrote must be taken (`take`) and sent before it is called again. TLS over TLS has a pipe for each depth.
 */

import { loadLibc, viewMemory } from '../base/ffi.js';
import type { Kernel, Region } from '../base/kernel.js';
import { Native, noteNative } from '../base/native-registry.js';
import { loadOpenSsl, type OpenSslCalls } from '../base/openssl.js';
import { takeRegion } from '../base/region-cache.js';
import { threadKernel } from '../engine/thread-kernel.js';
import { MillraceError } from '../errors.js';
import type { TlsConnection } from './tls-connection.js';

/** Ciphertext taken in by one step, at most. */
export const FEED_BYTES = 65_536;
/** Plaintext encrypted by one call, at most; it is also what is gathered at most before it is encrypted. */
export const GATHER_BYTES = 65_536;
/** OpenSSL may hold most of one record from before. */
const RECORD_BYTES_MAX = 16_384 + 2_048;
export const PLAIN_BYTES = FEED_BYTES + RECORD_BYTES_MAX;
const BUF_MEM_BYTES = 32;

const BIO_CTRL_RESET = 1;
const BIO_C_GET_BUF_MEM_PTR = 115;
const BIO_C_SET_BUF_MEM_EOF_RETURN = 130;
const BIO_FLAGS_NONCLEAR_RST = 0x400;

export class Pipe {
  readonly calls: OpenSslCalls;
  readonly rbio: number;
  readonly wbio: number;
  /** Received plaintext: what `onData` sees. */
  readonly plain: Region;
  /** Plaintext to be encrypted. */
  readonly gather: Region;
  /** The connection whose gathered bytes are in `gather`, and how many. */
  gathering: TlsConnection | undefined = undefined;
  gathered = 0;
  /** The connection whose hook runs. */
  current: TlsConnection | undefined = undefined;
  /** Ciphertext is being handed to the transport, which may call back. */
  isSending = false;
  readonly #feed: Region;
  readonly #reading: Uint32Array;
  readonly #writing: Uint32Array;
  #out: Buffer = Buffer.alloc(0);
  #outAddress = 0;
  #loaded = 0;
  /** The last views, as messages often have the same length, and a view costs more than reading a field. */
  #outView: Buffer = this.#out;
  #plainView: Buffer = this.#out;

  constructor(kernel: Kernel) {
    const { calls } = loadOpenSsl();
    this.calls = calls;
    this.#feed = takeRegion(kernel, FEED_BYTES);
    this.plain = takeRegion(kernel, PLAIN_BYTES);
    this.gather = takeRegion(kernel, GATHER_BYTES);
    this.rbio = calls.BIO_new_mem_buf(this.#feed.address, FEED_BYTES);
    this.wbio = calls.BIO_new(calls.BIO_s_mem());
    if (this.rbio === 0 || this.wbio === 0) {
      throw new RangeError('Cannot make a BIO: out of memory');
    }
    noteNative(Native.BIO, this.rbio);
    noteNative(Native.BIO, this.wbio);
    // An empty BIO says "try again", not "end of file".
    calls.BIO_ctrl(this.rbio, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, 0);
    calls.BIO_ctrl(this.wbio, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, 0);
    // Without it a reset wipes the whole buffer each time, for which there is no reason: it held ciphertext.
    calls.BIO_set_flags(this.wbio, BIO_FLAGS_NONCLEAR_RST);
    this.#reading = this.#bufMemOf(this.rbio);
    this.#writing = this.#bufMemOf(this.wbio);
    this.#selfTest();
  }

  /** Puts `bytes` from `from` to `to`, but up to FEED_BYTES, where OpenSSL reads; returns how many. */
  load(bytes: Uint8Array, from: number, to: number = bytes.length): number {
    const n = Math.min(to - from, FEED_BYTES);
    const isWhole = from === 0 && n === bytes.length;
    this.#feed.bytes.set(isWhole ? bytes : bytes.subarray(from, from + n), 0);
    const words = this.#reading;
    const { address } = this.#feed;
    this.#loaded = n;
    words[0] = n;
    words[1] = 0;
    words[2] = address >>> 0;
    words[3] = Math.floor(address / 0x1_0000_0000);
    words[4] = n;
    words[5] = 0;
    return n;
  }

  /** Bytes that were loaded and that OpenSSL has not read. */
  get unread(): number {
    return this.#reading[0]!;
  }

  /** A copy of what OpenSSL has not read, which is to be loaded again; undefined if there is nothing. */
  putAside(): Buffer | undefined {
    const { unread } = this;
    if (unread === 0) {
      return undefined;
    }
    const end = this.#loaded;
    this.#reading[0] = 0;
    return Buffer.from(this.#feed.bytes.subarray(end - unread, end));
  }

  /** Forgets what OpenSSL has not read: it must not meet another connection's object. */
  drop(): void {
    this.#reading[0] = 0;
  }

  /** Bytes that OpenSSL wrote and that were not taken. */
  get written(): number {
    return this.#writing[0]!;
  }

  /** What OpenSSL wrote, as a view that is valid until the next call into OpenSSL. */
  take(): Buffer {
    const words = this.#writing;
    const length = words[0]!;
    const address = words[2]! + words[3]! * 0x1_0000_0000;
    if (address !== this.#outAddress || length > this.#out.length) {
      this.#outAddress = address;
      this.#out = Buffer.from(viewMemory(address, words[4]!));
    }
    words[0] = 0;
    this.calls.BIO_ctrl(this.wbio, BIO_CTRL_RESET, 0, 0);
    if (this.#outView.length !== length || this.#outView.buffer !== this.#out.buffer) {
      this.#outView = this.#out.subarray(0, length);
    }
    return this.#outView;
  }

  /** The first `length` bytes of `plain`. */
  received(length: number): Buffer {
    if (this.#plainView.length !== length) {
      this.#plainView = this.plain.bytes.subarray(0, length);
    }
    return this.#plainView;
  }

  /** The BUF_MEM of a BIO as 32-bit words: length (0, 1), data (2, 3), max (4, 5). */
  #bufMemOf(bio: number): Uint32Array {
    const libc = loadLibc();
    const pointer = libc.calloc(1, 8);
    this.calls.BIO_ctrl(bio, BIO_C_GET_BUF_MEM_PTR, 0, pointer);
    const address = Number(new BigUint64Array(viewMemory(pointer, 8))[0]);
    libc.free(pointer);
    return new Uint32Array(viewMemory(address, BUF_MEM_BYTES));
  }

  /** Throws unless the BIOs see what is set in their BUF_MEM, and show in it what they have. */
  #selfTest(): void {
    const { calls, plain } = this;
    const sample = Buffer.from('millrace');
    const isRead =
      this.load(sample, 0) === 8 &&
      calls.BIO_read(this.rbio, plain.address, 5) === 5 &&
      this.unread === 3 &&
      calls.BIO_read(this.rbio, plain.address + 5, 9) === 3 &&
      plain.bytes.subarray(0, 8).equals(sample) &&
      calls.BIO_read(this.rbio, plain.address, 1) === -1;
    // The buffer takes its full size at once: growing it later would move it.
    const isWritten =
      calls.BIO_write(this.wbio, plain.address, PLAIN_BYTES) === PLAIN_BYTES &&
      this.take().length === PLAIN_BYTES &&
      calls.BIO_write(this.wbio, plain.address, 8) === 8 &&
      this.take().equals(sample);
    if (!isRead || !isWritten) {
      const { version, origin } = loadOpenSsl();
      throw new MillraceError(
        'ERR_TLS_OPENSSL',
        `The memory BIOs of ${version} (${origin}) do not work as expected`,
      );
    }
    plain.bytes.fill(0);
  }
}

const pipes: Pipe[] = [];

/** The thread's pipe for connections that have `depth` others of TLS below them. */
export function pipeAt(depth: number): Pipe {
  let pipe = pipes[depth];
  if (pipe === undefined) {
    pipe = new Pipe(threadKernel());
    pipes[depth] = pipe;
  }
  return pipe;
}
