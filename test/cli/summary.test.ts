/** cli/summary: what a server did in its life. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { describeSummary } from '../../src/cli/summary.js';
import { Counter, type CounterName, type CounterValues } from '../../src/connection/stats.js';

function totals(values: Partial<Record<CounterName, number>>): CounterValues {
  const zeros = Object.fromEntries(Object.keys(Counter).map((name) => [name, 0]));
  return { ...zeros, ...values } as CounterValues;
}

test('a good life is one line', () => {
  const text = describeSummary(
    totals({ opened: 1_234, receives: 1, bytesReceived: 5_000_000, bytesSent: 17 }),
    61_000,
  );
  assert.equal(
    text,
    'millrace: ended after 1 min 1 s: 1,234 connections served, 1 message, 5.0 MB in, 17 B out',
  );
});

test('every refusal, timeout and error is told with its number, and only those there were', () => {
  const troubles: CounterName[] = (Object.keys(Counter) as CounterName[]).filter((name) =>
    /^(refused|timeout)|Errors$/.test(name),
  );
  assert.ok(troubles.length >= 11);
  for (const name of troubles) {
    const [, second, third] = describeSummary(totals({ [name]: 1_007 }), 0).split('\n');
    assert.match(second ?? '', /^millrace: troubles: 1,007 [a-zA-Z ]+$/, name);
    assert.equal(third, undefined);
  }
  const all = describeSummary(totals(Object.fromEntries(troubles.map((name) => [name, 2]))), 0);
  assert.equal(all.split('\n')[1]?.split(', ').length, troubles.length);
});
