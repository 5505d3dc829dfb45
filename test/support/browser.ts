/**
 * Headless Chromium, driven over its DevTools protocol (Chrome DevTools Protocol, stable version 1.3): opens a page and
 * evaluates expressions in it.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { WebSocket } from 'ws';

import { awaitCondition, settled } from './await-condition.js';

const PROGRAM = '/usr/bin/chromium';
/** A start on a busy machine takes its time. */
const GUARD_MS = 120_000;
/** Nothing but the page: no look for updates, no other network. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--remote-debugging-port=0',
];

export const hasBrowser: boolean = existsSync(PROGRAM);

interface Answer {
  readonly id?: number;
  readonly result?: { readonly result?: { readonly value?: unknown } };
  readonly error?: { readonly message: string };
}

export class BrowserPage {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const answer = JSON.parse(data.toString()) as Answer;
      if (answer.id !== undefined) {
        this.#waiting.get(answer.id)?.(answer);
        this.#waiting.delete(answer.id);
      }
    });
  }

  /** Starts a browser that shows `url`; it ends with the test. */
  static async open(
    scope: { after(callback: () => void | Promise<void>): void },
    url: string,
  ): Promise<BrowserPage> {
    const profile = mkdtempSync(join(tmpdir(), 'millrace-browser-'));
    const program = spawn(PROGRAM, [...FLAGS, `--user-data-dir=${profile}`, url], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    scope.after(async () => {
      program.kill('SIGKILL');
      await settled(once(program, 'close'), 'the end of the browser', GUARD_MS);
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
    });
    const port = await debuggingPort(program);
    let page: string | undefined;
    await awaitCondition(
      async () => {
        const response = await fetch(`http://127.0.0.1:${port}/json/list`);
        const targets = (await response.json()) as {
          readonly type: string;
          readonly url: string;
          readonly webSocketDebuggerUrl: string;
        }[];
        page = targets.find(
          (one) => one.type === 'page' && one.url.startsWith(url),
        )?.webSocketDebuggerUrl;
        return page !== undefined;
      },
      'the page',
      GUARD_MS,
    );
    const socket = new WebSocket(page!);
    scope.after(() => socket.terminate());
    await once(socket, 'open');
    return new BrowserPage(socket);
  }

  /** The value of an expression in the page, which must be plain data. */
  async evaluate(expression: string): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    const params = { expression, returnByValue: true };
    this.#socket.send(JSON.stringify({ id, method: 'Runtime.evaluate', params }));
    const { error, result } = await settled(answered, `an answer to ${expression}`, GUARD_MS);
    if (error !== undefined) {
      throw new Error(`The browser says: ${error.message}`);
    }
    return result?.result?.value;
  }

  /** Waits until an expression is true in the page. */
  async until(expression: string): Promise<void> {
    await awaitCondition(
      async () => (await this.evaluate(expression)) === true,
      `${expression} in the page`,
      GUARD_MS,
    );
  }
}

async function debuggingPort(program: ChildProcess): Promise<string> {
  let output = '';
  program.stderr!.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  let match: RegExpExecArray | null = null;
  await awaitCondition(
    () => {
      match = /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(output);
      return match !== null || program.exitCode !== null;
    },
    'the browser',
    GUARD_MS,
  );
  if (match === null) {
    throw new Error(`Chromium ended: ${output}`);
  }
  return match[1]!;
}
