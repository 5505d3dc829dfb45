/** The proactor on the simulated kernel, from seeds, on both drivers: see trial-proactor.ts. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { DRIVER_KINDS } from './trial-driver.js';
import { ProactorTrial } from './trial-proactor.js';

const SEEDS = 120;
/** What has to come up: else the trial tries nothing. */
const OUTCOMES = [
  ...['done', 'shared', 'held', 'full', 'closed'],
  ...['ERR_DEADLINE', 'ERR_END', 'ERR_FREED', 'ERR_CLOSED', 'ECONNRESET'],
];

for (const driver of DRIVER_KINDS) {
  describe(`the proactor on the simulated kernel, ${driver}`, () => {
    it(`${SEEDS} seeds`, async (t) => {
      const sums = new Map<string, number>();
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        const trial = new ProactorTrial(seed, driver, 0);
        try {
          await trial.run();
        } catch (error) {
          throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
        }
        for (const [what, n] of trial.outcomes) {
          sums.set(what, (sums.get(what) ?? 0) + n);
        }
      }
      t.diagnostic([...sums].map(([what, n]) => `${what} ${n}`).join(', '));
      for (const what of OUTCOMES) {
        assert.ok((sums.get(what) ?? 0) >= 3, `${what} came up ${sums.get(what) ?? 0} times`);
      }
    });

    it('equal seeds, equal runs', async () => {
      for (const seed of [7, 77, 777]) {
        const first = await new ProactorTrial(seed, driver, 0).run();
        assert.deepEqual(await new ProactorTrial(seed, driver, 0).run(), first);
      }
    });
  });
}
