/**
 * What framing costs without I/O: `npm run bench -- codec [--rounds N]`. CPU nanoseconds a frame, for each codec, with
 * frames of 64 B and 1,400 B in pieces of 64 KiB, as a server receives them; medians of the rounds, in which the codecs
 * take turns. The plainest form that a program might have instead stands beside: a Buffer.concat for each piece and a
 * loop over it; and, for one frame, cut into pieces of 1,400 B, what gathering costs.
 */

import {
  type Codec,
  delimited,
  encodeFrame,
  FrameDecoder,
  fixedLength,
  lengthField,
  lines,
  varintLength,
} from '../src/codec/index.js';
import { median } from './statistics.js';

const PIECE_BYTES = 65_536;
const STREAM_BYTES = 8 * 1024 * 1024;
const SIZES = [64, 1_400];

type Run = () => number;

function piecesOf(stream: Buffer, length: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < stream.byteLength; at += length) {
    pieces.push(stream.subarray(at, at + length));
  }
  return pieces;
}

function decoding<In>(codec: Codec<In, never>, stream: Buffer, pieceBytes: number): Run {
  const pieces = piecesOf(stream, pieceBytes);
  return () => {
    let frames = 0;
    const decoder = new FrameDecoder<In>(codec);
    const consumer = {
      onFrame() {
        frames += 1;
        return true;
      },
      onFrameError: () => false,
    };
    for (const piece of pieces) {
      decoder.push(piece, consumer);
    }
    return frames;
  };
}

/** What many programs have: all that is left is put before what comes. */
function concatenating(stream: Buffer, pieceBytes: number): Run {
  const pieces = piecesOf(stream, pieceBytes);
  return () => {
    let frames = 0;
    let kept: Buffer = Buffer.alloc(0);
    for (const piece of pieces) {
      kept = Buffer.concat([kept, piece]);
      while (kept.byteLength >= 4 && kept.byteLength >= 4 + kept.readUInt32BE()) {
        const length = kept.readUInt32BE();
        if (kept.subarray(4, 4 + length).byteLength === length) {
          frames += 1;
        }
        kept = kept.subarray(4 + length);
      }
    }
    return frames;
  };
}

function streamOf(codec: Codec<unknown, Uint8Array | string>, size: number): Buffer {
  const frame = encodeFrame(codec, Buffer.alloc(size, 'a'));
  return Buffer.concat(new Array<Buffer>(Math.ceil(STREAM_BYTES / frame.byteLength)).fill(frame));
}

function subjects(size: number): [name: string, run: Run][] {
  const bytes = [
    ['length field', lengthField()],
    ['varint', varintLength()],
    ['fixed length', fixedLength(size)],
    ['delimiter', delimited('\n')],
    ['three delimiters', delimited(['\n', '\0', '--end'])],
  ] as const;
  const all: [string, Run][] = bytes.map(([name, codec]) => [
    name,
    decoding(codec, streamOf(codec, size), PIECE_BYTES),
  ]);
  const text = lines() as Codec<string, string>;
  const lineStream = streamOf(delimited('\n'), size);
  all.push(['lines, as text', decoding(text as Codec<string, never>, lineStream, PIECE_BYTES)]);
  const stream = streamOf(lengthField(), size);
  all.push(['length field, by Buffer.concat', concatenating(stream, PIECE_BYTES)]);
  return all;
}

/** One large frame in small pieces. */
function gathering(): [name: string, run: Run][] {
  const stream = streamOf(lengthField(), 1_000_000);
  return [
    ['length field', decoding(lengthField(), stream, 1_400)],
    ['delimiter', decoding(delimited('\n'), streamOf(delimited('\n'), 1_000_000), 1_400)],
    ['length field, by Buffer.concat', concatenating(stream, 1_400)],
  ];
}

function measure(title: string, list: [name: string, run: Run][], rounds: number): void {
  const times = list.map((): number[] => []);
  for (let round = -2; round < rounds; round += 1) {
    for (const [i, [, run]] of list.entries()) {
      const start = process.cpuUsage();
      const frames = run();
      const { user, system } = process.cpuUsage(start);
      if (round >= 0) {
        times[i]!.push(((user + system) * 1_000) / frames);
      }
    }
  }
  process.stdout.write(`\n${title}: CPU nanoseconds a frame, medians of ${rounds} rounds\n`);
  for (const [i, [name]] of list.entries()) {
    process.stdout.write(`  ${name.padEnd(32)}${median(times[i]!).toFixed(0).padStart(12)}\n`);
  }
}

export function runCodecBenchmark(argv: readonly string[]): void {
  const at = argv.indexOf('--rounds');
  const rounds = at < 0 ? 15 : Number(argv[at + 1]);
  for (const size of SIZES) {
    measure(`frames of ${size} B in pieces of 64 KiB`, subjects(size), rounds);
  }
  measure('frames of 1 MB in pieces of 1,400 B', gathering(), Math.min(rounds, 5));
}
