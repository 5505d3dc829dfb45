/** Which certificate a name gets. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { ServerNames } from '../../src/tls/server-names.js';

function names(...patterns: string[]): ServerNames<string> {
  const table = new ServerNames<string>();
  for (const pattern of patterns) {
    table.add(pattern, pattern);
  }
  return table;
}

it('find() prefers the exact name to the wildcard', () => {
  const table = names('*.example.org', 'a.example.org', 'example.org', 'UPPER.test');
  assert.equal(table.find('a.example.org'), 'a.example.org');
  assert.equal(table.find('b.example.org'), '*.example.org');
  assert.equal(table.find('example.org'), 'example.org');
  assert.equal(table.find('upper.test'), 'UPPER.test');
  assert.equal(table.size, 4);
});

it('a wildcard is for exactly one label', () => {
  const table = names('*.example.org');
  for (const name of ['example.org', 'a.b.example.org', '.example.org', 'xexample.org', 'org']) {
    assert.equal(table.find(name), undefined, name);
  }
});

it('add() refuses what is no host name', () => {
  for (const pattern of [
    '',
    '*',
    '*.',
    'a*.test',
    '*.*.test',
    'a..b',
    '.a',
    'a b',
    '-a.test',
    'ä.test',
  ]) {
    assert.throws(() => names(pattern), /TypeError: Cannot use .* as a server name/, pattern);
  }
});
