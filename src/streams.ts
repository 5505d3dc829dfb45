/**
 * The no-copy faces of a connection, as types: a reader over what was received and a writer over what is to be sent,
 * with the calls that netpoll gave them. Both work on linked lists of pooled blocks (connection/linked-buffer.ts).
 *
 * Lifetime: bytes returned by `next`, `peek` and `until` are views. They are valid until `release`, or, if that is not
 * called, until the hook that read them returns. Copy what you keep, or take a `slice`, which keeps its blocks alive
 * until it is released itself.
 */

export interface Reader {
  /** Unread bytes. */
  readonly length: number;
  /** Takes `n` bytes; undefined, taking nothing, if fewer are there. No copy unless they straddle blocks. */
  next(n: number): Buffer | undefined;
  /** The same without taking them. */
  peek(n: number): Buffer | undefined;
  /** Drops `n` bytes; false, dropping nothing, if fewer are there. */
  skip(n: number): boolean;
  /** Takes everything up to and with the first `delimiter` (a byte, or a string of one or more bytes). */
  until(delimiter: number | string): Buffer | undefined;
  /** Position of the first such byte from the start of the unread bytes, or -1; looks at `limit` bytes at most. */
  indexOf(byte: number, limit?: number): number;
  readByte(): number | undefined;
  /** Takes `n` bytes as text: UTF-8 unless said otherwise. */
  readString(n: number, encoding?: BufferEncoding): string | undefined;
  /** Takes `n` bytes as a copy that the caller owns. */
  readCopy(n: number): Buffer | undefined;
  readUint16(): number | undefined;
  readUint32(): number | undefined;
  readUint16LE(): number | undefined;
  readUint32LE(): number | undefined;
  /** Takes `n` bytes as a reader of their own, without a copy; release it. */
  slice(n: number): Reader | undefined;
  /** Lets go of the blocks that were read to the end; views of them are invalid afterwards. */
  release(): void;
}

export interface Writer {
  /** Bytes committed and not flushed. */
  readonly length: number;
  /** Room for `n` bytes, to be filled by the caller and then committed. Valid until the next call on this writer. */
  reserve(n: number): Buffer;
  /** Counts the first `n` bytes of the last `reserve` as written. */
  commit(n: number): void;
  /** Copies. */
  writeBytes(bytes: Uint8Array): void;
  writeString(text: string, encoding?: BufferEncoding): void;
  writeByte(byte: number): void;
  writeUint16(value: number): void;
  writeUint32(value: number): void;
  /** Moves the unread bytes of a reader of the same reactor here, without a copy where whole blocks are concerned. */
  append(reader: Reader): void;
  /** Sends all that was committed, together. */
  flush(): import('./api.js').WriteResult;
}
