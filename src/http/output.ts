/**
 * Responses on their way out: text and bytes gathered in one scratch buffer, so that all answers to one received batch
 * are one write. Head and body are joined as strings first and encoded together: one copy for a whole batch (measured:
 * several times cheaper than encoding each piece). One of these for each reactor; what it gives is valid until the next
 * call.
 */

/** What is gathered before it is handed on. */
export const GATHER_BYTES = 65_536;
/** Bytes that are not worth a copy go out on their own. */
export const LARGE_BYTES = 16_384;
/** Strings are encoded when they are this long together. */
const TEXT_MAX = 16_384;

interface EncodingBuffer {
  latin1Write(text: string, at: number, length: number): number;
  utf8Write(text: string, at: number, length: number): number;
}

export class Output {
  /** Latin1, hence one byte for each character. */
  #text = '';
  /** Room for what is gathered before it is handed on, and then for one more response with the longest head. */
  readonly #scratch = Buffer.allocUnsafeSlow(GATHER_BYTES * 3);
  #at = 0;
  /** The last view that was given, since many batches are of one length. */
  #view = this.#scratch.subarray(0, 0);

  /** Bytes gathered. */
  get length(): number {
    return this.#at + this.#text.length;
  }

  /** Text of ISO 8859-1, such as a head; short. */
  addText(text: string): void {
    this.#text += text;
    if (this.#text.length > TEXT_MAX) {
      this.#encode();
    }
  }

  /** Bytes, copied; at most LARGE_BYTES. */
  addBytes(bytes: Uint8Array): void {
    this.#encode();
    this.#scratch.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Text that is not ASCII, as UTF-8; at most LARGE_BYTES of it. */
  addUtf8(text: string, byteLength: number): void {
    this.#encode();
    const scratch = this.#scratch as unknown as EncodingBuffer;
    this.#at += scratch.utf8Write(text, this.#at, byteLength);
  }

  #encode(): void {
    const { length } = this.#text;
    if (length > 0) {
      (this.#scratch as unknown as EncodingBuffer).latin1Write(this.#text, this.#at, length);
      this.#at += length;
      this.#text = '';
    }
  }

  /** All that was gathered, borrowed until the next call. */
  take(): Buffer {
    this.#encode();
    if (this.#view.length !== this.#at) {
      this.#view = this.#scratch.subarray(0, this.#at);
    }
    this.#at = 0;
    return this.#view;
  }
}

/** Bytes of a string in UTF-8; short ASCII, the common case, without a call. */
export function utf8Length(text: string): number {
  const { length } = text;
  if (length < 64) {
    for (let i = 0; i < length; i += 1) {
      if (text.charCodeAt(i) > 0x7f) {
        return Buffer.byteLength(text);
      }
    }
    return length;
  }
  return Buffer.byteLength(text);
}
