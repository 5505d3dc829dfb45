/**
 * A server of length-prefixed frames on the pull reader, which takes one frame for each call of its hook and no more.
 * It answers each frame with its number, its length and the start of its hash; `echo` sends the frame itself instead,
 * as a slice without a copy. `pause` stops reading after each frame and goes on later.
 */

import { createHash } from 'node:crypto';

import type { Connection, Handler } from '../../../src/index.js';
import { hello, observed } from '../observed.js';
import { ACK_BYTES, ACK_HASH_BYTES, HEADER_BYTES } from './framed-layout.js';

export interface FramedData {
  readonly answer: 'ack' | 'echo';
  readonly pause: boolean;
}

interface Context {
  frames: number;
}

/** Calls of the hook that found a frame, and those that did not. */
let taken = 0;
let incomplete = 0;
/** Unread bytes when the peer's end was reported. */
let leftOver = 0;

export function handler(data: FramedData): Handler {
  taken = 0;
  incomplete = 0;
  leftOver = 0;
  return observed({
    onOpen(connection) {
      connection.context = { frames: 0 } satisfies Context;
      connection.write(hello(connection));
    },
    onReadable(connection) {
      const { reader } = connection;
      const header = reader.peek(HEADER_BYTES);
      const length = header?.readUInt32BE() ?? 0;
      if (header === undefined || reader.length < HEADER_BYTES + length) {
        incomplete += 1;
        return;
      }
      taken += 1;
      take(connection, length, data);
      if (data.pause) {
        connection.pause();
        connection.reactor.execute(() => connection.resume());
      }
    },
    onEnd(connection) {
      leftOver += connection.reader.length;
    },
    tasks: {
      counts: () => ({ taken, incomplete, leftOver }),
    },
  });
}

function take(connection: Connection, length: number, { answer }: FramedData): void {
  const { reader } = connection;
  const context = connection.context as Context;
  if (answer === 'echo') {
    const frame = reader.slice(HEADER_BYTES + length)!;
    connection.writer.append(frame);
    frame.release();
    demand(connection.writer.flush());
  } else {
    reader.skip(HEADER_BYTES);
    const hash = createHash('sha256').update(reader.next(length)!).digest();
    const ack = Buffer.alloc(ACK_BYTES);
    ack.writeUInt32BE(context.frames, 0);
    ack.writeUInt32BE(length, 4);
    hash.copy(ack, 8, 0, ACK_HASH_BYTES);
    demand(connection.write(ack));
  }
  context.frames += 1;
}

function demand(result: string): void {
  if (result !== 'sent' && result !== 'queued') {
    throw new Error(`An answer is ${result}`);
  }
}
