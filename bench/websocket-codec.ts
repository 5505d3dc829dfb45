/**
 * What the WebSocket protocol costs without I/O: `npm run bench -- websocket-codec [--rounds N]`. Masking, UTF-8
 * checks and receiving whole messages, by size; medians of the rounds, in nanoseconds for each operation. The plain
 * forms that were not taken stand beside: masking byte by byte, and UTF-8 by Node's `isUtf8` alone.
 */

import { isUtf8 } from 'node:buffer';

import { FIN, headerBytes, TEXT, writeHeader } from '../src/websocket/frame.js';
import type { FrameSink } from '../src/websocket/frame-sink.js';
import { mask } from '../src/websocket/mask.js';
import { Receiver } from '../src/websocket/receiver.js';
import { checkUtf8, isWholeUtf8 } from '../src/websocket/utf8.js';
import { median } from './statistics.js';

const SIZES = [8, 32, 48, 64, 128, 512, 4_096, 65_536];
const KEY = 0x3d21fa37;
/** Bytes handled in one timing. */
const BYTES_A_ROUND = 8 * 1024 * 1024;
const CALLS_MAX = 200_000;

function maskByBytes(bytes: Uint8Array, start: number, end: number, key: number): void {
  const octets = [key & 255, (key >>> 8) & 255, (key >>> 16) & 255, key >>> 24];
  for (let i = start; i < end; i += 1) {
    bytes[i] ^= octets[(i - start) & 3];
  }
}

const NOTHING: FrameSink = {
  onMessage: () => {},
  onPing: () => {},
  onPong: () => {},
  onCloseFrame: () => {},
  onDeferred: () => {},
  onInflated: () => {},
  onViolation: ({ code }) => {
    throw new Error(code);
  },
};

/** Each gets the size and the number of calls, and returns what is to be timed. */
const SUBJECTS: Readonly<Record<string, (size: number) => (calls: number) => void>> = {
  'mask, words': (size) => {
    const bytes = Buffer.alloc(size + 6);
    return (calls) => {
      for (let i = 0; i < calls; i += 1) mask(bytes, 6, size + 6, KEY, 0);
    };
  },
  'mask, bytes': (size) => {
    const bytes = Buffer.alloc(size + 6);
    return (calls) => {
      for (let i = 0; i < calls; i += 1) maskByBytes(bytes, 6, size + 6, KEY);
    };
  },
  'UTF-8, whole': (size) => {
    const bytes = Buffer.alloc(size, 'The quick brown fox, größer. ');
    return (calls) => {
      for (let i = 0; i < calls; i += 1) isWholeUtf8(bytes);
    };
  },
  'UTF-8, piece': (size) => {
    const bytes = Buffer.alloc(size, 'The quick brown fox, größer. ');
    return (calls) => {
      for (let i = 0; i < calls; i += 1) checkUtf8(0, bytes, 0, size);
    };
  },
  'UTF-8, isUtf8': (size) => {
    const bytes = Buffer.alloc(size, 'The quick brown fox, größer. ');
    return (calls) => {
      for (let i = 0; i < calls; i += 1) isUtf8(bytes);
    };
  },
  'receive, text': (size) => {
    const receiver = new Receiver({ isServer: true, messageBytesMax: 1 << 20, fragmentsMax: 1 });
    const bytes = Buffer.alloc(headerBytes(size, true) + size);
    const at = writeHeader(bytes, 0, FIN | TEXT, size, 0);
    bytes.fill('a', at);
    return (calls) => {
      for (let i = 0; i < calls; i += 1) receiver.receive(bytes, 0, bytes.length, NOTHING);
    };
  },
};

/** Nanoseconds for a call of each subject, by size. */
export function runWebSocketBenchmark(argv: readonly string[]): void {
  const at = argv.indexOf('--rounds');
  const rounds = at < 0 ? 15 : Number(argv[at + 1]);
  const rows = SIZES.map((size) => {
    const calls = Math.min(CALLS_MAX, Math.ceil(BYTES_A_ROUND / size));
    const figures = Object.entries(SUBJECTS).map(([name, prepare]) => {
      const run = prepare(size);
      run(calls);
      const times = Array.from({ length: rounds }, () => {
        const start = performance.now();
        run(calls);
        return ((performance.now() - start) * 1e6) / calls;
      });
      return [name, Math.round(median(times) * 10) / 10];
    });
    return { bytes: size, ...Object.fromEntries(figures) };
  });
  console.table(rows);
}
