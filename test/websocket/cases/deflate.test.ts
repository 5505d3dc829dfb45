/**
 * permessage-deflate: the cases that the Autobahn suite numbers 12 (kinds of content) and 13 (negotiated parameters),
 * for both roles over real sockets, with npm `ws` as the other side, which has contexts of its own.
 *
 * The suite sends 1,000 messages in each case; here it is as many as make VOLUME, at least three, so that contexts are
 * used again.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';

import { WebSocket as WsClient, WebSocketServer } from 'ws';

import { settled } from '../../support/await-condition.js';
import { CaseRig, ROLES, type Role } from '../support/case-peer.js';

const VOLUME = 64 * 1_024;
const MESSAGES_MIN = 3;
const MESSAGES_MAX = 1_000;

/** Bytes of a message, and of the fragments that it is sent in (0: whole). */
const SHAPES: readonly (readonly [size: number, fragment: number])[] = [
  ...[16, 64, 256, 1_024, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072].map(
    (n) => [n, 0] as const,
  ),
  ...[8_192, 16_384, 32_768, 65_536, 131_072].map((n) => [n, 256] as const),
  ...[1_024, 4_096, 32_768].map((n) => [131_072, n] as const),
];

let rig: CaseRig;
let wsServer: WebSocketServer;
before(async () => {
  rig = await CaseRig.start();
});
after(async () => {
  wsServer?.close();
  await rig.close();
});

interface Offer {
  readonly forget: boolean;
  /** 0: not mentioned. */
  readonly bits: number;
}

/** What ws offers, or as a server asks for: on both directions. */
function parametersOf({ forget, bits }: Offer, role: Role): object {
  return {
    threshold: 0,
    serverNoContextTakeover: forget,
    clientNoContextTakeover: forget,
    ...(bits === 0 ? {} : { serverMaxWindowBits: bits }),
    // As a client, ws without this offers to take any.
    ...(bits === 0
      ? role === 'server'
        ? { clientMaxWindowBits: true }
        : {}
      : { clientMaxWindowBits: bits }),
  };
}

/** ws, connected to ours in a role; its messages are collected. */
async function openWs(role: Role, offer: Offer): Promise<WsClient> {
  const perMessageDeflate = parametersOf(offer, role);
  if (role === 'server') {
    const client = new WsClient(rig.wsUrl, { perMessageDeflate });
    await once(client, 'open');
    return client;
  }
  wsServer?.close();
  wsServer = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate });
  await once(wsServer, 'listening');
  const { port } = wsServer.address() as AddressInfo;
  const connected = once(wsServer, 'connection') as Promise<[WsClient]>;
  await rig.connectTo(`ws://127.0.0.1:${port}/`);
  const [socket] = await connected;
  return socket;
}

function sendIn(socket: WsClient, data: Buffer, binary: boolean, fragment: number): void {
  if (fragment === 0) {
    socket.send(data, { binary, compress: true });
    return;
  }
  for (let at = 0; at < data.length; at += fragment) {
    const fin = at + fragment >= data.length;
    socket.send(data.subarray(at, at + fragment), { binary, compress: true, fin });
  }
}

async function runCase(
  id: string,
  role: Role,
  content: Content,
  shape: (typeof SHAPES)[number],
  offer: Offer,
) {
  const [size, fragment] = shape;
  const socket = await openWs(role, offer);
  assert.match(socket.extensions, /^permessage-deflate/, id);
  const count = Math.min(MESSAGES_MAX, Math.max(MESSAGES_MIN, Math.floor(VOLUME / size)));
  const received: Buffer[] = [];
  const messages = Array.from({ length: count }, (_, i) => content.part(i, size));
  const all = new Promise<void>((resolve, reject) => {
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      received.push(data);
      if (isBinary !== content.isBinary) reject(new Error(`${id}: binary is ${isBinary}`));
      if (received.length === count) resolve();
    });
    socket.on('close', (code) =>
      reject(new Error(`${id}, ours is the ${role}: closed with ${code}`)),
    );
  });
  for (const message of messages) sendIn(socket, message, content.isBinary, fragment);
  await settled(all, `${id}, ours is the ${role}, ${count} messages of ${size} bytes`);
  for (const [i, message] of messages.entries()) {
    assert.ok(received[i]!.equals(message), `${id}, ours is the ${role}: message ${i}`);
  }
  socket.removeAllListeners('close');
  socket.close(1000);
  const [code] = await once(socket, 'close');
  assert.equal(code, 1000, id);
}

