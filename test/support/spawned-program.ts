/**
 * A program of the package as its user starts it: the command line or an example, as a process of its own, seen from
 * outside by what it prints and how it ends. Needs dist/, which `npm test` builds.
 */

import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { awaitCondition, settled } from './await-condition.js';

/** The checkout; this file runs from .build/test/support. */
export const ROOT: string = fileURLToPath(new URL('../../../', import.meta.url));
export const COMMAND_LINE = 'dist/cli/main.js';

/** What needs a guard only against hanging may take this long on the slowest machine. */
const GUARD_MS = 60_000;

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a test's context has, to end a program with its test at the latest. */
interface TestScope {
  after(callback: () => void): void;
}

export class SpawnedProgram {
  readonly process: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #closed: Promise<unknown>;

  constructor(scope: TestScope, command: string, args: readonly string[], options: SpawnOptions) {
    const { MILLRACE_HINTS: _hints, MILLRACE_DEBUG: _debug, ...environment } = process.env;
    this.process = spawn(command, args, {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...options,
      env: { ...environment, ...options.env },
    });
    this.process.stdout?.on('data', (bytes: Buffer) => {
      this.stdout += bytes.toString();
    });
    this.process.stderr?.on('data', (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    // All output has been read by then, unlike at the exit.
    this.#closed = once(this.process, 'close');
    scope.after(() => this.process.kill('SIGKILL'));
  }

  get hasEnded(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** The first match in what it prints on standard output; throws when it ends without. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#found(pattern, () => this.stdout);
  }

  /** The same on standard error. */
  async complained(pattern: RegExp): Promise<RegExpExecArray> {
    return this.#found(pattern, () => this.stderr);
  }

  async #found(pattern: RegExp, text: () => string): Promise<RegExpExecArray> {
    await awaitCondition(() => pattern.test(text()) || this.hasEnded, `${pattern}`, GUARD_MS);
    if (this.hasEnded) {
      await this.#closed;
    }
    const match = pattern.exec(text());
    if (match === null) {
      throw new Error(`Expected ${pattern} before the end, got ${this.stdout}${this.stderr}`);
    }
    return match;
  }

  async ended(): Promise<Ending> {
    await settled(this.#closed, `the end of the program, which said ${this.stdout}`, GUARD_MS);
    const { exitCode, signalCode } = this.process;
    return { code: exitCode, signal: signalCode, stdout: this.stdout, stderr: this.stderr };
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** The addresses of the line that every server prints when it listens. */
  async addresses(): Promise<string[]> {
    const match = await this.printed(/listening on ((?:\S+, )*[^\s,]+)(?= \(|,|\n)/);
    return match[1]!.split(', ');
  }
}

/** `millrace ARGS`. */
export function startCommand(
  scope: TestScope,
  args: readonly string[],
  options: SpawnOptions = {},
): SpawnedProgram {
  return new SpawnedProgram(scope, process.execPath, [`${ROOT}${COMMAND_LINE}`, ...args], options);
}

/** `millrace ARGS`, which is expected to end by itself. */
export function runCommand(
  scope: TestScope,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<Ending> {
  return startCommand(scope, args, options).ended();
}

/** `node examples/NAME.mjs ARGS`. */
export function startExample(
  scope: TestScope,
  name: string,
  args: readonly string[],
): SpawnedProgram {
  return new SpawnedProgram(scope, process.execPath, [`examples/${name}.mjs`, ...args], {});
}
