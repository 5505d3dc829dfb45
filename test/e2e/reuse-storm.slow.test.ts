/** Scenario 7 at length: 100,000 connections; see reuse-storm.test.ts. */

import { it } from 'node:test';

import { weatherStorm } from '../support/reuse-storm.js';
import { ONE, SHAPES } from '../support/stage.js';

for (const shape of SHAPES) {
  it(`nothing goes astray in a long storm of reuse on ${shape.name}`, () =>
    weatherStorm(shape, shape === ONE ? 40_000 : 30_000));
}
