/** The guide in docs/node.md, followed word for word: each program is run, and does what it did before it moved. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { WebSocket } from 'ws';

import { awaitCondition, settled } from '../support/await-condition.js';
import { freePort, RawPeer } from '../support/raw-peer.js';
import { ROOT, SpawnedProgram } from '../support/spawned-program.js';

const page = readFileSync(join(ROOT, 'docs/node.md'), 'utf8');
const programs = [...page.matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code!);

/** The programs between two headings, or after the last. */
function programsOf(heading: string): string[] {
  const from = page.indexOf(`\n## ${heading}`);
  assert.ok(from >= 0, `the page has no section ${heading}`);
  const to = page.indexOf('\n## ', from + 1);
  const section = page.slice(from, to < 0 ? undefined : to);
  return programs.filter((program) => section.includes(program));
}

/** Starts a program of the page on a port of its own; what it imports is what this checkout has. */
function start(t: TestContext, code: string, ports: Record<number, number>): SpawnedProgram {
  mkdirSync(join(ROOT, '.build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, '.build/guide-'));
  t.after(() => rmSync(folder, { recursive: true }));
  let text = code;
  for (const [from, to] of Object.entries(ports)) {
    text = text.replaceAll(from, String(to));
  }
  writeFileSync(join(folder, 'greeter.mjs'), programsOf('Moving a service').at(-1)!);
  const [, module] = /```javascript\n([\s\S]*?)```/.exec(page)!;
  writeFileSync(join(folder, 'handler.mjs'), module!);
  writeFileSync(join(folder, 'program.mjs'), text);
  return new SpawnedProgram(t, process.execPath, [join(folder, 'program.mjs')], {});
}

/** Waits until somebody listens. */
async function reach(program: SpawnedProgram, port: number): Promise<RawPeer> {
  let peer: RawPeer | undefined;
  await awaitCondition(async () => {
    assert.equal(program.hasEnded, false, program.stderr);
    try {
      peer = await RawPeer.connect(`tcp://127.0.0.1:${port}`);
      return true;
    } catch {
      return false;
    }
  }, 'the server');
  return peer!;
}

async function end(program: SpawnedProgram, isOurs: boolean): Promise<void> {
  program.process.kill('SIGTERM');
  await awaitCondition(() => program.hasEnded, 'the end of the program');
  assert.equal(program.stderr, '');
  assert.equal(program.process.exitCode, isOurs ? 0 : null);
}

describe('the echo server', () => {
  for (const [i, code] of programsOf('Moving an echo server').entries()) {
    it(`works in step ${i}`, async (t) => {
      const port = freePort();
      const program = start(t, code, { 9000: port });
      for (let k = 0; k < 50; k += 1) {
        // One that goes before anybody has looked at it costs the others nothing.
        (await reach(program, port)).reset();
      }
      const peer = await reach(program, port);
      const text = 'there and back, '.repeat(10_000);
      const sending = peer.sendAll(text);
      assert.equal(String(await settled(peer.read(text.length), 'the echo')), text);
      await sending;
      peer.end();
      assert.equal((await settled(peer.readToEnd(), 'the end')).end, 'end');
      peer.close();
      await end(program, code.includes('closeOnSignals'));
    });
  }
});

describe('the chat', () => {
  // The second step shows a protocol of one's own, not the chat.
  const isChat = (code: string) => code.includes('ebSocket');
  for (const code of programsOf('Moving a chat').filter(isChat)) {
    const ours = /from '(millrace\/(?!node)\w+)'/.exec(code)?.[1];
    it(`works with ${ours ?? /nodeHandler|listen/.exec(code)}`, async (t) => {
      const port = freePort();
      const program = start(t, code, { 8080: port });
      (await reach(program, port)).close();
      const url = `ws://127.0.0.1:${port}/`;
      const members = [new WebSocket(url), new WebSocket(url)];
      const heard: string[][] = members.map(() => []);
      for (const [i, member] of members.entries()) {
        member.on('message', (data: Buffer) => heard[i]!.push(data.toString()));
      }
      const isOpen = (member: WebSocket) => member.readyState === WebSocket.OPEN;
      await awaitCondition(() => members.every(isOpen), 'the members');
      await awaitCondition(() => {
        // A server that has answered may not have begun to listen to the member.
        members[0]!.send('hello all');
        return heard.every((lines) => lines.length > 0);
      }, 'the message');
      assert.deepEqual(new Set(heard.flat()), new Set(['hello all']));
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        headers: { connection: 'close' },
      });
      assert.equal(await response.text(), 'a chat\n');
      for (const member of members) {
        member.terminate();
      }
      await end(program, code.includes('closeOnSignals'));
    });
  }
});

describe('the chat’s second step', () => {
  const [code] = programsOf('Moving a chat').filter((each) => each.includes('fromSocket'));
  const moved = code!
    .replace(/server\.listen.*\n/, '')
    .replace(/^/, "import { closeOnSignals, serve } from 'millrace';\n")
    .replace('{ fromSocket }', '{ fromSocket, nodeHandler }')
    .concat("closeOnSignals(await serve({ listen: 'tcp://127.0.0.1:8080', ")
    .concat('handler: nodeHandler(server) }));\n');
  for (const [name, program] of Object.entries({ 'by itself': code!, 'after the first': moved })) {
    it(`works ${name}`, async (t) => {
      const port = freePort();
      const server = start(t, program, { 8080: port });
      const peer = await reach(server, port);
      await peer.sendAll(
        'GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n',
      );
      await peer.sendAll('a line');
      const answer =
        'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: lines\r\n\r\n';
      const all = `${answer}a line`;
      assert.equal(String(await settled(peer.read(all.length), 'the answer')), all);
      peer.close();
      await end(server, program === moved);
    });
  }
});

describe('the gRPC service', () => {
  const [native, moved, client] = programsOf('Moving a service') as [string, string, string];
  for (const [name, code] of Object.entries({ native, moved })) {
    it(`${name}, answers the client that has moved`, async (t) => {
      const port = freePort();
      const program = start(t, code, { 9051: port });
      (await reach(program, port)).close();
      const caller = start(t, client, { 9051: port });
      await awaitCondition(() => caller.hasEnded, 'the end of the client');
      await awaitCondition(() => caller.stdout !== '' || caller.stderr !== '', 'the answer');
      assert.deepEqual([caller.stdout, caller.stderr], ['Hello, Ann!\n', '']);
      await end(program, code.includes('closeOnSignals'));
    });
  }
});
