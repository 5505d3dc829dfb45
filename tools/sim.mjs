/**
 * `npm run sim`: runs the real code on the simulated kernel. test/sim/main.ts says what arguments there are.
 *
 *     SEED=17 npm run sim                     one seed, with a trace
 *     npm run sim -- --seeds 1000 --from 0    many
 */
// @ts-check

import { ensureInstalled, ensureTestBuilt } from './setup.mjs';
import { runProgram, runTool } from './tool.mjs';

await runTool(async () => {
  ensureInstalled({ dev: true });
  ensureTestBuilt();
  await runProgram('.build/test/sim/main.js', process.argv.slice(2));
});
