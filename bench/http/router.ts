/**
 * What a look-up in the router's tree costs, against a Map (which knows no parameters) and against trying one regular
 * expression for each route: `node .build/bench/http/router.js` after `npm test` has compiled it.
 */

import { parsePattern, RouteTree } from '../../src/http/route-tree.js';

const RESOURCES = ['users', 'posts', 'comments', 'files', 'teams', 'orders', 'items', 'tags'];
/** Five routes for each resource, such as those of an ordinary API. */
const PATTERNS = RESOURCES.flatMap((name) => [
  `/api/${name}`,
  `/api/${name}/search`,
  `/api/${name}/:id`,
  `/api/${name}/:id/history/:version`,
  `/static/${name}/*path`,
]);
const PATHS = {
  literal: '/api/orders/search',
  parameter: '/api/orders/4711',
  'two parameters': '/api/tags/4711/history/12',
  wildcard: '/static/items/css/main.css',
  none: '/api/unknown/4711',
} as const;
const ROUNDS = 7;
const LOOKUPS = 1_000_000;

const tree = new RouteTree<number>();
for (const [i, pattern] of PATTERNS.entries()) {
  tree.insert(parsePattern(pattern), i);
}
const map = new Map(PATTERNS.map((pattern, i) => [pattern, i]));
const expressions = PATTERNS.map((pattern) => {
  const source = pattern.replace(/:\w+/g, '([^/]+)').replace(/\*\w+/, '(.*)');
  return new RegExp(`^${source}$`);
});

const CONTENDERS: Record<string, (path: string) => number | undefined> = {
  tree: (path) => tree.find(path),
  map: (path) => map.get(path),
  expressions: (path) => expressions.findIndex((expression) => expression.test(path)),
};

for (const [kind, path] of Object.entries(PATHS)) {
  const best = Object.entries(CONTENDERS).map(
    ([name, find]) => `${name} ${measure(find, path)} ns`,
  );
  console.log(`${kind.padEnd(15)} ${best.join(', ')}`);
}

/** The best round, in nanoseconds for one look-up. */
function measure(find: (path: string) => number | undefined, path: string): string {
  let best = Number.POSITIVE_INFINITY;
  let found = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < LOOKUPS; i += 1) {
      found += find(path) ?? 0;
    }
    best = Math.min(best, Number(process.hrtime.bigint() - start) / LOOKUPS);
  }
  // The sum is looked at, so that the look-ups cannot be left out.
  return Number.isNaN(found) ? '' : best.toFixed(0);
}
