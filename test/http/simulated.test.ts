/**
 * The server on the simulated kernel: networks with tiny buffers, segments of a few bytes, delays and clocks that jump,
 * from a seed. Each client gets exactly the bytes that its requests stand for, and nothing is left behind.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { httpHandler } from '../../src/http/http-handler.js';
import type { HttpRequest } from '../../src/http/request.js';
import type { HttpResponse } from '../../src/http/response.js';
import { Random } from '../sim/random.js';
import { SimRig } from '../support/reactor-rig.js';
import { get } from './rig.js';

const SEEDS = 25;
const DATE = 'Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n';
const LONG = 1_000_000_000;
/** Time runs as it likes here: nobody is too slow. */
const PATIENT = {
  headTimeoutMs: LONG,
  bodyTimeoutMs: LONG,
  idleTimeoutMs: LONG,
  drainTimeoutMs: LONG,
  rateMin: 0,
};

interface Exchange {
  readonly request: string;
  readonly response: string;
}

/** Echoes its path, and the size of the body if told to read it; `stream` in two chunks. */
async function handle(request: HttpRequest, response: HttpResponse): Promise<void> {
  const [, , when, read, how] = request.path.split('/');
  if (when === 'later') {
    await new Promise<void>((resolve) => request.connection.setTimer(3, () => resolve()));
  }
  const size = read === 'read' ? (await request.bytes()).byteLength : '-';
  if (how === 'stream') {
    await response.writeAll(request.path);
    await response.writeAll(` ${size}`);
    response.end();
  } else {
    response.end(`${request.path} ${size}`);
  }
}

function exchange(random: Random, index: number, isLast: boolean): Exchange {
  const when = random.pick(['now', 'later']);
  const read = random.pick(['read', 'skip']);
  const how = random.pick(['whole', 'stream']);
  const path = `/${index}/${when}/${read}/${how}`;
  const size = random.pick([0, 1, 10, 300]);
  const framing = random.pick(['none', 'length', 'chunks']);
  const last = isLast ? ['Connection: close'] : [];
  const body = 'b'.repeat(size);
  const head = (...fields: string[]) => get(path, ...last, ...fields);
  const chunk = (piece: string, extension = '') =>
    piece === '' ? '' : `${piece.length.toString(16)}${extension}\r\n${piece}\r\n`;
  const requests: Record<string, string> = {
    none: head(),
    length: head(`Content-Length: ${size}`) + body,
    chunks: `${head('Transfer-Encoding: chunked')}${chunk(body, ';a=b')}0\r\nT: u\r\n\r\n`,
  };
  const seen = read === 'skip' ? '-' : String(framing === 'none' ? 0 : size);
  const closing = isLast ? 'Connection: close\r\n' : '';
  const start = `HTTP/1.1 200 OK\r\n${DATE}${closing}`;
  const text = `${path} ${seen}`;
  return {
    request: requests[framing]!,
    response:
      how === 'whole'
        ? `${start}Content-Length: ${text.length}\r\n\r\n${text}`
        : `${start}Transfer-Encoding: chunked\r\n\r\n${chunk(path)}${chunk(` ${seen}`)}0\r\n\r\n`,
  };
}

/** A server from a seed, with limits that are reached all the time, and clients that send all they have to say. */
async function play(seed: number, resetChance: number) {
  const random = new Random(seed, 7);
  const handler = httpHandler({
    ...PATIENT,
    wallClock: () => 0,
    pipelineMax: random.pick([1, 2, 256]),
    outputBytesMax: random.pick([1, 100, 65_536]),
    onRequest: handle,
    onError: (error) => {
      throw error;
    },
  });
  const limits = {
    writeQueueMax: random.pick([64, 500, 1_048_576]),
    highWaterMark: 32,
    lowWaterMark: 16,
    writeTimeoutMs: 0,
    lingerTimeoutMs: LONG,
  };
  const rig = SimRig.open(handler, limits, { seed, shape: 'random' });
  const clients = Array.from({ length: 3 }, () => {
    const count = random.between(1, 6);
    const all = Array.from({ length: count }, (_, i) => exchange(random, i, i === count - 1));
    const peer = rig.world.peer({
      writeMax: random.pick([1, 7, 65_536]),
      readMax: random.pick([1, 9, 65_536]),
      resetChance,
    });
    peer.connect(rig.url);
    peer.send(all.map(({ request }) => request).join(''));
    return { peer, expected: all.map(({ response }) => response).join('') };
  });
  for (const { peer } of clients) {
    await rig.until(() => peer.hasEnded || peer.isOver);
  }
  await rig.until(() => handler.httpStats.connections === 0);
  assert.equal(handler.httpStats.handlerErrors, 0);
  await rig.close();
  return clients;
}

describe('on the simulated kernel', () => {
  let cutOff = 0;

  for (let seed = 1; seed <= SEEDS; seed += 1) {
    it(`every client gets its bytes: seed ${seed}`, async () => {
      for (const { peer, expected } of await play(seed, 0)) {
        assert.equal(peer.received().toString('latin1'), expected);
      }
    });

    it(`clients that reset get no others, and leave nothing: seed ${seed}`, async () => {
      for (const { peer, expected } of await play(seed, 0.02)) {
        const received = peer.received().toString('latin1');
        assert.equal(received, expected.slice(0, received.length));
        cutOff += received.length < expected.length ? 1 : 0;
      }
    });
  }

  it('some of them did reset', () => assert.ok(cutOff > 5, `${cutOff} clients were cut off`));
});
