/**
 * Scenario 7: connections come and go as fast as they can, while other threads write to those that have gone. Nothing
 * arrives on a wrong connection; what is done to a closed one has its defined result. 5,000 cycles here, 100,000 in
 * reuse-storm.slow.test.ts.
 */

import { it } from 'node:test';

import { weatherStorm } from '../support/reuse-storm.js';
import { ONE, SHAPES } from '../support/stage.js';

for (const shape of SHAPES) {
  it(`nothing goes astray in a storm of reuse on ${shape.name}`, () =>
    weatherStorm(shape, shape === ONE ? 2_000 : 1_500));
}
