/** Responses as bytes: cases with what they must mean, cut at every byte, mutated, and against llhttp. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { readClientLimits } from '../../src/http/client-limits.js';
import { DECODING_REJECT_CODES, RESPONSE_REJECT_CODES } from '../../src/http/response-rejects.js';
import { ResponseReader } from '../../src/http/response-reader.js';
import { quote } from './event-log.js';
import { llhttpResponseLog } from './llhttp.js';
import { responseLog } from './response-log.js';

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;

/** Name, method, bytes, and the last lines of the log, heads left out. */
const CASES: readonly [name: string, method: string, text: string, ends: readonly string[]][] = [
  ['a length', 'GET', `${OK}Content-Length: 3\r\n\r\nabc`, ['body abc', 'end']],
  ['a length of 0', 'GET', `${OK}Content-Length: 0\r\n\r\n`, ['end']],
  ['until close', 'GET', `${OK}\r\nabc`, ['body abc', 'end close']],
  ['until close, nothing', 'GET', `${OK}\r\n`, ['end close']],
  ['chunked', 'GET', `${CHUNKED}3\r\nabc\r\n0\r\n\r\n`, ['body abc', 'end']],
  [
    'trailers',
    'GET',
    `${CHUNKED}1;a=b\r\na\r\n0\r\nX: y\r\n\r\n`,
    ['body a', 'trailer x: y', 'end'],
  ],
  ['HEAD, a length', 'HEAD', `${OK}Content-Length: 3\r\n\r\n`, ['end']],
  ['HEAD, chunked', 'HEAD', CHUNKED, ['end']],
  ['HEAD, a body', 'HEAD', `${OK}Content-Length: 1\r\n\r\na`, ['end', 'reject surplus']],
  ['HEAD, nothing said', 'HEAD', `${OK}\r\n`, ['end']],
  ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', ['end']],
  ['204, a length of 0', 'GET', 'HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n', ['end']],
  ['204, a length', 'GET', 'HTTP/1.1 204 \r\nContent-Length: 1\r\n\r\na', ['reject framing']],
  [
    '204, chunked',
    'GET',
    'HTTP/1.1 204 \r\nTransfer-Encoding: chunked\r\n\r\n',
    ['reject framing'],
  ],
  ['304, a length', 'GET', 'HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n', ['end']],
  ['CONNECT', 'CONNECT', `${OK}Content-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\n\r\n`, []],
  [
    'CONNECT, whatever it says of a body',
    'CONNECT',
    `${OK}Content-Length: 5\r\nContent-Length: x\r\nTransfer-Encoding: gzip\r\n\r\nabc`,
    [],
  ],
  ['CONNECT refused', 'CONNECT', 'HTTP/1.1 403 \r\nContent-Length: 1\r\n\r\na', ['body a', 'end']],
  [
    'interim',
    'GET',
    `HTTP/1.1 103 \r\n\r\nHTTP/1.1 100\r\n\r\n${OK}Content-Length: 0\r\n\r\n`,
    ['end'],
  ],
  ['interim, a length', 'GET', 'HTTP/1.1 100 \r\nContent-Length: 1\r\n\r\na', ['reject framing']],
  ['interims', 'GET', 'HTTP/1.1 100 \r\n\r\n'.repeat(17), ['reject interim']],
  ['101', 'GET', 'HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', ['reject upgrade']],
  ['no reason, no space', 'GET', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', ['end']],
  ['obs-text in the reason', 'GET', 'HTTP/1.1 200 \xe4\xf6\r\nContent-Length: 0\r\n\r\n', ['end']],
  ['HTTP/1.0', 'GET', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', ['end close']],
  [
    'HTTP/1.0, kept',
    'GET',
    'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n',
    ['end'],
  ],
  ['HTTP/1.0, chunked', 'GET', CHUNKED.replace('1.1', '1.0'), ['reject transfer-encoding']],
  [
    'Connection: close',
    'GET',
    `${OK}Connection: a, Close\r\nContent-Length: 0\r\n\r\n`,
    ['end close'],
  ],
  ['surplus', 'GET', `${OK}Content-Length: 0\r\n\r\n${OK}`, ['end', 'reject surplus']],
  ['an empty line before', 'GET', `\r\n${OK}\r\n`, ['reject status-line']],
  ['HTTP/0.9', 'GET', '<html>', ['reject status-line']],
  ['HTTP/2.0', 'GET', 'HTTP/2.0 200 OK\r\n\r\n', ['reject version']],
  ['HTTP/1.2', 'GET', 'HTTP/1.2 200 OK\r\n\r\n', ['reject version']],
  ['http in lower case', 'GET', 'http/1.1 200 OK\r\n\r\n', ['reject status-line']],
  ['two spaces', 'GET', 'HTTP/1.1  200 OK\r\n\r\n', ['reject status-line']],
  ['a status of two digits', 'GET', 'HTTP/1.1 20 OK\r\n\r\n', ['reject status-line']],
  ['a status of four digits', 'GET', 'HTTP/1.1 2000 OK\r\n\r\n', ['reject status-line']],
  ['a status below 100', 'GET', 'HTTP/1.1 099 OK\r\n\r\n', ['reject status']],
  [
    'bare LF, status line',
    'GET',
    'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n',
    ['reject status-line'],
  ],
  ['bare LF, field', 'GET', `${OK}Content-Length: 0\n\r\n`, ['reject field-line']],
  ['bare CR in the reason', 'GET', 'HTTP/1.1 200 O\rK\r\n\r\n', ['reject status-line']],
  ['NUL in the reason', 'GET', 'HTTP/1.1 200 O\0K\r\n\r\n', ['reject status-line']],
  ['folding', 'GET', `${OK}A: b\r\n c\r\n\r\n`, ['reject field-line']],
  ['a space before the colon', 'GET', `${OK}Content-Length : 0\r\n\r\n`, ['reject field-line']],
  [
    'two lengths',
    'GET',
    `${OK}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`,
    ['reject content-length'],
  ],
  ['a list of lengths', 'GET', `${OK}Content-Length: 1, 1\r\n\r\na`, ['reject content-length']],
  ['a signed length', 'GET', `${OK}Content-Length: +1\r\n\r\na`, ['reject content-length']],
  [
    'a huge length',
    'GET',
    `${OK}Content-Length: 99999999999999999\r\n\r\n`,
    ['reject content-length'],
  ],
  ['a length too long', 'GET', `${OK}Content-Length: 1073741825\r\n\r\n`, ['reject body-length']],
  [
    'length and coding',
    'GET',
    `${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ['reject framing'],
  ],
  [
    'gzip, chunked',
    'GET',
    `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    ['reject transfer-encoding'],
  ],
  ['another coding', 'GET', `${OK}Transfer-Encoding: xchunked\r\n\r\n`, ['reject transfer-coding']],
  [
    'two codings',
    'GET',
    `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    ['reject transfer-encoding'],
  ],
  ['truncated line', 'GET', 'HTTP/1.1 2', ['reject truncated']],
  ['nothing at all', 'GET', '', ['reject truncated']],
  ['truncated head', 'GET', `${OK}A: b\r\n`, ['reject truncated']],
  ['truncated body', 'GET', `${OK}Content-Length: 3\r\n\r\nab`, ['body ab', 'reject truncated']],
  ['truncated chunk', 'GET', `${CHUNKED}3\r\nab`, ['body ab', 'reject truncated']],
  ['no last chunk', 'GET', `${CHUNKED}1\r\na\r\n`, ['body a', 'reject truncated']],
  ['a bad chunk', 'GET', `${CHUNKED}1\r\nab\r\n`, ['body a', 'reject chunk']],
  ['a chunk size with LF', 'GET', `${CHUNKED}1\na\r\n`, ['reject chunk']],
  ['a bad trailer', 'GET', `${CHUNKED}0\r\nA b\r\n\r\n`, ['reject trailer']],
  ['long extensions', 'GET', `${CHUNKED}1;${'a'.repeat(300)}\r\na\r\n`, ['reject chunk-extension']],
  ['many trailers', 'GET', `${CHUNKED}0\r\n${'A: b\r\n'.repeat(33)}\r\n`, ['reject trailer-count']],
  [
    'long trailers',
    'GET',
    `${CHUNKED}0\r\nA: ${'b'.repeat(9_000)}\r\n\r\n`,
    ['reject trailer-length'],
  ],
  [
    'a long status line',
    'GET',
    `HTTP/1.1 200 ${'a'.repeat(9_000)}\r\n\r\n`,
    ['reject status-length'],
  ],
  ['a long field', 'GET', `${OK}A: ${'b'.repeat(9_000)}\r\n\r\n`, ['reject field-length']],
  ['many fields', 'GET', `${OK}${'A: b\r\n'.repeat(101)}\r\n`, ['reject field-count']],
  [
    'a long head',
    'GET',
    `${OK}${`A: ${'b'.repeat(4_000)}\r\n`.repeat(5)}\r\n`,
    ['reject head-length'],
  ],
];

function everyCut(bytes: Buffer): number[] {
  const step = Math.ceil(Math.max(bytes.byteLength, 1) / 400);
  return Array.from(
    { length: Math.floor(Math.max(bytes.byteLength - 1, 0) / step) },
    (_, i) => (i + 1) * step,
  );
}

const SPICE = [...' \t\r\n\0:;,=0159afAF"chunked\x7f\xff'].map((c) => c.charCodeAt(0));

function mutated(): fc.Arbitrary<readonly [method: string, bytes: Buffer]> {
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('replace', 'remove', 'insert', 'double'),
    byte: fc.constantFrom(...SPICE),
  });
  const short = CASES.filter(([, , text]) => text.length < 400);
  return fc
    .tuple(fc.constantFrom(...short), fc.array(change, { maxLength: 3 }))
    .map(([[, method, text], changes]) => {
      const list = [...Buffer.from(text, 'latin1')];
      for (const { at, kind, byte } of changes) {
        const i = at % (list.length + 1);
        if (kind === 'replace') list[i] = byte;
        else if (kind === 'remove') list.splice(i, 1);
        else if (kind === 'insert') list.splice(i, 0, byte);
        else list.splice(i, 0, ...list.slice(i, i + 12));
      }
      return [method, Buffer.from(list)] as const;
    });
}

describe('ResponseReader', () => {
  for (const [name, method, text, ends] of CASES) {
    it(name, () => {
      const bytes = Buffer.from(text, 'latin1');
      const log = responseLog(bytes, method);
      assert.deepEqual(
        log.filter((line) => /^(body|trailer|end|reject)/.test(line)),
        ends,
      );
      assert.deepEqual(responseLog(bytes, method, everyCut(bytes)), log, 'in the smallest pieces');
      for (const cut of everyCut(bytes)) {
        assert.deepEqual(responseLog(bytes, method, [cut]), log, `cut at ${cut}`);
      }
    });
  }

  it('a switch of protocols that was asked for ends HTTP, wherever it is cut', () => {
    const limits = readClientLimits({});
    const head = 'HTTP/1.1 101 \r\nConnection: Upgrade\r\nUpgrade: A/1 , b\r\n\r\n';
    const text = Buffer.from(`HTTP/1.1 100 \r\n\r\n${head}HTTP/1.1 no`);
    for (let cut = 0; cut <= text.byteLength; cut += 1) {
      const log = (upgrade: string) => responseLog(text, 'GET', [cut], limits, upgrade);
      assert.deepEqual(
        log('b, c, a/1').filter((line) => !line.startsWith(' ')),
        ['100  1.1', '101  1.1'],
      );
      for (const upgrade of ['', 'a', 'a/1', 'b', 'a/2, b']) {
        assert.equal(log(upgrade).at(-1), 'reject upgrade');
      }
    }
  });

  it('every reject has a case', () => {
    const seen = new Set(CASES.flatMap(([, , , ends]) => ends));
    // Those that are not the reader's have theirs in decoded-body.test.ts.
    const others: readonly string[] = DECODING_REJECT_CODES;
    assert.deepEqual(
      RESPONSE_REJECT_CODES.filter((code) => !seen.has(`reject ${code}`) && !others.includes(code)),
      [],
    );
  });

  it('gives fields, reason and version', () => {
    const text = 'HTTP/1.0 404 Not There\r\nSet-Cookie: a\r\nset-cookie:  b \r\n\r\n';
    assert.deepEqual(responseLog(Buffer.from(text)), [
      '404 Not There 1.0',
      '  set-cookie: a, b',
      'end close',
    ]);
  });

  it('a body that ends with the connection has a limit', () => {
    const limits = readClientLimits({ bodyBytesMax: 3 });
    const log = (text: string) => responseLog(Buffer.from(`${OK}\r\n${text}`), 'GET', [], limits);
    assert.deepEqual(log('abc').slice(1), ['body abc', 'end close']);
    assert.deepEqual(log('abcd').slice(1), ['body abc', 'reject body-length']);
  });

  it('expects nothing that nobody asked for', () => {
    const reader = new ResponseReader(readClientLimits({}));
    reader.next(Buffer.from(OK), 0, OK.length);
    assert.equal(reader.reject, 'surplus');
    assert.throws(() => reader.begin('GET'), /under way/);
  });

  it('the outcome does not depend on the cuts, at limits that are reached everywhere', () => {
    const tight = readClientLimits({
      headBytesMax: 60,
      lineBytesMax: 30,
      fieldsMax: 2,
      bodyBytesMax: 20,
      trailerBytesMax: 20,
      trailersMax: 1,
      chunkExtensionBytesMax: 4,
      interimMax: 1,
    });
    fc.assert(
      fc.property(mutated(), fc.boolean(), ([method, bytes], isTight) => {
        const limits = isTight ? tight : readClientLimits({});
        const every = Array.from({ length: bytes.byteLength }, (_, i) => i);
        const whole = responseLog(bytes, method, [], limits);
        assert.deepEqual(responseLog(bytes, method, every, limits), whole);
      }),
      { numRuns: 4_000 },
    );
  });
});

describe('against llhttp', () => {
  /** What ours accepts, as llhttp would log it: up to a reject, and to the first response's end. */
  const accepted = (log: readonly string[]): string[] => {
    const lines: string[] = [];
    for (const line of log) {
      if (line.startsWith('reject')) {
        return lines.at(-1)?.startsWith('body') ? lines.slice(0, -1) : lines;
      }
      // At the end of the connection llhttp is not told of it.
      lines.push(line.replace(/^(\d{3}) .* (1\.\d)$/, '$1 $2').replace(/^end close$/, 'end'));
    }
    return lines;
  };
  /** What llhttp refuses and we accept. */
  const STRICTER = [
    // In a trailer section they mean nothing (RFC 9110 6.5.1): ours are dropped.
    /^reject (Invalid `Transfer-Encoding` header value|(Empty|Invalid character in) Content-Length)/,
    // Quoted pairs, and an extension after a quoted string, are right (RFC 9112 7.1.1).
    /^reject Invalid character in (chunk extensions quoted value|chunk size)$/,
  ];

  const compare = (bytes: Buffer, method: string, cuts: readonly number[]): boolean => {
    const log = responseLog(bytes, method, cuts);
    const ours = accepted(log);
    // There, an interim response is a message of its own.
    let isInterim = false;
    const theirs = llhttpResponseLog(bytes, method, cuts).filter((line) => {
      isInterim = /^\d{3} /.test(line) ? line.startsWith('1') : isInterim;
      return !(isInterim && line === 'end');
    });
    const isUntilClose = log.includes('end close') && theirs.at(-1) !== 'end';
    const shared = isUntilClose && ours.at(-1) === 'end' ? ours.slice(0, -1) : ours;
    const at = shared.findIndex((line, i) => line !== theirs[i]);
    if (at >= 0 && !STRICTER.some((says) => says.test(theirs[at] ?? ''))) {
      assert.deepEqual(shared, theirs, `${method} ${quote(bytes.toString('latin1'))}`);
    }
    return at < 0;
  };

  it('cases and mutations of them, cut at random, are understood in the same way', () => {
    let agreed = 0;
    fc.assert(
      fc.property(mutated(), fc.array(fc.nat(), { maxLength: 4 }), ([method, bytes], places) => {
        // It is not told of the method, but for HEAD.
        fc.pre(method !== 'CONNECT');
        // There, an interim response of HTTP/1.0 ends the connection, and what follows is dropped.
        fc.pre(!/HTTP\/1\.0 1/.test(bytes.toString('latin1')));
        const cuts = places.map((place) => place % (bytes.byteLength + 1)).sort((a, b) => a - b);
        agreed += compare(bytes, method, cuts) ? 1 : 0;
      }),
      { numRuns: 10_000 },
    );
    assert.ok(agreed > 9_000, `${agreed} of 10,000 agreed`);
  });
});
