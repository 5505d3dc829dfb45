/**
 * Requests of all kinds one after the other on one connection, cut at random, answered by handlers of all kinds: each
 * gets its own answer, in order, whatever became of the bodies before it.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import type { HttpRequest } from '../../src/http/request.js';
import type { HttpResponse } from '../../src/http/response.js';
import { nextRound } from '../support/until.js';
import { get, type HttpClient, HttpRig } from './rig.js';

interface Step {
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly body: 'none' | 'length' | 'chunks';
  readonly bodyBytes: number;
  readonly read: 'all' | 'sink' | 'some' | 'ignore';
  readonly when: 'now' | 'later' | 'much-later';
  readonly how: 'whole' | 'chunks' | 'length' | 'early';
  readonly answerBytes: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST'),
  body: fc.constantFrom('none', 'length', 'chunks'),
  bodyBytes: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 100_000 })),
  read: fc.constantFrom('all', 'sink', 'some', 'ignore'),
  when: fc.constantFrom('now', 'later', 'much-later'),
  how: fc.constantFrom('whole', 'chunks', 'length', 'early'),
  answerBytes: fc.oneof(fc.nat({ max: 20 }), fc.nat({ max: 150_000 })),
});

/** What the handler is to do is in the path. */
function encode(index: number, one: Step): string {
  const path = `/${index}/${one.read}/${one.when}/${one.how}/${one.answerBytes}`;
  const bytes = 'b'.repeat(one.bodyBytes);
  const head = (...fields: string[]) => get(path, ...fields).replace('GET', one.method);
  if (one.body === 'none') {
    return head();
  }
  if (one.body === 'length') {
    return head(`Content-Length: ${bytes.length}`) + bytes;
  }
  const pieces = bytes.match(/.{1,30000}/g) ?? [];
  const chunks = pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`);
  return `${head('Transfer-Encoding: chunked')}${chunks.join('')}0\r\n\r\n`;
}

async function handle(request: HttpRequest, response: HttpResponse): Promise<void> {
  const [, index, read, when, how, size] = request.path.split('/');
  const answer = `${index}:`.padEnd(Number(size), 'r');
  if (how === 'early') {
    response.write(answer.slice(0, 1));
  }
  const rounds = when === 'now' ? 0 : when === 'later' ? 1 : 5;
  for (let i = 0; i < rounds; i += 1) {
    await nextRound();
  }
  if (read === 'all') {
    const bytes = await request.bytes();
    assert.equal(bytes.byteLength, bytes.filter((byte) => byte === 0x62).byteLength);
  } else if (read === 'sink') {
    await new Promise<void>((resolve, reject) => {
      request.receive({ onData: () => {}, onEnd: resolve, onError: reject });
    });
  } else if (read === 'some') {
    for await (const piece of request) {
      assert.ok(piece.byteLength > 0);
      break;
    }
  }
  if (how === 'whole') {
    response.end(answer);
    return;
  }
  if (how === 'length') {
    response.field('content-length', answer.length);
  }
  const half = answer.length >> 1;
  if (how !== 'early') {
    await response.writeAll(answer.slice(0, half));
  }
  await nextRound();
  response.end(answer.slice(how === 'early' ? 1 : half));
}

async function sendCut(client: HttpClient, bytes: Buffer, cuts: readonly number[]): Promise<void> {
  let at = 0;
  for (const cut of [...cuts, bytes.byteLength]) {
    await client.send(bytes.subarray(at, cut));
    at = cut;
    await nextRound();
  }
}

describe('a sequence of requests', () => {
  it('gets its answers in order', async () => {
    const errors: unknown[] = [];
    const rig = await HttpRig.open({
      onRequest: handle,
      onError: (error) => errors.push(error),
      pipelineMax: 4,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        async (steps, places) => {
          const bytes = Buffer.from(steps.map((one, i) => encode(i, one)).join(''));
          const cuts = places.map((n) => n % bytes.byteLength).sort((a, b) => a - b);
          const client = await rig.connect();
          const sending = sendCut(client, bytes, cuts);
          for (const [i, { method, answerBytes }] of steps.entries()) {
            const { status, body } = await client.answer(method === 'HEAD');
            assert.equal(status, 200);
            assert.ok(
              method === 'HEAD' || body === `${i}:`.padEnd(answerBytes, 'r'),
              `answer ${i}`,
            );
          }
          await sending;
          client.raw.close();
        },
      ),
      { numRuns: 200 },
    );
    assert.deepEqual(errors, []);
  });
});
