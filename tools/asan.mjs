/**
 * Running Node under AddressSanitizer. An unmodified Node does: the library of gcc is preloaded, and since libc is
 * reached through the running program (src/base/ffi.ts), its checks stand between our calls and the memory.
 * tools/test.mjs uses this for `npm run test:asan`.
 */
// @ts-check

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { describeEnd, ToolError } from './tool.mjs';

/** Exit code of a process that AddressSanitizer stopped: one that no program of ours uses. */
const EXIT_CODE = 86;

/**
 * - detect_leaks: Node frees little at its end, and LeakSanitizer needs ptrace.
 * - allow_user_segv_handler: else Node's own handler hides where a wild access in FFI was.
 * - allocator_may_return_null: tests ask for more memory than there is, and want to be told so.
 * - alloc_dealloc_mismatch: Node is linked with its own `operator new`, which AddressSanitizer cannot pair.
 */
const OPTIONS = [
  'detect_leaks=0',
  'allow_user_segv_handler=0',
  'allocator_may_return_null=1',
  'alloc_dealloc_mismatch=0',
  `exitcode=${EXIT_CODE}`,
];

/** How many bytes are written into a block of 16, and whether AddressSanitizer must object. */
const CHECKS = [
  { byteLength: 16, isError: false },
  { byteLength: 17, isError: true },
];

/**
 * The environment that runs a program and all its children under AddressSanitizer. Reports go to files in `folder`
 * whose names begin with `prefix`, so that none is lost in the output of a child that a test captured.
 *
 * @param {string} folder Absolute.
 * @param {string} prefix
 * @returns {NodeJS.ProcessEnv}
 */
export function asanEnvironment(folder, prefix) {
  const gcc = spawnSync('gcc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  const library = gcc.stdout?.trim() ?? '';
  if (!existsSync(library)) {
    throw new ToolError('AddressSanitizer needs gcc with its libasan, and there is none.');
  }
  return {
    ...process.env,
    ASAN_OPTIONS: [...OPTIONS, `log_path=${join(folder, prefix)}`].join(':'),
    LD_PRELOAD: library,
    MILLRACE_GUARD: '1',
  };
}

/**
 * Throws unless AddressSanitizer sees the library's own FFI: without this a run could pass vacuously.
 *
 * @param {string} node The Node binary to check.
 * @param {string} folder A temporary folder.
 */
export function checkAsanSeesFfi(node, folder) {
  const env = asanEnvironment(folder, 'check');
  for (const { byteLength, isError } of CHECKS) {
    const args = ['tools/asan-check.mjs', String(byteLength)];
    const check = spawnSync(node, args, { env, encoding: 'utf8' });
    const report = takeReports(folder, 'check');
    const isReported = report.includes('heap-buffer-overflow');
    if (isReported === isError && check.status === (isError ? EXIT_CODE : 0)) continue;
    throw new ToolError(
      'AddressSanitizer does not see the FFI: ' +
        `writing ${byteLength} bytes into 16 gave ${describeEnd(check)} and ` +
        `${isReported ? 'a' : 'no'} report.\n${report}${check.stderr}`,
    );
  }
}

/**
 * The reports written so far to files with this prefix, which are removed.
 *
 * @param {string} folder
 * @param {string} prefix
 */
export function takeReports(folder, prefix) {
  const files = readdirSync(folder).filter((name) => name.startsWith(`${prefix}.`));
  const reports = files.map((name) => readFileSync(join(folder, name), 'utf8'));
  for (const name of files) rmSync(join(folder, name));
  // What it only warns about, such as a refused allocation, is no report.
  return reports.filter((report) => report.includes('ERROR: ')).join('\n');
}
