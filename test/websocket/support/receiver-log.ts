/** What a receiver reports, as lines: the same for every way in which the bytes are cut. */

import assert from 'node:assert/strict';

import type { Decompressor, FrameSink } from '../../../src/websocket/frame-sink.js';
import { Receiver } from '../../../src/websocket/receiver.js';

/** A whole frame, and no multiple of a word. */
const AROUND = Buffer.from([0x89, 0x83, 1, 2, 3, 4, 5, 6, 7]);

export interface Setting {
  readonly isServer?: boolean;
  readonly messageBytesMax?: number;
  readonly fragmentsMax?: number;
  readonly decompressor?: Decompressor;
}

function show(data: Buffer): string {
  return data.length > 64 ? `${data.length} B` : JSON.stringify(data.toString('latin1'));
}

export class ReceiverLog implements FrameSink {
  readonly lines: string[] = [];
  readonly receiver: Receiver;

  constructor(setting: Setting = {}) {
    const { isServer = true, messageBytesMax = 1 << 20, fragmentsMax = 1_024 } = setting;
    const limits = { isServer, messageBytesMax, fragmentsMax };
    this.receiver = new Receiver(limits, setting.decompressor);
  }

  /** The bytes are changed by a receiver: it gets a copy. Those around it are to stay as they are. */
  feed(bytes: Uint8Array, step: number = bytes.byteLength): this {
    for (let at = 0; at < bytes.byteLength; at += step) {
      const piece = bytes.subarray(at, at + step);
      const memory = Buffer.concat([AROUND, piece, AROUND]);
      const end = AROUND.length + piece.length;
      this.receiver.receive(memory, AROUND.length, end, this);
      assert.ok(memory.subarray(0, AROUND.length).equals(AROUND), 'changed before the bytes');
      assert.ok(memory.subarray(end).equals(AROUND), 'changed after the bytes');
    }
    return this;
  }

  onMessage(data: Buffer, isBinary: boolean): void {
    this.lines.push(`${isBinary ? 'binary' : 'text'} ${show(data)}`);
  }

  onPing(data: Buffer): void {
    this.lines.push(`ping ${show(data)}`);
  }

  onPong(data: Buffer): void {
    this.lines.push(`pong ${show(data)}`);
  }

  onCloseFrame(code: number, reason: Buffer): void {
    this.lines.push(`close ${code} ${show(reason)}`);
  }

  onDeferred(): void {
    this.lines.push('deferred');
  }

  onInflated(): void {
    this.receiver.receive(Buffer.alloc(0), 0, 0, this);
  }

  onViolation({ code, closeCode }: { code: string; closeCode: number }): void {
    this.lines.push(`${code} ${closeCode}`);
  }
}

/** The lines for `bytes`, which must be the same whole, byte by byte, and in steps of three and seven. */
export function logOf(bytes: Uint8Array, setting: Setting = {}): string[] {
  const whole = new ReceiverLog(setting).feed(bytes).lines;
  for (const step of [1, 3, 7]) {
    const { lines } = new ReceiverLog(setting).feed(bytes, step);
    if (JSON.stringify(lines) !== JSON.stringify(whole)) {
      throw new Error(`In steps of ${step}: ${lines.join(' | ')}; whole: ${whole.join(' | ')}`);
    }
  }
  return whole;
}
