/**
 * Codecs: a framing, and what a frame's payload means. A codec has no state: one serves any number of connections.
 * Codecs compose: `mapCodec(lengthField(), { decode, encode })` gives messages of any type, `jsonCodec(…)` JSON.
 */

import type { Framing } from './framing.js';

export interface Codec<In, Out = In> {
  readonly framing: Framing;
  /**
   * The message in the payload `bytes[start..end)`. What it makes of bytes without copying them (a view) is valid until
   * `onFrame` returns. May throw: that is an `ERR_FRAME_DECODE`.
   */
  decode(bytes: Buffer, start: number, end: number): In;
  /** A message's payload; a string is sent as UTF-8. It is sent or copied before anything else happens. */
  encode(message: Out): Uint8Array | string;
}

/** A codec of plain bytes: frames are views of what was received. */
export function bytesCodec(framing: Framing): Codec<Buffer, Uint8Array | string> {
  return {
    framing,
    decode: (bytes, start, end) =>
      start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end),
    encode: (message) => message,
  };
}

/** A codec of text: no view is made, and nothing is borrowed. */
export function textCodec(framing: Framing, encoding: BufferEncoding): Codec<string> {
  const isUtf8 = encoding === 'utf8' || encoding === 'utf-8';
  return {
    framing,
    decode: (bytes, start, end) => bytes.toString(encoding, start, end),
    encode: isUtf8 ? (message) => message : (message) => Buffer.from(message, encoding),
  };
}

/** A codec whose messages are those of another, translated. What `decode` keeps of a borrowed frame it must copy. */
export function mapCodec<Inner, InnerOut, In, Out = In>(
  codec: Codec<Inner, InnerOut>,
  translation: { decode(message: Inner): In; encode(message: Out): InnerOut },
): Codec<In, Out> {
  return {
    framing: codec.framing,
    decode: (bytes, start, end) => translation.decode(codec.decode(bytes, start, end)),
    encode: (message) => codec.encode(translation.encode(message)),
  };
}

/**
 * A codec of JSON in frames: `jsonCodec<Request, Response>(lengthField())`. The types are what the program expects of
 * its peers; whether they keep to it has to be checked by the program.
 */
export function jsonCodec<In = unknown, Out = In>(
  codec: Codec<Buffer | string, Uint8Array | string> | Codec<string>,
): Codec<In, Out> {
  const inner = codec as Codec<Buffer | string, string>;
  return {
    framing: inner.framing,
    decode: (bytes, start, end) => JSON.parse(bytes.toString('utf8', start, end)) as In,
    encode: (message) => {
      const text = JSON.stringify(message) as string | undefined;
      if (text === undefined) {
        throw new TypeError(`Cannot send ${typeof message}: JSON has no such value`);
      }
      return inner.encode(text);
    },
  };
}
