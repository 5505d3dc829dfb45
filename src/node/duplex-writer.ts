/**
 * Writes of a stream on their way to the connection. A write is called back when the connection has taken it and has
 * not more than a limit queued: so what a stream accepts before it says `false` is bounded by its own high-water mark
 * and the connection's. Large chunks go in slices, so that the queue never has more than the limit and one slice.
 */

import type { Connection } from '../api.js';
import { EPIPE } from '../base/errno.js';
import { SystemError } from '../errors.js';
import { guard } from './guard.js';

type Callback = (error?: Error | null) => void;

const SLICE_BYTES = 65_536;

export class DuplexWriter {
  readonly #connection: Connection;
  readonly #queuedMax: number;
  /** Bytes that the connection has taken. */
  taken = 0;

  constructor(connection: Connection, queuedMax: number) {
    this.#connection = connection;
    this.#queuedMax = queuedMax;
  }

  /** Writes all pieces in order. One call at a time, as streams do. */
  write(pieces: readonly Uint8Array[], byteLength: number, callback: Callback): void {
    if (byteLength > SLICE_BYTES) {
      this.#writeSlices(pieces, 0, 0, callback);
      return;
    }
    const connection = this.#connection;
    const result = pieces.length === 1 ? connection.write(pieces[0]) : connection.writev(pieces);
    if (result === 'closed') {
      callback(brokenPipe());
    } else if (result === 'full') {
      this.#whenDrained(callback, () => this.write(pieces, byteLength, callback));
    } else {
      this.taken += byteLength;
      if (connection.queuedBytes > this.#queuedMax) {
        this.#whenDrained(callback, callback);
      } else {
        callback();
      }
    }
  }

  #writeSlices(pieces: readonly Uint8Array[], from: number, at: number, callback: Callback): void {
    const connection = this.#connection;
    let [i, offset] = [from, at];
    while (i < pieces.length) {
      const slice = pieces[i].subarray(offset, offset + SLICE_BYTES);
      const result = connection.write(slice);
      if (result === 'closed') {
        callback(brokenPipe());
        return;
      }
      if (result !== 'full') {
        this.taken += slice.length;
        offset += slice.length;
        if (offset >= pieces[i].length) {
          i += 1;
          offset = 0;
        }
      }
      if (result === 'full' || connection.queuedBytes > this.#queuedMax) {
        this.#whenDrained(callback, () => this.#writeSlices(pieces, i, offset, callback));
        return;
      }
    }
    callback();
  }

  /** FIN after everything; called back when the kernel has it all. */
  end(callback: Callback): void {
    const connection = this.#connection;
    connection.end();
    if (connection.queuedBytes === 0) {
      // After the peer's FIN the connection may be gone already, in order: a receipt would say that it closed first.
      callback();
    } else {
      connection.receipt((handedOver) => guard(() => callback(handedOver ? null : brokenPipe())));
    }
  }

  #whenDrained(callback: Callback, next: () => void): void {
    void this.#connection
      .drained()
      .then((isOpen) => guard(() => (isOpen ? next() : callback(brokenPipe()))));
  }
}

function brokenPipe(): SystemError {
  return new SystemError('write', EPIPE);
}
