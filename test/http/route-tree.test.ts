import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import { parsePattern, RouteTree } from '../../src/http/route-tree.js';

function treeOf(...patterns: string[]): (path: string) => string | undefined {
  const tree = new RouteTree<string>();
  for (const pattern of patterns) {
    tree.insert(parsePattern(pattern), pattern);
  }
  return (path) => {
    const found = tree.find(path);
    if (found === undefined) {
      return undefined;
    }
    const { names } = parsePattern(found);
    const values = names.map((name, i) => `${name}=${path.slice(tree.starts[i], tree.ends[i])}`);
    return [found, ...values].join(' ');
  };
}

/** The same by trying each pattern, the more literal ones first, segment by segment. */
function model(patterns: readonly string[], path: string): string | undefined {
  const rank = (pattern: string) =>
    pattern
      .split('/')
      .map((segment) => (segment.startsWith(':') ? '1' : segment.startsWith('*') ? '2' : '0'))
      .join('');
  const matching = patterns.filter((pattern) => {
    const source = pattern
      .split('/')
      .map((segment) =>
        segment.startsWith(':') ? '[^/]+' : segment.startsWith('*') ? '.*' : segment,
      )
      .join('/');
    return new RegExp(`^${source}$`).test(path);
  });
  return matching.sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[0];
}

describe('RouteTree', () => {
  it('finds literals, parameters and wildcards, in this order', () => {
    const find = treeOf(
      '/',
      '/users',
      '/users/me',
      '/users/:id',
      '/users/:id/files/*path',
      '/users/:name/x',
      '/user',
      '/*rest',
      '/used/:a/:b',
    );
    assert.equal(find('/'), '/');
    assert.equal(find('/users'), '/users');
    assert.equal(find('/user'), '/user');
    assert.equal(find('/users/me'), '/users/me');
    assert.equal(find('/users/mel'), '/users/:id id=mel');
    assert.equal(find('/users/m'), '/users/:id id=m');
    assert.equal(find('/users/me/files/a/b'), '/users/:id/files/*path id=me path=a/b');
    assert.equal(find('/users/me/x'), '/users/:name/x name=me');
    assert.equal(find('/users/'), '/*rest rest=users/');
    assert.equal(find('/used/1/2'), '/used/:a/:b a=1 b=2');
    assert.equal(find('/used/1/'), '/*rest rest=used/1/');
    assert.equal(find('/use'), '/*rest rest=use');
    assert.equal(find('*'), undefined);
  });

  it('finds what trying each pattern finds', () => {
    const segment = fc.constantFrom('a', 'ab', 'abc', 'b', ':x', ':x');
    const pattern = fc
      .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
      .map(([segments, isWild]) => {
        const named = segments.map((text, i) => (text === ':x' ? `:x${i}` : text));
        return `/${[...named, ...(isWild ? ['*rest'] : [])].join('/')}`;
      });
    const path = fc
      .array(fc.constantFrom('a', 'ab', 'abc', 'b', 'c', ''), { maxLength: 5 })
      .map((segments) => `/${segments.join('/')}`);
    fc.assert(
      fc.property(fc.uniqueArray(pattern, { maxLength: 12 }), path, (patterns, asked) => {
        const found = treeOf(...patterns)(asked);
        assert.equal(found?.split(' ')[0], model(patterns, asked));
      }),
      { numRuns: 5_000 },
    );
  });

  it('takes no wrong patterns, and none twice', () => {
    for (const wrong of ['', 'a', '/a:b', '/*', '/:', '/*a/b', '/:a/:a', '/:__proto__', '/a?b']) {
      assert.throws(() => parsePattern(wrong), TypeError, wrong);
    }
    assert.throws(
      () => parsePattern(`/${Array.from({ length: 17 }, (_, i) => `:p${i}`).join('/')}`),
      RangeError,
    );
    assert.throws(() => treeOf('/:a', '/:b'));
    assert.throws(() => treeOf('/*a', '/*b'));
    assert.throws(() => treeOf('/a', '/a'));
  });
});
