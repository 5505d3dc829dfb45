/**
 * Child processes of the benchmark: started pinned to cores, read line by line, and gone when the benchmark is
 * gone, however it ends. server-process.ts and client-process.ts stand on it.
 *
 * `taskset` and `setpriv` replace themselves with the program (execve), so the child's pid is the program's.
 */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

const STOP_TIMEOUT_MS = 3_000;

/** How much of standard error is kept for error messages; of the rest the newest. */
const STDERR_CHARACTERS_MAX = 4_096;

interface Waiter {
  readonly accept: (line: string) => boolean;
  readonly resolve: (line: string) => void;
  readonly reject: (error: Error) => void;
}

/** A started program. Both its streams are read for as long as it runs, so that it never blocks on a full pipe. */
export class Child {
  readonly name: string;
  readonly pid: number;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #unread: string[] = [];
  #waiter: Waiter | undefined;
  #stderr = '';
  /** How it ended; undefined while it runs. */
  #end: string | undefined;

  /** `cores` is a number, or a list as taskset(1) takes it, such as "0,1". */
  constructor(name: string, argv: readonly string[], cores: number | string) {
    this.name = name;
    const [program = '', ...args] = [...LAUNCHER, 'taskset', '-c', String(cores), ...argv];
    this.#process = spawn(program, args);
    this.pid = this.#process.pid ?? -1;
    running.add(this);
    this.#process.on('error', (error) => this.#ended(`cannot be started: ${error.message}`));
    // 'close' comes after the last byte of both streams; 'exit' may come before it.
    this.#process.on('close', (code, signal) => {
      this.#ended(`ended with ${signal ?? `exit code ${code}`}`);
    });
    this.#process.stdin.on('error', () => {}); // EPIPE: 'close' says what happened.
    this.#process.stderr.on('data', (chunk) => {
      this.#stderr = (this.#stderr + String(chunk)).slice(-STDERR_CHARACTERS_MAX);
    });
    createInterface({ input: this.#process.stdout }).on('line', (line) => this.#received(line));
  }

  /** The next line of standard output that `accept` takes; the ones before it are dropped. One caller at a time. */
  async nextLine(accept: (line: string) => boolean, timeoutMs: number): Promise<string> {
    for (let line = this.#unread.shift(); line !== undefined; line = this.#unread.shift()) {
      if (accept(line)) return line;
    }
    this.assertAlive();
    const { promise, resolve, reject } = withResolvers<string>();
    this.#waiter = { accept, resolve, reject };
    const timer = setTimeout(
      () => reject(this.#error(`did not answer within ${timeoutMs / 1_000} s`)),
      timeoutMs,
    );
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiter = undefined;
    }
  }

  /** What it wrote to standard error, the newest part of it. */
  get complaints(): string {
    return this.#stderr.trim();
  }

  send(line: string): void {
    this.#process.stdin.write(`${line}\n`);
  }

  /** Throws when the program has ended, with what it last wrote to standard error. */
  assertAlive(): void {
    if (this.#end !== undefined) throw this.#error(this.#end);
  }

  /** SIGTERM, and SIGKILL when that does not end it within three seconds. */
  async stop(): Promise<void> {
    if (this.#end !== undefined) return;
    const closed = new Promise((resolve) => this.#process.once('close', resolve));
    const timer = setTimeout(() => this.kill(), STOP_TIMEOUT_MS);
    this.#process.kill('SIGTERM');
    await closed;
    clearTimeout(timer);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  #received(line: string): void {
    if (this.#waiter === undefined) this.#unread.push(line);
    else if (this.#waiter.accept(line)) {
      this.#waiter.resolve(line);
      this.#waiter = undefined;
    }
  }

  #ended(how: string): void {
    this.#end ??= how;
    running.delete(this);
    this.#waiter?.reject(this.#error(this.#end));
  }

  #error(what: string): Error {
    const said = this.#stderr.trim();
    return new Error(`${this.name} ${what}${said === '' ? '' : `; it said: ${said}`}`);
  }
}

/** setpriv(1), where there is one, ends the children with us even when we are killed by SIGKILL. */
const LAUNCHER: readonly string[] =
  spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0
    ? ['setpriv', '--pdeathsig', 'KILL']
    : [];

const running = new Set<Child>();

process.on('exit', () => {
  for (const child of running) child.kill();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => process.exit(1));
}

/** Promise.withResolvers, which Node 20 does not have. */
function withResolvers<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
