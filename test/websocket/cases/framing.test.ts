/**
 * Framing, pings, reserved bits, opcodes and fragments: the cases that the Autobahn suite numbers 1 to 5 and 10,
 * written from RFC 6455, for both roles over real sockets.
 */

import { after, before, test } from 'node:test';

import { type CasePeer, CaseRig, ROLES } from '../support/case-peer.js';
import { OP } from '../support/frames.js';

let rig: CaseRig;
before(async () => {
  rig = await CaseRig.start();
});
after(() => rig.close());

const { CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG } = OP;

/** Frames that are sent, in pieces of `chop` bytes (0: all at once), and what ours answers. */
interface Case {
  readonly id: string;
  readonly send: (peer: CasePeer) => Buffer[];
  readonly expect?: readonly string[];
  /** The code that ours fails with after that; none: it is well. */
  readonly fails?: number;
  readonly chop?: number;
  /** Each frame in a piece of its own. */
  readonly framewise?: boolean;
}

async function run(cases: readonly Case[]): Promise<void> {
  for (const role of ROLES) {
    for (const { id, send, expect = [], fails, chop, framewise } of cases) {
      const peer = await rig.open(role);
      const frames = send(peer);
      if (framewise) {
        for (const one of frames) {
          await peer.send(one);
          await new Promise((resolve) => setImmediate(resolve));
        }
      } else {
        await peer.send(Buffer.concat(frames), chop);
      }
      await peer.expect(id, expect);
      if (fails === undefined) await peer.finish(id);
      else await peer.expectFailure(id, fails);
    }
  }
}

const FIRST = { fin: false };
const HELLO = 'Hello, world!';

test('1.1 and 1.2: messages of 0 to 65,536 bytes, and in pieces of 997', async () => {
  const sizes = [0, 125, 126, 127, 128, 65_535, 65_536];
  const kinds = [
    ['1.1', TEXT, 'text', '*'],
    ['1.2', BINARY, 'binary', '\xfe'],
  ] as const;
  for (const [section, opcode, name, fill] of kinds) {
    const expected = (size: number) =>
      size > 200 ? `${name} ${size} B` : `${name} ${Buffer.alloc(size, fill, 'latin1')}`.trim();
    const rows = sizes.map(
      (size, i): Case => ({
        id: `${section}.${i + 1}`,
        send: (peer) => [peer.frame(opcode, Buffer.alloc(size, fill, 'latin1'))],
        expect: [expected(size)],
      }),
    );
    await run([...rows, { ...rows[6]!, id: `${section}.8`, chop: 997 }]);
  }
});

const BYTES = Buffer.from([0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]);
const TEN = Array.from({ length: 10 }, (_, i) => `payload-${i}`);

test('2: pings are answered with their payload, in order; pongs are not', async () => {
  const ping = (id: string, payload: Uint8Array | string, chop?: number): Case => ({
    id,
    send: (peer) => [peer.frame(PING, payload)],
    expect: [`pong ${Buffer.from(payload as string)}`.trim()],
    ...(chop === undefined ? {} : { chop }),
  });
  await run([
    ping('2.1', ''),
    ping('2.2', HELLO),
    ping('2.3', BYTES),
    ping('2.4', Buffer.alloc(125, 0xfe)),
    { id: '2.5', send: (peer) => [peer.frame(PING, Buffer.alloc(126, 0xfe))], fails: 1002 },
    ping('2.6', Buffer.alloc(125, 0xfe), 1),
    { id: '2.7', send: (peer) => [peer.frame(PONG)] },
    { id: '2.8', send: (peer) => [peer.frame(PONG, 'unsolicited')] },
    {
      id: '2.9',
      send: (peer) => [peer.frame(PONG, 'unsolicited'), peer.frame(PING, 'ping')],
      expect: ['pong ping'],
    },
    {
      id: '2.10',
      send: (peer) => TEN.map((text) => peer.frame(PING, text)),
      expect: TEN.map((text) => `pong ${text}`),
    },
    {
      id: '2.11',
      send: (peer) => TEN.map((text) => peer.frame(PING, text)),
      expect: TEN.map((text) => `pong ${text}`),
      chop: 1,
    },
  ]);
});

test('3: reserved bits without an extension fail the connection, after what came before', async () => {
  const second = (id: string, rsv: number, more: Partial<Case>): Case => ({
    id,
    send: (peer) => [peer.frame(TEXT, HELLO), peer.frame(TEXT, HELLO, { rsv }), peer.frame(PING)],
    expect: [`text ${HELLO}`],
    fails: 1002,
    ...more,
  });
  const alone = (id: string, opcode: number, rsv: number, payload: Uint8Array | string): Case => ({
    id,
    send: (peer) => [peer.frame(opcode, payload, { rsv })],
    fails: 1002,
  });
  await run([
    alone('3.1', TEXT, 1, HELLO),
    second('3.2', 2, {}),
    second('3.3', 3, { framewise: true }),
    second('3.4', 4, { chop: 1 }),
    alone('3.5', BINARY, 5, BYTES),
    alone('3.6', PING, 6, HELLO),
    alone('3.7', CLOSE, 7, ''),
  ]);
});

