/** `npm run bench -- ARGS`: builds the package and the benchmarks and runs bench/main.ts with these arguments. */
// @ts-check

import { ensureBuilt, ensureInstalled, ensureTestBuilt } from './setup.mjs';
import { runProgram, runTool } from './tool.mjs';

await runTool(async () => {
  ensureInstalled({ dev: true });
  ensureBuilt();
  ensureTestBuilt();
  await runProgram('.build/bench/main.js', process.argv.slice(2));
});
