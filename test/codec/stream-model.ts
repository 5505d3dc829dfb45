/** Cuts streams in any way, and notes what a decoder makes of them. */

import fc from 'fast-check';

import { type Codec, FrameDecoder, type FrameError } from '../../src/codec/index.js';

export interface DecodeNotes<In> {
  readonly frames: In[];
  readonly errors: string[];
  keptBytes: number;
}

/** A stream and where it is cut. */
export function cuts(): fc.Arbitrary<number[]> {
  return fc.array(fc.nat({ max: 300 }), { maxLength: 24 });
}

/** The pieces of a stream: of the lengths given, over and over; a length of 0 is a piece without bytes. */
export function piecesOf(stream: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < stream.byteLength; i += 1) {
    // The list is used again with at least a byte a piece, so that it comes to an end.
    const length = lengths.length === 0 ? stream.byteLength : lengths[i % lengths.length]!;
    const n = i < lengths.length ? length : Math.max(1, length);
    // A copy, filled with other bytes afterwards: nothing may be kept by reference.
    pieces.push(Buffer.from(stream.subarray(at, at + n)));
    at += n;
  }
  return pieces;
}

export interface DecodeHabits {
  /** Stops after every so many frames; then pushes nothing until it goes on. */
  readonly stopEvery?: number;
  readonly skips?: boolean;
  readonly ends?: boolean;
}

const AROUND = Buffer.from([10, 0, 0, 1, 13, 10]);

/** Decodes; frames are copied when they come, and the pieces overwritten after each push. */
export function decodeAll<In>(
  codec: Codec<In, never>,
  pieces: readonly Buffer[],
  copy: (frame: In) => In,
  habits: DecodeHabits = {},
): DecodeNotes<In> {
  const notes: DecodeNotes<In> = { frames: [], errors: [], keptBytes: 0 };
  const decoder = new FrameDecoder<In>(codec);
  const consumer = {
    onFrame(frame: In): boolean {
      notes.frames.push(copy(frame));
      return habits.stopEvery === undefined || notes.frames.length % habits.stopEvery !== 0;
    },
    onFrameError(error: FrameError): boolean {
      notes.errors.push(error.code);
      return habits.skips === true;
    },
  };
  for (const piece of pieces) {
    // As a driver may have it: in larger memory, between bytes that are nobody's business.
    const memory = Buffer.concat([AROUND, piece, AROUND]);
    decoder.push(memory, consumer, AROUND.length, AROUND.length + piece.length);
    memory.fill(0xee);
    while (decoder.isStopped) {
      decoder.push(Buffer.alloc(0), consumer);
    }
  }
  notes.keptBytes = decoder.keptBytes;
  if (habits.ends !== false) {
    decoder.end(consumer);
  }
  return notes;
}

export function copyBytes(frame: Buffer): Buffer {
  return Buffer.from(frame);
}
