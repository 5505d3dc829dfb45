/** Warnings are limited in their number, and always errors. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { Warnings } from '../../src/connection/warnings.js';

it('ten in a second are told, then none until it is over', () => {
  let now = 5_000;
  const told: string[] = [];
  const warnings = new Warnings({ now: () => now }, ({ message }) => void told.push(message));
  const warn = (n: number) => {
    for (let i = 0; i < n; i += 1) {
      warnings.warn(new Error(`${now}`));
    }
    return told.splice(0).length;
  };
  assert.equal(warn(25), 10);
  now += 999;
  assert.equal(warn(1), 0);
  now += 1;
  assert.equal(warn(25), 10);
});

it('what was thrown is told as it is, or in an error if it is none', () => {
  const told: Error[] = [];
  const warnings = new Warnings({ now: () => 1 }, (error) => told.push(error));
  const error = new TypeError('ours');
  for (const thrown of [error, 'text', undefined, null, { a: 1 }]) {
    warnings.warn(thrown);
  }
  assert.equal(told[0], error);
  assert.ok(told.every((each) => each instanceof Error));
  assert.deepEqual(
    told.slice(1).map(({ message }) => message),
    ['Thrown: text', 'Thrown: undefined', 'Thrown: null', 'Thrown: [object Object]'],
  );
});
