/** Programs that a test runs as processes of their own (test/support/child-programs), and their end of the talk. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { awaitCondition, settled } from './await-condition.js';

export interface ChildOptions {
  /** Shell commands that run first, in the same process, such as `ulimit -n 64`. */
  readonly shell?: string;
  readonly environment?: Record<string, string>;
  /** Descriptors to pass from number 4 on: 3 is for the talk, or from 3 on without one. */
  readonly descriptors?: readonly number[];
  readonly isMute?: boolean;
}

/** A running program; it ends with the test that started it at the latest. */
export class ChildProgram {
  readonly process: ChildProcess;
  readonly messages: unknown[] = [];
  output = '';
  #exited: Promise<{ code: number | null; signal: string | null }>;

  constructor(name: string, argument: unknown, options: ChildOptions = {}) {
    const path = fileURLToPath(new URL(`./child-programs/${name}.js`, import.meta.url));
    const { shell = 'true', descriptors = [], isMute = false } = options;
    this.process = spawn(
      'sh',
      ['-c', `${shell}; exec "$0" "$1" "$2"`, process.execPath, path, JSON.stringify(argument)],
      {
        stdio: ['ignore', 'pipe', 'pipe', ...(isMute ? [] : (['ipc'] as const)), ...descriptors],
        env: { ...process.env, NODE_OPTIONS: '', ...options.environment },
      },
    );
    this.process.on('message', (message) => this.messages.push(message));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on('data', (bytes: Buffer) => {
        this.output += bytes.toString();
      });
    }
    this.#exited = once(this.process, 'exit').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number {
    return this.process.pid!;
  }

  /** The next message; throws when the program ends first. */
  async next(): Promise<unknown> {
    await awaitCondition(
      () => this.messages.length > 0 || this.process.exitCode !== null,
      `a word of the program, which said: ${this.output}`,
    );
    if (this.messages.length === 0) {
      throw new Error(`The program ended: ${this.output}`);
    }
    return this.messages.shift();
  }

  async ask(question: unknown): Promise<unknown> {
    this.process.send(question as object);
    return this.next();
  }

  /** Its exit code, or the signal that ended it. Killed if it does not end. */
  async exit(guardMs?: number): Promise<number | string | null> {
    try {
      const { code, signal } = await settled(this.#exited, 'the exit of a program', guardMs);
      return code ?? signal;
    } finally {
      this.kill();
    }
  }

  kill(): void {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGKILL');
    }
  }
}
