/** websocket/http-head: the strict grammar, however the bytes are cut. Requests as a whole are in server.test.ts. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { checkField, HeadReader, hasToken, type HttpHead } from '../../src/websocket/http-head.js';

/** The outcome and how many bytes of `text` belong to the head. */
function read(text: string, step: number): { head: HttpHead | string; end: number } | undefined {
  const reader = new HeadReader();
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; at += step) {
    const end = reader.push(Buffer.from(bytes.subarray(at, at + step)));
    if (typeof end === 'number') {
      const head = reader.read();
      return { head, end: typeof head === 'string' ? -1 : at + end };
    }
    if (end !== undefined) return { head: end, end: -1 };
  }
  return undefined;
}

function fieldsOf(text: string): Record<string, readonly string[]> | string | undefined {
  const whole = read(text, text.length);
  for (const step of [1, 2, 3, 5]) assert.deepEqual(read(text, step), whole, JSON.stringify(text));
  const head = whole?.head;
  return head === undefined || typeof head === 'string' ? head : Object.fromEntries(head.fields);
}

test('names in lower case, values trimmed, several values in their order', () => {
  assert.deepEqual(fieldsOf('S\r\nA:  b c\t \r\na: d\r\nB:\r\n\r\nrest'), {
    a: ['b c', 'd'],
    b: [''],
  });
  assert.deepEqual(fieldsOf('S\r\n\r\n'), {});
  assert.equal(read('S\r\nA: b\r\n\r\nrest', 99)!.end, 11);
  assert.equal(fieldsOf('S\r\nA: b\r\n'), undefined, 'not complete');
});

test('what is no head', () => {
  const wrong = [
    '\nS\r\n\r\n',
    'S\n\nA: b',
    '\r\n\r\n\r\n',
    'S\r\nA\r\n\r\n',
    'S\r\n: b\r\n\r\n',
    'S\r\nA : b\r\n\r\n',
  ];
  const control = [
    'S\r\n A: b\r\n\r\n',
    'S\r\nA: b\x7f\r\n\r\n',
    'S\0\r\n\r\n',
    'S\r\nA: b\nc: d\r\n\r\n',
    'S\r\n\xe9: b\r\n\r\n',
  ];
  for (const text of [...wrong.slice(0, 2), ...wrong.slice(3), ...control]) {
    assert.equal(fieldsOf(text), 'malformed', JSON.stringify(text));
  }
  assert.equal(fieldsOf('x'.repeat(17_000)), 'too-large');
  assert.equal(fieldsOf(`S\r\nA: ${'b'.repeat(8_200)}\r\n\r\n`), 'too-large');
});

test('any text has the same outcome however it is cut, and never an exception', () => {
  const part = fc.constantFrom('\r\n', '\r', '\n', ':', ' ', 'a', 'A: b', '\r\n\r\n', '\0', '\xe9');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
      fieldsOf(`S${parts.join('')}`);
    }),
    { numRuns: 3_000 },
  );
});

test('tokens of a list, and fields that may be sent', () => {
  assert.equal(hasToken(['a, UpGrade', 'b'], 'upgrade'), true);
  assert.equal(hasToken(['a upgrade'], 'upgrade'), false);
  assert.equal(hasToken(undefined, 'upgrade'), false);
  checkField('X-Y', 'a b\tc');
  for (const [name, value] of [
    ['', 'a'],
    ['a b', 'c'],
    ['a', 'b\r\nc: d'],
    ['a', 'é'],
    ['a\r', 'b'],
    ['é', 'b'],
  ] as const) {
    assert.throws(() => checkField(name, value), TypeError);
  }
});
