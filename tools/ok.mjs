/**
 * `npm run ok`: the gate before each commit. Types, lint, format, the rules of tidy, docs/api.md, tests; stops at the
 * first failure. Arguments go to the tests: `npm run ok -- base/errno`.
 */
// @ts-check

import { spawnSync } from 'node:child_process';

import { ensureBuilt, ensureInstalled, ensureTestBuilt } from './setup.mjs';
import { describeEnd, note, runTool, ToolError } from './tool.mjs';

const TSC = 'node_modules/typescript/bin/tsc';
const BIOME = 'node_modules/@biomejs/biome/bin/biome';

await runTool(() => {
  ensureInstalled({ dev: true });
  // Compiling checks the types of src, test and bench, and the tests need its output anyway.
  step('types', ensureBuilt);
  step('types of tests', ensureTestBuilt);
  step('types of examples', () => runNode([TSC, '-p', 'tsconfig.examples.json']));
  step('lint', () => runNode([BIOME, 'lint', '--error-on-warnings', '.']));
  step('format', () => runNode([BIOME, 'format', '.']));
  step('tidy', () => runNode(['tools/tidy.mjs']));
  step('docs', () => runNode(['tools/api-docs.mjs', '--check']));
  step('tests', () => runNode(['tools/test.mjs', ...process.argv.slice(2)]));
});

/**
 * @param {string} name
 * @param {() => void} work
 */
function step(name, work) {
  const start = performance.now();
  work();
  note(`${name}: ok, ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

/** @param {string[]} args */
function runNode(args) {
  const end = spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  if (end.status !== 0) throw new ToolError(`${args.join(' ')} failed (${describeEnd(end)}).`);
}
