/**
 * Which zlib for permessage-deflate: `npm run bench -- websocket-deflate [--rounds N]`. Medians in microseconds for a
 * message of JSON-like text, compressed and inflated: through the FFI with one context that forgets or keeps; by
 * node:zlib's synchronous calls, which make a context each time; and by the undocumented handle of a node:zlib stream.
 */

import {
  constants,
  createDeflateRaw,
  createInflateRaw,
  deflateRawSync,
  inflateRawSync,
} from 'node:zlib';

import { Deflater } from '../src/websocket/deflate.js';
import { Inflater } from '../src/websocket/inflate.js';
import { median } from './statistics.js';

const SIZES = [128, 1_024, 16_384, 262_144];
const finishFlush = constants.Z_SYNC_FLUSH;

interface Handle {
  writeSync(flush: number, ...ranges: (Uint8Array | number)[]): void;
  reset(): void;
}

/** A stream's synchronous write, as Node's own code calls it. */
function handleOf(stream: object): (data: Buffer, target: Buffer) => number {
  const { _handle: handle, _writeState: state } = stream as {
    _handle: Handle;
    _writeState: Uint32Array;
  };
  return (data, target) => {
    handle.reset();
    handle.writeSync(finishFlush, data, 0, data.length, target, 0, target.length);
    return target.length - state[0];
  };
}

function prepare(size: number): Record<string, () => unknown> {
  const record = (i: number) => `{"id":${i},"name":"item ${i}","value":${(i * 7919) % 1000}},`;
  const text = Buffer.from(
    Array.from({ length: 8_000 }, (_, i) => record(i))
      .join('')
      .slice(0, size),
  );
  const packed = deflateRawSync(text, { finishFlush });
  const message = packed.subarray(0, -4);
  const target = Buffer.alloc(size + 1_024);
  const deflaters = [false, true].map((keeps) => new Deflater(15, 6, 8, keeps));
  const inflater = new Inflater(15, false, 1_000);
  const deflateHandle = handleOf(createDeflateRaw());
  const inflateHandle = handleOf(createInflateRaw());
  return {
    'deflate, FFI': () => deflaters[0].deflate(text),
    'deflate, FFI, keeps': () => deflaters[1].deflate(text),
    deflateRawSync: () => deflateRawSync(text, { finishFlush }),
    'deflate, handle': () => deflateHandle(text, target),
    'inflate, FFI': () => inflater.inflate(message, 1 << 24),
    inflateRawSync: () => inflateRawSync(packed, { finishFlush }),
    'inflate, handle': () => inflateHandle(packed, target),
  };
}

export function runWebSocketDeflateBenchmark(argv: readonly string[]): void {
  const at = argv.indexOf('--rounds');
  const rounds = at < 0 ? 11 : Number(argv[at + 1]);
  const rows = SIZES.map((size) => {
    const calls = Math.ceil(2_000_000 / (size + 2_000));
    const figures = Object.entries(prepare(size)).map(([name, run]) => {
      const times = Array.from({ length: rounds }, () => {
        const start = performance.now();
        for (let i = 0; i < calls; i += 1) run();
        return ((performance.now() - start) * 1e3) / calls;
      });
      return [name, Math.round(median(times) * 10) / 10];
    });
    return { bytes: size, ...Object.fromEntries(figures) };
  });
  console.table(rows);
}
