/**
 * The corpus against the server itself, over real sockets: what is refused gets its status and the end of the
 * connection, and a request that follows it is never handled, however the bytes were cut.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import fc from 'fast-check';

import { nextRound } from '../support/until.js';
import { type HttpCase, readCases } from './case-file.js';
import { logOf } from './event-log.js';
import { mutatedCases } from './mutated-cases.js';
import { HttpRig } from './rig.js';

const CANARY = Buffer.from('GET /canary HTTP/1.1\r\nHost: a\r\n\r\n');
const REJECTS = readCases().filter(({ events }) => /^reject/.test(events.at(-1)!));

/** Sends a case and a canary, in pieces, each in a packet of its own as far as TCP keeps to that. */
async function play(rig: HttpRig, { bytes }: HttpCase, pieceBytes: number): Promise<string> {
  const client = await rig.connect();
  const all = Buffer.concat([bytes, CANARY]);
  try {
    for (let at = 0; at < all.byteLength; at += pieceBytes) {
      await client.send(all.subarray(at, at + pieceBytes));
      if (pieceBytes < all.byteLength) {
        await nextRound();
      }
    }
    client.raw.halfClose();
  } catch {
    // The server may have closed before all was sent.
  }
  return client.rest();
}

describe('after a reject nothing is answered', () => {
  for (const isAsync of [false, true]) {
    it(`the corpus, with a handler that answers ${isAsync ? 'later' : 'at once'}`, async () => {
      let seen: string[] = [];
      const rig = await HttpRig.open({
        onRequest: async (request, response) => {
          seen.push(request.target);
          if (isAsync) {
            await request.bytes().catch(() => {});
            await nextRound();
          }
          response.end('answered');
        },
      });
      for (const oneCase of REJECTS) {
        const handled = oneCase.events.filter((line) => / 1\.[01]( |$)/.test(line)).length;
        const [, status] = oneCase.events.at(-1)!.split(' ');
        for (const pieceBytes of oneCase.bytes.byteLength < 400 ? [1e6, 7, 1] : [1e6]) {
          seen = [];
          const text = await play(rig, oneCase, pieceBytes);
          const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map((match) => match[1]);
          assert.equal(seen.length, handled, oneCase.name);
          assert.ok(!seen.includes('/canary'), oneCase.name);
          // Where the body is at fault, a handler that answers at once has answered before.
          const expected = handled > 0 && !isAsync ? ['200'] : [status];
          assert.deepEqual(statuses.slice(0, 1), expected, `${oneCase.name} ${pieceBytes}`);
          assert.equal(statuses.length, 1, oneCase.name);
        }
      }
      const rejects = Object.values(rig.handler.httpStats.rejects).reduce((a, b) => a + b);
      assert.ok(rejects > REJECTS.length, `${rejects} rejects were counted`);
    });
  }

  it('what is accepted is answered, one for one', async () => {
    const rig = await HttpRig.open({ onRequest: (_, response) => response.end() });
    for (const { name, bytes, events } of readCases()) {
      const complete = events.filter((line) => line === 'end').length;
      const isOthers = events.some((line) => /^(reject|more)/.test(line) || / close$/.test(line));
      if (complete > 0 && !isOthers) {
        const client = await rig.connect();
        await client.send(bytes);
        client.raw.halfClose();
        const text = await client.rest();
        assert.equal([...text.matchAll(/^HTTP\/1\.1 200/gm)].length, complete, name);
      }
    }
  });

  it('mutations of the corpus get as many answers as the reader finds requests', async () => {
    const rig = await HttpRig.open({
      onRequest: (request, response) => response.end('x'.repeat(request.method.length)),
    });
    await fc.assert(
      fc.asyncProperty(
        mutatedCases(),
        fc.array(fc.nat(), { maxLength: 3 }),
        async (bytes, places) => {
          const client = await rig.connect();
          const cuts = places.map((place) => place % (bytes.byteLength + 1)).sort((a, b) => a - b);
          let from = 0;
          try {
            for (const cut of [...cuts, bytes.byteLength]) {
              await client.send(bytes.subarray(from, cut));
              from = cut;
            }
            client.raw.halfClose();
          } catch {
            // The server may have closed before all was sent.
          }
          const statuses = [...(await client.rest()).matchAll(/HTTP\/1\.1 (\d+) /g)].map(
            (m) => m[1],
          );
          client.raw.close();
          assert.deepEqual(statuses, expectedStatuses(logOf(bytes)));
        },
      ),
      { numRuns: 400 },
    );
    assert.equal(rig.handler.httpStats.handlerErrors, 0);
  });
});

/** What a server sends that answers each head with 200 at once. */
function expectedStatuses(log: readonly string[]): string[] {
  const statuses: string[] = [];
  let isAnswered = false;
  for (const line of log) {
    if (line === 'end') {
      isAnswered = false;
    } else if (line.startsWith('reject')) {
      return isAnswered ? statuses : [...statuses, line.split(' ')[1]!];
    } else if (line === 'more') {
      return isAnswered ? statuses : [...statuses, '400'];
    } else if (/^\S+ .* 1\.[01]/.test(line) && !/^(body|trailer) /.test(line)) {
      statuses.push('200');
      isAnswered = true;
      // Whoever waits for 100 and gets 200 cannot be understood any more.
      if (/ 1\.[01].*( close| expect)/.test(line)) {
        return statuses;
      }
    }
  }
  return statuses;
}
