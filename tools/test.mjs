/**
 * `npm test`: installs, compiles and runs test/, all of it or the files that are named.
 *
 *     npm test                                  everything
 *     npm test -- base/errno connection         the files whose path contains one of these words
 *     npm test -- --test-name-pattern=closes    options of Node's test runner go through, written with `=`
 *     npm test -- --node /opt/node26/bin/node   on another Node than the one that runs the tools
 *     npm test -- --coverage                    with Node's coverage table
 *     npm run test:asan                         under AddressSanitizer, without *.slow.test.ts and *.noasan.test.ts
 *
 * With CI=true a test that is skipped or marked as to do fails the run: there, everything that a test needs is meant to
 * be installed. A run without a single test fails always.
 */
// @ts-check

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';

import { asanEnvironment, checkAsanSeesFfi, takeReports } from './asan.mjs';
import { ensureBuilt, ensureInstalled, ensureTestBuilt } from './setup.mjs';
import { describeEnd, listFiles, note, runTool, ToolError } from './tool.mjs';

/**
 * Nothing hangs forever. Node's own limit holds for a test, and up to Node 20 for a file; later versions do not stop a
 * file that never ends or never yields, so the whole run has a limit too, and a little time to say what was running.
 */
const TEST_TIMEOUT_MS = 600_000;
const RUN_TIMEOUT_MS = 860_000;
const KILL_DELAY_MS = 3_000;

/** Compiled test files, and those among them that AddressSanitizer's run leaves out. */
const TEST_FILE = /\.test\.js$/;
const NOT_UNDER_ASAN = /\.(slow|noasan)\.test\.js$/;

/** @typedef {{ node: string, asan: boolean, coverage: boolean, words: string[], options: string[] }} Request */

await runTool(async () => {
  const request = parse(process.argv.slice(2));
  ensureInstalled({ dev: true });
  // Tests and examples that import the package by its name get dist/.
  ensureBuilt();
  ensureTestBuilt();
  const files = chooseFiles(request);
  const scratch = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  try {
    await runTests(request, files, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});

/**
 * @param {string[]} args
 * @returns {Request}
 */
function parse(args) {
  /** @type {Request} */
  const request = { node: process.execPath, asan: false, coverage: false, words: [], options: [] };
  for (let i = 0; i < args.length; i++) {
    const arg = /** @type {string} */ (args[i]);
    if (arg === '--asan') request.asan = true;
    else if (arg === '--coverage') request.coverage = true;
    else if (arg === '--node') request.node = args[++i] ?? '';
    else if (arg.startsWith('--test-')) request.options.push(arg);
    else if (arg.startsWith('-')) throw new ToolError(`Unknown option ${arg}; see tools/test.mjs.`);
    else request.words.push(arg.replace(/\.ts$/, '.js'));
  }
  if (!existsSync(request.node)) {
    throw new ToolError(`--node needs the path of a Node binary, not "${request.node}".`);
  }
  return request;
}

/** @param {Request} request */
function chooseFiles({ words, asan }) {
  const files = listFiles('.build/test')
    .filter((path) => TEST_FILE.test(path) && !(asan && NOT_UNDER_ASAN.test(path)))
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)));
  if (files.length === 0) throw new ToolError('No test file matches.');
  return files;
}

/**
 * Runs Node's test runner: the spec reporter for people, with its totals as the last lines, and TAP for our checks.
 *
 * @param {Request} request
 * @param {string[]} files
 * @param {string} scratch A temporary folder.
 */
async function runTests({ node, asan, coverage, options }, files, scratch) {
  if (asan) {
    checkAsanSeesFfi(node, scratch);
    note('AddressSanitizer sees the FFI: it reported an overflow made on purpose');
  }
  const tapFile = join(scratch, 'results.tap');
  const args = ['--enable-source-maps', '--test', `--test-timeout=${TEST_TIMEOUT_MS}`];
  args.push(`--test-concurrency=${availableParallelism()}`);
  args.push('--test-reporter=tap', `--test-reporter-destination=${tapFile}`);
  args.push('--test-reporter=spec', '--test-reporter-destination=stdout');
  if (coverage) args.push('--experimental-test-coverage');
  const env = asan ? asanEnvironment(scratch, 'asan') : process.env;
  const end = await runGroup(node, [...args, ...options, ...files], env);
  const reports = takeReports(scratch, 'asan');
  if (reports !== '') throw new ToolError(`AddressSanitizer found an error.\n${reports}`);
  if (end.status !== 0) throw new ToolError(`The tests failed (${describeEnd(end)}).`);
  checkNothingLeftOut(readFileSync(tapFile, 'utf8'), options);
}

/**
 * Runs a program in a process group of its own, so that at the time limit it can be ended with all its children.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<{ status: number | null, signal: NodeJS.Signals | null }>}
 */
async function runGroup(command, args, env) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env,
    detached: true,
  });
  /** @type {(signal: NodeJS.Signals) => void} */
  const pass = (signal) => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
  };
  const limit = setTimeout(() => {
    note(`the run takes longer than ${RUN_TIMEOUT_MS / 1000} s and is stopped`);
    pass('SIGTERM');
    setTimeout(pass, KILL_DELAY_MS, 'SIGKILL').unref();
  }, RUN_TIMEOUT_MS);
  process.on('SIGINT', pass).on('SIGTERM', pass);
  try {
    const [status, signal] = await once(child, 'exit');
    return { status, signal };
  } catch (error) {
    throw new ToolError(`Cannot run ${command}: ${/** @type {Error} */ (error).message}`);
  } finally {
    clearTimeout(limit);
    process.off('SIGINT', pass).off('SIGTERM', pass);
    killRest(child.pid);
  }
}

/**
 * Ends what is left of a process group whose first process has exited.
 *
 * @param {number | undefined} group
 */
function killRest(group) {
  try {
    if (group !== undefined) process.kill(-group, 'SIGKILL');
  } catch {
    // ESRCH: nothing is left, as it should be.
  }
}

/**
 * @param {string} tap
 * @param {string[]} options
 */
function checkNothingLeftOut(tap, options) {
  if (totalOf(tap, 'tests') === 0) throw new ToolError('Not a single test ran.');
  // A name pattern leaves out the rest on purpose; Node 20 counts these as skipped.
  const isPartial = options.some((option) =>
    /^--test-(name-pattern|skip-pattern|only)/.test(option),
  );
  if (process.env.CI !== 'true' || isPartial) return;
  const marks = tap.match(/^\s*(not )?ok .* # (SKIP|TODO)\b.*$/gm) ?? [];
  if (marks.length === 0 && totalOf(tap, 'skipped') + totalOf(tap, 'todo') === 0) return;
  for (const mark of marks) note(mark.trim());
  throw new ToolError('With CI=true no test may be skipped or marked as to do.');
}

/**
 * A number of the closing summary, such as `# tests 12`.
 *
 * @param {string} tap
 * @param {string} name
 */
function totalOf(tap, name) {
  const line = tap.match(new RegExp(`^# ${name} (\\d+)$`, 'm'));
  if (line === null) throw new ToolError(`Node's summary has no line "${name}".`);
  return Number(line[1]);
}
