/** websocket/extension-list: the grammar of RFC 6455 section 9.1. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { parseExtensions } from '../../src/websocket/extension-list.js';

test('lists, parameters, blanks and quoted values', () => {
  assert.deepEqual(parseExtensions('foo'), [{ name: 'foo', parameters: [] }]);
  assert.deepEqual(parseExtensions(' , foo ;\ta = "b\\c" ; D,, bar;x=y , '), [
    {
      name: 'foo',
      parameters: [
        ['a', 'bc'],
        ['d', ''],
      ],
    },
    { name: 'bar', parameters: [['x', 'y']] },
  ]);
  assert.deepEqual(parseExtensions('__proto__; constructor'), [
    { name: '__proto__', parameters: [['constructor', '']] },
  ]);
  assert.deepEqual(parseExtensions(''), []);
});

test('what is no list', () => {
  const wrong = ['foo bar', 'foo;', 'foo; =a', 'foo; a=', 'foo; a="', 'foo; a="b', 'foo; a=""'];
  for (const text of [
    ...wrong,
    'foo; a="b c"',
    'foo; a=b c',
    '"foo"',
    'foo; a="b"c',
    'é',
    'a;b=c=d',
  ]) {
    assert.equal(parseExtensions(text), undefined, text);
  }
  assert.equal(parseExtensions(Array(17).fill('a').join(',')), undefined, 'too many');
  assert.equal(parseExtensions(`a${';b'.repeat(17)}`), undefined, 'too many parameters');
});

test('any text ends in a list or undefined', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab,;="\\ \té\0') });
  fc.assert(
    fc.property(text, (header) => {
      const list = parseExtensions(header);
      assert.ok(list === undefined || list.every(({ name }) => name !== ''));
    }),
    { numRuns: 5_000 },
  );
});
