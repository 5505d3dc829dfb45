/**
 * The traffic of the buffer comparison. Each workload has its bytes made beforehand, and `run` plays one round of it
 * on some connections; what a server would do with a message is reduced to looking at its first and last byte.
 */

import type { Contender } from './contender.js';

export interface Workload {
  readonly name: string;
  /** How many connections take turns: with more of them, memory of their own falls out of the processor's caches. */
  readonly connections: number;
  /** Of one round, over all connections. */
  readonly operations: number;
  readonly bytes: number;
  /** What an operation is. */
  readonly unit: string;
  run(contenders: readonly Contender[]): number;
}

const CHUNK_BYTES = 65536;
const FRAME_BYTES = 1 << 20;
const socket = Buffer.alloc(FRAME_BYTES + CHUNK_BYTES);

/** Frames of a 32-bit length and that many bytes, of 64 B to 1 KiB in all. */
function makeSmallFrames(count: number): { network: Buffer; ends: number[] } {
  const frames: Buffer[] = [];
  const ends: number[] = [];
  let end = 0;
  for (let i = 0; i < count; i++) {
    const size = 64 + ((i * 397) % 961);
    const frame = Buffer.alloc(size, i);
    frame.writeUInt32BE(size - 4);
    frames.push(frame);
    end += size;
    ends.push(end);
  }
  return { network: Buffer.concat(frames), ends };
}

/** Takes whole frames until there is no more. */
function takeFrames(contender: Contender): number {
  let seen = 0;
  for (;;) {
    if (contender.wanted < 0) {
      const size = contender.readUint32();
      if (size === undefined) {
        return seen;
      }
      contender.wanted = size;
    }
    const frame = contender.next(contender.wanted);
    if (frame === undefined) {
      return seen;
    }
    contender.wanted = -1;
    seen += frame[0]! + frame[frame.length - 1]!;
  }
}

/** One frame each time, as in a request and answer: every receive ends where a frame ends. */
function smallFramesOneByOne(connections: number): Workload {
  const { network, ends } = makeSmallFrames(256);
  return {
    name: `a1 frames 64 B-1 KiB, one a receive, ${connections} connections`,
    connections,
    operations: ends.length * connections,
    bytes: network.length * connections,
    unit: 'frame',
    run(contenders) {
      let seen = 0;
      let from = 0;
      for (const to of ends) {
        for (const contender of contenders) {
          contender.receive(network, from, to);
          seen += takeFrames(contender);
          contender.endTurn();
        }
        from = to;
      }
      return seen;
    },
  };
}

/** Frames that come many at a time and are cut anywhere. */
function smallFramesPipelined(receiveBytes: number): Workload {
  const { network, ends } = makeSmallFrames(4096);
  return {
    name: `a2 frames 64 B-1 KiB, ${receiveBytes} B a receive`,
    connections: 16,
    operations: ends.length * 16,
    bytes: network.length * 16,
    unit: 'frame',
    run(contenders) {
      let seen = 0;
      for (let from = 0; from < network.length; from += receiveBytes) {
        const to = Math.min(network.length, from + receiveBytes);
        for (const contender of contenders) {
          contender.receive(network, from, to);
          seen += takeFrames(contender);
          contender.endTurn();
        }
      }
      return seen;
    },
  };
}

/** 64 KiB a receive; the consumer takes records of 10,000 bytes, and keeps `backlog` bytes behind. */
function streaming(label: string, backlog: number): Workload {
  const connections = 8;
  const receives = 32;
  const network = Buffer.alloc(CHUNK_BYTES, 7);
  return {
    name: label,
    connections,
    operations: receives * connections,
    bytes: receives * connections * CHUNK_BYTES,
    unit: 'receive',
    run(contenders) {
      let seen = 0;
      for (let i = 0; i < receives; i++) {
        for (const contender of contenders) {
          contender.receive(network, 0, CHUNK_BYTES);
          while (contender.length >= backlog + 10_000) {
            const record = contender.next(10_000)!;
            seen += record[0]! + record[9_999]!;
          }
          contender.endTurn();
        }
      }
      for (const contender of contenders) {
        contender.skip(contender.length);
        contender.endTurn();
      }
      return seen;
    },
  };
}

/** Frames of 1 MiB in receives of 64 KiB: wanted in one piece, or handed on whole to another connection. */
function largeFrames(label: string, isForwarded: boolean): Workload {
  const connections = 4;
  const network = Buffer.alloc(CHUNK_BYTES, 9);
  const receives = FRAME_BYTES / CHUNK_BYTES;
  return {
    name: label,
    connections,
    operations: connections,
    bytes: FRAME_BYTES * connections,
    unit: 'frame',
    run(contenders) {
      let seen = 0;
      for (let i = 0; i < receives; i++) {
        for (const contender of contenders) {
          contender.receive(network, 0, CHUNK_BYTES);
          if (contender.length >= FRAME_BYTES) {
            if (isForwarded) {
              contender.forward(FRAME_BYTES, socket);
              seen += socket[FRAME_BYTES - 1]!;
            } else {
              const frame = contender.next(FRAME_BYTES)!;
              seen += frame[0]! + frame[FRAME_BYTES - 1]!;
            }
          }
          contender.endTurn();
        }
      }
      return seen;
    },
  };
}

export const workloads: readonly Workload[] = [
  smallFramesOneByOne(16),
  smallFramesOneByOne(2000),
  smallFramesPipelined(1460),
  smallFramesPipelined(CHUNK_BYTES),
  streaming('b1 stream of 64 KiB, the rest of a record left', 0),
  streaming('b2 stream of 64 KiB, 128 KiB always left', 131_072),
  largeFrames('c1 frames of 1 MiB by 64 KiB, taken in one piece', false),
  largeFrames('c2 frames of 1 MiB by 64 KiB, forwarded', true),
];
