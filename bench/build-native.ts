/**
 * Compiles the C programs of bench/native into .build/native: each when it, or a header beside it, is newer than
 * what is there. Called at the start of every benchmark.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { NATIVE_BUILD_DIRECTORY, NATIVE_SOURCE_DIRECTORY } from './paths.js';

export const PROGRAMS = [
  'byte-sink',
  'echo-load',
  'echo-reference',
  'hostile-clients',
  'http-load',
  'http-reference',
  'idle-clients',
  'websocket-load',
] as const;

/** With those that need more headers than libc's, and are compiled only when they are asked for. */
export type Program =
  | (typeof PROGRAMS)[number]
  | 'tls-load'
  | 'tls-reference'
  | 'udp-load'
  | 'udp-reference';

/** The same for the reference and the generators; recorded with each result. */
export const COMPILER_FLAGS = ['-std=gnu11', '-O2', '-Wall', '-Wextra'] as const;

/** Where a program is after `buildNative`. */
export function nativePath(program: Program): string {
  return join(NATIVE_BUILD_DIRECTORY, program);
}

/** Throws with the compiler's output when a program does not compile, and with advice when there is no compiler. */
export function buildNative(): void {
  for (const program of PROGRAMS) buildProgram(program);
}

/** One of them, if it is out of date. `libraries` are flags such as -lssl, whose headers must be there. */
export function buildProgram(program: Program, libraries: readonly string[] = []): void {
  mkdirSync(NATIVE_BUILD_DIRECTORY, { recursive: true });
  const headers = readdirSync(NATIVE_SOURCE_DIRECTORY).filter((name) => name.endsWith('.h'));
  const headersTime = Math.max(0, ...headers.map((name) => modifiedMs(sourcePath(name))));
  const source = sourcePath(`${program}.c`);
  const newest = Math.max(headersTime, modifiedMs(source));
  if (modifiedMs(nativePath(program)) < newest) compile(source, nativePath(program), libraries);
}

function sourcePath(name: string): string {
  return join(NATIVE_SOURCE_DIRECTORY, name);
}

/** 0 for a file that does not exist: older than everything. */
function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function compile(source: string, target: string, libraries: readonly string[]): void {
  const args = [...COMPILER_FLAGS, '-o', target, source, ...libraries];
  const result = spawnSync('gcc', args, { encoding: 'utf8' });
  if (result.error !== undefined) {
    throw new Error(
      `The benchmark needs gcc for its load generator and reference: ${result.error.message}. ` +
        'Debian and Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc; ' +
        'Alpine: apk add gcc musl-dev linux-headers. millrace itself needs no compiler.',
    );
  }
  if (result.status !== 0) throw new Error(`gcc failed on ${source}:\n${result.stderr}`);
}
