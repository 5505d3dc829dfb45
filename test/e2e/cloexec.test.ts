/** A program that is started under load has its standard streams and nothing of ours. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

import { dial, serve } from '../../src/index.js';
import { rounds } from '../support/await-condition.js';
import { descriptorsOf } from '../support/process-figures.js';
import { RawPeer } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/echo.js', import.meta.url);

/** Ends when its standard input does. */
async function startProgram(): Promise<ChildProcess> {
  const program = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  // It has been replaced by its program by now: descriptors that close on that are closed.
  await once(program, 'spawn');
  return program;
}

/** Sockets, pipes, epoll and event descriptors that a program started now has beside its standard streams. */
async function inherited(): Promise<Map<number, string>> {
  const program = await startProgram();
  const found = descriptorsOf(program.pid!);
  const exited = once(program, 'exit');
  program.stdin!.end();
  await exited;
  // Files are its own: the libraries that it is loading.
  return new Map([...found].filter(([fd, link]) => fd > 2 && !link.startsWith('/')));
}

/** Connects, says a word and leaves, over and over. */
async function makeLoad(urls: readonly string[], isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const peers = await Promise.all(urls.map((url) => RawPeer.connect(url)));
    for (const peer of peers) {
      peer.send('ping');
      await peer.read(4);
      peer.close();
    }
    const connection = await dial(urls[0]!);
    connection.abort();
    await rounds(1);
  }
}

it('children inherit none of our descriptors, however many we have and make', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cloexec-'));
  // What whoever started the tests has left open is none of ours.
  const before = await inherited();
  const listen = ['tcp://127.0.0.1:0', `unix://${folder}/socket`];
  const threaded = await serve({ listen, handler: MODULE, reactors: 3 });
  const spread = await serve({
    listen: 'tcp://127.0.0.1:0',
    handler: MODULE,
    reactors: 2,
    reusePort: true,
  });
  const local = await serve({ listen: 'tcp://127.0.0.1:0', handler: MODULE });
  const urls = [...threaded.addresses, ...spread.addresses, ...local.addresses];
  // These are the test's: kept open, so that the process has many sockets of ours throughout.
  const kept = await Promise.all([...urls, ...urls].map((url) => RawPeer.connect(url)));
  let isOver = false;
  const loading = makeLoad(urls, () => isOver);
  try {
    for (let i = 0; i < 40; i += 1) {
      await rounds(i % 4);
      assert.deepEqual(await inherited(), before);
    }
    assert.ok(descriptorsOf('self').size > 40, 'there was something to inherit');
  } finally {
    isOver = true;
    await loading;
    for (const peer of kept) {
      peer.close();
    }
    await Promise.all([threaded, spread, local].map((server) => server.close({ deadlineMs: 0 })));
    rmSync(folder, { recursive: true });
  }
});
