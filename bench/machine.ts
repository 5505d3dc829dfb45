/** The facts a figure is worthless without: what it was measured on, with what, at which commit. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { goVersion } from './build-go.js';
import { COMPILER_FLAGS } from './build-native.js';
import { ROOT_DIRECTORY } from './paths.js';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly koffi: string;
  readonly compiler: string;
  /** Undefined where there is none. */
  readonly go: string | undefined;
  /** With "+changes" when the working tree differs from it. */
  readonly commit: string;
  /** Before the run, over 1, 5 and 15 minutes: what else the machine was doing. */
  readonly loadAverage: readonly number[];
}

export function describeMachine(): Machine {
  const changes = output('git', ['status', '--porcelain', '--untracked-files=no']);
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()} ${arch()}`,
    node: process.version,
    koffi: koffiVersion(),
    compiler: `${output('gcc', ['--version']).split('\n')[0]} ${COMPILER_FLAGS.join(' ')}`,
    go: goVersion(),
    commit: output('git', ['rev-parse', '--short=12', 'HEAD']) + (changes === '' ? '' : '+changes'),
    loadAverage: loadavg(),
  };
}

/** Read from the package's manifest: importing the package is for src/base/ffi.ts alone. */
function koffiVersion(): string {
  try {
    const manifest = join(ROOT_DIRECTORY, 'node_modules/koffi/package.json');
    return String(JSON.parse(readFileSync(manifest, 'utf8')).version);
  } catch {
    return 'not installed';
  }
}

function output(command: string, argv: readonly string[]): string {
  const result = spawnSync(command, argv, { cwd: ROOT_DIRECTORY, encoding: 'utf8' });
  return result.status === 0 ? result.stdout.trim() : 'unknown';
}
