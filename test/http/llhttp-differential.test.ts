/**
 * Our parser against llhttp, on the corpus, on mutations of it, and cut at random: what ours accepts, llhttp must have
 * understood in the same way. Ours may refuse more. Where llhttp refuses what ours accepts, the reason is listed here.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { readCases } from './case-file.js';
import { logOf, quote } from './event-log.js';
import { llhttpLog } from './llhttp.js';
import { mutatedCases } from './mutated-cases.js';

/** What llhttp refuses and we accept: how its log ends, and why ours may differ. */
const STRICTER: readonly { readonly says: RegExp; readonly why: string }[] = [
  {
    says: /^reject (Invalid method encountered|Expected space after method)$/,
    why: 'A method is any token (RFC 9110 9.1): llhttp knows a list, and it is for the handler to say 405 or 501.',
  },
  {
    says: /^reject Invalid character in (chunk extensions quoted value|chunk size)$/,
    why: 'Quoted pairs, and an extension after a quoted string, are right (RFC 9112 7.1.1); llhttp reads neither.',
  },
  {
    says: /^reject (Invalid `Transfer-Encoding` header value|(Empty|Invalid character in) Content-Length)$/,
    why: 'In a trailer section these mean nothing (RFC 9110 6.5.1): ours are kept apart and dropped.',
  },
];

/** The part of our log that a parser must share: up to a reject, or to where a connection is no longer HTTP. */
function accepted(log: readonly string[]): string[] {
  const lines: string[] = [];
  let isLast = false;
  for (const line of log) {
    if (/^(reject|more)/.test(line)) {
      // Of a request that is not complete only the head has to be the same.
      return lines.at(-1)?.startsWith('body') ? lines.slice(0, -1) : lines;
    }
    isLast ||= / (close|upgrade)$/.test(line) && !line.startsWith(' ');
    lines.push(line.replace(/^(\S+ .* 1\.\d)(?: close| expect| upgrade)+$/, '$1'));
    if (line === 'end' && isLast) {
      return lines;
    }
  }
  return lines;
}

/** Undefined if they agree, or why they may not; else throws. */
function compare(bytes: Buffer, cuts: readonly number[]): string | undefined {
  const ours = accepted(logOf(bytes, cuts));
  const theirs = llhttpLog(bytes, cuts);
  const same = ours.findIndex((line, i) => line !== theirs[i]);
  if (same === -1) {
    return undefined;
  }
  // They must be the same up to where llhttp refused.
  const known = STRICTER.find(({ says }) => says.test(theirs[same] ?? ''));
  if (known === undefined) {
    assert.deepEqual(ours, theirs, quote(bytes.toString('latin1')));
  }
  return known?.why;
}

describe('against llhttp', () => {
  it('the corpus is understood in the same way, but for what is listed', () => {
    const differences = readCases().flatMap(({ name, bytes }) => {
      const why = compare(bytes, []);
      return why === undefined ? [] : [name];
    });
    assert.deepEqual(differences, [
      'chunked.md: an extension with a quoted string',
      'chunked.md: several extensions',
      'request-line.md: a method in lower case is another method',
      'request-line.md: an unknown method',
      'trailers.md: framing fields are no framing',
    ]);
  });

  it('mutations of the corpus, cut at random, are understood in the same way', () => {
    let agreed = 0;
    fc.assert(
      fc.property(mutatedCases(), fc.array(fc.nat(), { maxLength: 4 }), (bytes, places) => {
        const cuts = places.map((place) => place % (bytes.byteLength + 1)).sort((a, b) => a - b);
        agreed += compare(bytes, cuts) === undefined ? 1 : 0;
      }),
      { numRuns: 10_000 },
    );
    assert.ok(agreed > 8_000, `${agreed} of 10,000 agreed without an explanation`);
  });
});

describe("against node:http's server", () => {
  it('sees the same requests with the same bodies', async (t) => {
    let seen: string[] = [];
    const server = createServer((request, response) => {
      const { method, url, httpVersion } = request;
      let body = '';
      request.setEncoding('latin1').on('data', (text) => {
        body += text;
      });
      request.on('end', () => {
        seen.push(`${method} ${quote(url!)} ${httpVersion}`);
        if (body !== '') {
          seen.push(`body ${quote(body)}`);
        }
        response.end();
      });
    });
    // Upgrades and expectations are served as ordinary requests there: it is about what is read.
    server.on('checkContinue', (request, response) => server.emit('request', request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    for (const { name, bytes, events } of readCases()) {
      // An upgrade that has no listener ends the connection there.
      if (events.some((line) => / upgrade$/.test(line))) {
        continue;
      }
      const before = accepted(events);
      const complete = before.slice(0, before.lastIndexOf('end') + 1);
      const expected = complete.filter((line) => /^(?!trailer|end| )/.test(line));
      seen = [];
      // Whether it ends or is reset is not the question.
      const socket = connect(port, '127.0.0.1').on('error', () => {});
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.resume().end(bytes);
      await closed;
      if (compare(bytes, []) === undefined) {
        assert.deepEqual(seen.slice(0, expected.length), expected, name);
      }
    }
  });
});