test('4: reserved opcodes fail the connection, after what came before', async () => {
  const rows: Case[] = [];
  for (const [section, base] of [
    ['4.1', 3],
    ['4.2', 11],
  ] as const) {
    for (let i = 0; i < 5; i += 1) {
      const payload = i === 0 || i === 2 ? '' : 'reserved opcode payload';
      const bad = (peer: CasePeer) => peer.frame(base + i, payload);
      rows.push({
        id: `${section}.${i + 1}`,
        send: (peer) =>
          i < 2 ? [bad(peer)] : [peer.frame(TEXT, HELLO), bad(peer), peer.frame(PING)],
        expect: i < 2 ? [] : [`text ${HELLO}`],
        fails: 1002,
        ...(i === 3 ? { framewise: true } : {}),
        ...(i === 4 ? { chop: 1 } : {}),
      });
    }
  }
  await run(rows);
});

/** A case three times: at once, frame by frame, byte by byte. */
function threeWays(ids: readonly string[], row: Omit<Case, 'id'>): Case[] {
  const ways: Partial<Case>[] = [{}, { framewise: true }, { chop: 1 }];
  return ids.map((id, i) => ({ id, ...row, ...ways[i] }));
}

test('5.1 to 5.8: control frames are not fragmented, and come between fragments', async () => {
  const fragments = (opcode: number) => (peer: CasePeer) => [
    peer.frame(opcode, 'fragment1', FIRST),
    peer.frame(CONTINUATION, 'fragment2'),
  ];
  await run([
    { id: '5.1', send: fragments(PING), fails: 1002 },
    { id: '5.2', send: fragments(PONG), fails: 1002 },
    ...threeWays(['5.3', '5.4', '5.5'], {
      send: fragments(TEXT),
      expect: ['text fragment1fragment2'],
    }),
    ...threeWays(['5.6', '5.7', '5.8'], {
      send: (peer) => [
        peer.frame(TEXT, 'fragment1', FIRST),
        peer.frame(PING, 'ping payload'),
        peer.frame(CONTINUATION, 'fragment2'),
      ],
      expect: ['pong ping payload', 'text fragment1fragment2'],
    }),
  ]);
});

test('5.9 to 5.18: continuations need something to continue, and messages do not mix', async () => {
  const continued = (fin: boolean) => (peer: CasePeer) => [
    peer.frame(CONTINUATION, 'non-continuation payload', { fin }),
    peer.frame(TEXT, HELLO),
  ];
  const twice = (fin: boolean) => (peer: CasePeer) =>
    [1, 2].flatMap(() => [
      peer.frame(CONTINUATION, 'fragment1', { fin }),
      peer.frame(TEXT, 'fragment2', FIRST),
      peer.frame(CONTINUATION, 'fragment3'),
    ]);
  await run([
    ...threeWays(['5.9', '5.10', '5.11'], { send: continued(true), fails: 1002 }),
    ...threeWays(['5.12', '5.13', '5.14'], { send: continued(false), fails: 1002 }),
    {
      id: '5.15',
      send: (peer) => [
        peer.frame(TEXT, 'fragment1', FIRST),
        peer.frame(CONTINUATION, 'fragment2'),
        peer.frame(CONTINUATION, 'fragment3', FIRST),
        peer.frame(TEXT, 'fragment4'),
      ],
      expect: ['text fragment1fragment2'],
      fails: 1002,
    },
    { id: '5.16', send: twice(false), fails: 1002 },
    { id: '5.17', send: twice(true), fails: 1002 },
    {
      id: '5.18',
      send: (peer) => [peer.frame(TEXT, 'fragment1', FIRST), peer.frame(TEXT, 'fragment2')],
      fails: 1002,
    },
  ]);
});

test('5.19 and 5.20: five fragments with pings between, with a wait', async () => {
  for (const role of ROLES) {
    for (const [id, chop] of [
      ['5.19', undefined],
      ['5.20', 1],
    ] as const) {
      const peer = await rig.open(role);
      const send = (frames: Buffer[]) => peer.send(Buffer.concat(frames), chop);
      await send([
        peer.frame(TEXT, 'fragment1', FIRST),
        peer.frame(CONTINUATION, 'fragment2', FIRST),
        peer.frame(PING, 'pongme 1!'),
      ]);
      // The first part was dealt with before the second is sent.
      await peer.expect(id, ['pong pongme 1!']);
      await send([
        peer.frame(CONTINUATION, 'fragment3', FIRST),
        peer.frame(PING, 'pongme 2!'),
        peer.frame(CONTINUATION, 'fragment4', FIRST),
        peer.frame(CONTINUATION, 'fragment5'),
      ]);
      const text = 'fragment1fragment2fragment3fragment4fragment5';
      await peer.expect(id, ['pong pongme 2!', `text ${text}`]);
      await peer.finish(id);
    }
  }
});

test('10.1.1: 65,536 bytes in fragments of 1,300', async () => {
  await run([
    {
      id: '10.1.1',
      send: (peer) =>
        Array.from({ length: Math.ceil(65_536 / 1_300) }, (_, i) =>
          peer.frame(
            i === 0 ? TEXT : CONTINUATION,
            '*'.repeat(Math.min(1_300, 65_536 - i * 1_300)),
            {
              fin: (i + 1) * 1_300 >= 65_536,
            },
          ),
        ),
      expect: ['text 65536 B'],
    },
  ]);
});
