/** websocket/receiver: each rule of RFC 6455 sections 5 to 8 as bytes and what they become, however they are cut. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { closePayload, type FrameOptions, frame, masked, OP } from './support/frames.js';
import { logOf, ReceiverLog } from './support/receiver-log.js';

const FIRST: FrameOptions = { fin: false };

function join(...frames: Buffer[]): Buffer {
  return Buffer.concat(frames);
}

test("the RFC's examples (section 5.7) are understood by the role that they are for", () => {
  const hello = Buffer.from('818537fa213d7f9f4d5158', 'hex');
  assert.deepEqual(logOf(hello), ['text "Hello"']);
  const asClient = { isServer: false };
  assert.deepEqual(logOf(Buffer.from('810548656c6c6f', 'hex'), asClient), ['text "Hello"']);
  const fragments = Buffer.from('010348656c80026c6f', 'hex');
  assert.deepEqual(logOf(fragments, asClient), ['text "Hello"']);
  assert.deepEqual(logOf(Buffer.from('890548656c6c6f', 'hex'), asClient), ['ping "Hello"']);
  assert.deepEqual(logOf(Buffer.from('8a8537fa213d7f9f4d5158', 'hex')), ['pong "Hello"']);
  for (const length of [256, 65_536]) {
    const bytes = frame(OP.BINARY, Buffer.alloc(length, 7));
    assert.deepEqual(logOf(bytes, asClient), [`binary ${length} B`]);
  }
});

test('messages of every length around the borders of the three forms', () => {
  for (const length of [0, 1, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537]) {
    const data = Buffer.alloc(length, 0x61);
    const log = new ReceiverLog();
    const received: Buffer[] = [];
    log.onMessage = (bytes) => received.push(Buffer.from(bytes));
    log.feed(join(masked(OP.BINARY, data), masked(OP.TEXT, data)), 4_093);
    assert.deepEqual(received, [data, data], `${length}`);
  }
});

test('control frames come between the fragments of a message, which stays whole', () => {
  const bytes = join(
    masked(OP.TEXT, 'Hel', FIRST),
    masked(OP.PING, 'a'),
    masked(OP.CONTINUATION, '', FIRST),
    masked(OP.PONG, Buffer.alloc(125, 0x62)),
    masked(OP.CONTINUATION, 'lo'),
    masked(OP.CLOSE, closePayload(1000, 'bye')),
  );
  const log = ['ping "a"', 'pong 125 B', 'text "Hello"', 'close 1000 "bye"'];
  assert.deepEqual(logOf(bytes), log);
});

const WRONG: readonly [what: string, bytes: Buffer, code: string][] = [
  ['RSV1 without an extension', masked(OP.TEXT, 'a', { rsv: 4 }), 'ERR_WS_RSV 1002'],
  ['RSV2', masked(OP.TEXT, 'a', { rsv: 2 }), 'ERR_WS_RSV 1002'],
  ['RSV3 on a ping', masked(OP.PING, 'a', { rsv: 1 }), 'ERR_WS_RSV 1002'],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
    .map((opcode) => [`opcode ${opcode}`, masked(opcode, 'a'), 'ERR_WS_OPCODE 1002'] as const)
    .map((row) => [...row] as [string, Buffer, string]),
  ['no mask', frame(OP.TEXT, 'a'), 'ERR_WS_UNMASKED 1002'],
  ['16 bits for 125', masked(OP.TEXT, 'a'.repeat(125), { lengthBits: 16 }), 'ERR_WS_LENGTH 1002'],
  [
    '64 bits for 65535',
    masked(OP.TEXT, '', { lengthBits: 64, length: 65_535n }),
    'ERR_WS_LENGTH 1002',
  ],
  ['2^63 bytes', masked(OP.TEXT, '', { lengthBits: 64, length: 1n << 63n }), 'ERR_WS_LENGTH 1002'],
  ['2^63 - 1 bytes', masked(OP.TEXT, '', { length: (1n << 63n) - 1n }), 'ERR_WS_TOO_BIG 1009'],
  ['2^53 bytes', masked(OP.BINARY, '', { length: 1n << 53n }), 'ERR_WS_TOO_BIG 1009'],
  ['1 MiB + 1', masked(OP.BINARY, '', { length: (1n << 20n) + 1n }), 'ERR_WS_TOO_BIG 1009'],
  ['ping of 126 bytes', masked(OP.PING, 'a'.repeat(126)), 'ERR_WS_CONTROL_LENGTH 1002'],
  ['close in 64 bits', masked(OP.CLOSE, 'ab', { lengthBits: 64 }), 'ERR_WS_CONTROL_LENGTH 1002'],
  ['fragmented ping', masked(OP.PING, 'a', FIRST), 'ERR_WS_CONTROL_FRAGMENT 1002'],
  ['continuation of nothing', masked(OP.CONTINUATION, 'a'), 'ERR_WS_CONTINUATION 1002'],
  [
    'two messages at once',
    join(masked(OP.TEXT, 'a', FIRST), masked(OP.TEXT, 'b')),
    'ERR_WS_INTERLEAVED 1002',
  ],
  [
    'RSV1 on a continuation',
    join(masked(OP.TEXT, 'a', FIRST), masked(OP.CONTINUATION, 'b', { rsv: 4 })),
    'ERR_WS_RSV 1002',
  ],
  ['close of one byte', masked(OP.CLOSE, 'a'), 'ERR_WS_CLOSE_LENGTH 1002'],
  [
    'close reason not UTF-8',
    masked(OP.CLOSE, closePayload(1000, Uint8Array.of(0xce, 0xba, 0xe1))),
    'ERR_WS_CLOSE_REASON 1007',
  ],
  ['text not UTF-8', masked(OP.TEXT, Uint8Array.of(0xc0, 0xaf)), 'ERR_WS_UTF8 1007'],
  ['text ends in a character', masked(OP.TEXT, Uint8Array.of(0x61, 0xce)), 'ERR_WS_UTF8 1007'],
  [
    'fragments end in a character',
    join(masked(OP.TEXT, Uint8Array.of(0xce), FIRST), masked(OP.CONTINUATION)),
    'ERR_WS_UTF8 1007',
  ],
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
    (code): [string, Buffer, string] => [
      `close code ${code}`,
      masked(OP.CLOSE, closePayload(code)),
      'ERR_WS_CLOSE_CODE 1002',
    ],
  ),
];

test('every violation fails with its code, and nothing after it is read', () => {
  for (const [what, bytes, code] of WRONG) {
    assert.deepEqual(logOf(join(bytes, masked(OP.PING, 'canary'))), [code], what);
  }
});

test('a client refuses masked frames', () => {
  assert.deepEqual(logOf(masked(OP.TEXT, 'a'), { isServer: false }), ['ERR_WS_MASKED 1002']);
});

test('every close code that may travel is reported, and nothing after it', () => {
  const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
  for (const code of [...codes, 3000, 3999, 4000, 4999]) {
    const bytes = join(masked(OP.CLOSE, closePayload(code)), masked(OP.PING, 'canary'));
    assert.deepEqual(logOf(bytes), [`close ${code} ""`]);
  }
  assert.deepEqual(logOf(masked(OP.CLOSE)), ['close 1005 ""']);
});

test('text that cannot become UTF-8 fails at that byte, before the frame is complete', () => {
  const start = Buffer.from('κόσμε');
  for (const wrong of [[0xf4, 0x90], [0xed, 0xa0], [0xc1], [0xff], [0xe0, 0x80]]) {
    const text = Buffer.concat([start, Uint8Array.from(wrong), Buffer.from('never sent')]);
    const bytes = masked(OP.TEXT, text);
    const log = new ReceiverLog();
    log.feed(bytes.subarray(0, 6 + start.length + wrong.length - 1), 1);
    assert.deepEqual(log.lines, []);
    log.feed(bytes.subarray(6 + start.length + wrong.length - 1, 6 + start.length + wrong.length));
    assert.deepEqual(log.lines, ['ERR_WS_UTF8 1007']);
  }
});

test('limits are those of a message, whatever its fragments', () => {
  const setting = { messageBytesMax: 10, fragmentsMax: 3 };
  const five = masked(OP.CONTINUATION, '12345', FIRST);
  assert.deepEqual(
    logOf(join(masked(OP.BINARY, '12345', FIRST), five, masked(OP.CONTINUATION)), setting),
    ['binary "1234512345"'],
  );
  assert.deepEqual(
    logOf(join(masked(OP.BINARY, '12345', FIRST), five, masked(OP.CONTINUATION, 'x')), setting),
    ['ERR_WS_TOO_BIG 1009'],
  );
  const empty = masked(OP.CONTINUATION, '', FIRST);
  assert.deepEqual(logOf(join(masked(OP.BINARY, '1', FIRST), empty, empty, empty), setting), [
    'ERR_WS_FRAGMENTS 1008',
  ]);
});

test('an announced length costs nothing: memory grows with what has come', () => {
  const log = new ReceiverLog({ messageBytesMax: 2 ** 31 - 1 });
  const before = process.memoryUsage().arrayBuffers;
  log.feed(masked(OP.BINARY, 'a', { length: 2n ** 31n - 1n }));
  assert.ok(process.memoryUsage().arrayBuffers - before < 65_536);
  assert.deepEqual(log.lines, []);
});

test('between messages nothing is held, and a pause leaves the rest of the bytes', () => {
  const log = new ReceiverLog();
  const bytes = join(
    masked(OP.TEXT, 'a', FIRST),
    masked(OP.CONTINUATION, 'b'),
    masked(OP.TEXT, 'c'),
  );
  log.feed(bytes.subarray(0, 9));
  assert.equal(log.receiver.isIdle, false);
  const rest = Buffer.from(bytes.subarray(9));
  log.onMessage = (data, isBinary) => {
    log.lines.push(`${isBinary} ${data}`);
    log.receiver.pause();
  };
  const taken = log.receiver.receive(rest, 0, rest.length, log);
  assert.equal(taken, rest.length - 7);
  assert.equal(log.receiver.isIdle, true);
  assert.equal(log.receiver.receive(rest, taken, rest.length, log), taken);
  log.receiver.resume();
  assert.equal(log.receiver.receive(rest, taken, rest.length, log), rest.length);
  assert.deepEqual(log.lines, ['false ab', 'false c']);
});

test('any bytes: the same events however they are cut, no exception, and never past a failure', () => {
  const opcodes = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(0, 1, 2, 8, 9, 10) },
    fc.nat(15),
  );
  const aFrame = fc
    .record({
      opcode: opcodes,
      fin: fc.boolean(),
      rsv: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, fc.nat(7)),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.string({ unit: 'binary', maxLength: 90 }),
      ),
      mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    })
    .map(({ opcode, payload, ...options }) => frame(opcode, payload, options));
  const stream = fc.array(
    fc.oneof(
      { weight: 9, arbitrary: aFrame },
      fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b)),
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(stream, fc.integer({ min: 1, max: 50 }), (frames, step) => {
      const bytes = Buffer.concat(frames);
      const setting = { messageBytesMax: 500, fragmentsMax: 5 };
      const whole = new ReceiverLog(setting).feed(bytes).lines;
      assert.deepEqual(new ReceiverLog(setting).feed(bytes, step).lines, whole);
      const end = whole.findIndex((line) => line.startsWith('ERR') || line.startsWith('close'));
      assert.ok(end < 0 || end === whole.length - 1);
    }),
    { numRuns: 1_000 },
  );
});

test('a message comes out as it went in, whatever its fragments, masks and cuts', () => {
  const message = fc.record({
    text: fc.string({ unit: 'grapheme', maxLength: 400 }),
    cuts: fc.array(fc.nat(1_600), { maxLength: 5 }),
    mask: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 5 }),
      fc.integer({ min: 1, max: 400 }),
      (messages, step) => {
        const frames: Buffer[] = [];
        for (const { text, cuts, mask } of messages) {
          const data = Buffer.from(text);
          const borders = [
            0,
            ...cuts.map((cut) => Math.min(cut, data.length)).sort((a, b) => a - b),
            data.length,
          ];
          for (let i = 1; i < borders.length; i += 1) {
            const opcode = i === 1 ? OP.TEXT : OP.CONTINUATION;
            const fin = i === borders.length - 1;
            frames.push(frame(opcode, data.subarray(borders[i - 1], borders[i]), { fin, mask }));
          }
        }
        const received: string[] = [];
        const log = new ReceiverLog();
        log.onMessage = (data) => received.push(data.toString());
        log.feed(Buffer.concat(frames), step);
        assert.deepEqual(log.lines, []);
        assert.deepEqual(
          received,
          messages.map(({ text }) => Buffer.from(text).toString()),
        );
        assert.equal(log.receiver.isIdle, true);
      },
    ),
    { numRuns: 500 },
  );
});