class Content {
  readonly isBinary: boolean;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, isBinary: boolean) {
    this.#bytes = bytes;
    this.isBinary = isBinary;
  }

  /** The `i`th message, going round at the end of the content. */
  part(i: number, size: number): Buffer {
    const start = (i * size) % (this.#bytes.length - size);
    return this.#bytes.subarray(start, start + size);
  }
}

const LENGTH = 300_000;

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 8) / 2 ** 24;
  };
}

function repeat(make: (i: number) => string): Buffer {
  let text = '';
  for (let i = 0; text.length < LENGTH; i += 1) text += make(i);
  return Buffer.from(text, 'latin1');
}

const next = random(7);
const WORDS =
  'the reactor of a server turns while water drives its wheel and nobody waits for long'.split(' ');
const word = () => WORDS[Math.floor(next() * WORDS.length)]!;

/** Prose, a picture, noise, JSON, HTML: as in the suite, but ours. ASCII, so that any cut is text. */
const CONTENTS: readonly Content[] = [
  new Content(
    repeat((i) => word() + (i % 11 === 10 ? '.\n' : ' ')),
    false,
  ),
  new Content(
    Buffer.from(
      Array.from({ length: LENGTH }, (_, i) => (i % 512) / 4 + ((i / 512) | 0) / 9 + next() * 4),
    ),
    true,
  ),
  new Content(Buffer.from(Array.from({ length: LENGTH }, () => next() * 256)), true),
  new Content(
    repeat((i) => `{"id":${i},"name":"${word()} ${word()}","value":${next()}},`),
    false,
  ),
  new Content(
    repeat((i) => `<li class="${word()}"><a href="/${i}">${word()} ${word()}</a></li>\n`),
    false,
  ),
];

for (const [n, content] of CONTENTS.entries()) {
  test(`12.${n + 1}: content ${n + 1} in every size`, async () => {
    for (const role of ROLES) {
      for (const [i, shape] of SHAPES.entries()) {
        await runCase(`12.${n + 1}.${i + 1}`, role, content, shape, { forget: false, bits: 0 });
      }
    }
  });
}

const OFFERS: readonly Offer[] = [
  { forget: false, bits: 0 },
  { forget: true, bits: 0 },
  { forget: false, bits: 9 },
  { forget: false, bits: 15 },
  { forget: true, bits: 9 },
  { forget: true, bits: 15 },
];

for (const [n, offer] of OFFERS.entries()) {
  test(`13.${n + 1}: forget ${offer.forget}, window bits ${offer.bits}`, async () => {
    for (const role of ROLES) {
      for (const [i, shape] of SHAPES.entries()) {
        await runCase(`13.${n + 1}.${i + 1}`, role, CONTENTS[3]!, shape, offer);
      }
    }
  });
}

test('13.7: several offers, of which the first that can be met is taken', async () => {
  const first = 'permessage-deflate; server_no_context_takeover; server_max_window_bits=9';
  const offers = [`${first}, permessage-deflate; server_no_context_takeover, permessage-deflate`];
  offers.push(`permessage-deflate; server_max_window_bits=7, ${offers[0]}`);
  for (const offer of offers) {
    const peer = await rig.open('server', offer);
    await peer.finish('13.7');
    assert.equal(peer.response.split('Sec-WebSocket-Extensions: ')[1], `${first}\r\n\r\n`);
  }
  for (const [i, shape] of SHAPES.entries()) {
    await runCase(`13.7.${i + 1}`, 'server', CONTENTS[3]!, shape, { forget: true, bits: 9 });
  }
});
