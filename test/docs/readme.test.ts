/** The README's programs, run as they stand there, each used from outside. */

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { WebSocket } from 'ws';

import { awaitCondition, settled } from '../support/await-condition.js';
import { freePort, RawPeer } from '../support/raw-peer.js';
import { ROOT, SpawnedProgram } from '../support/spawned-program.js';
import { TestCertificates } from '../support/test-certificates.js';

const page = readFileSync(join(ROOT, 'README.md'), 'utf8');
const programs = [...page.matchAll(/\n## (.*)\n\n```js\n([\s\S]*?)```/g)];
const certificates = new TestCertificates();

/** Starts the program below a heading, with its ports replaced by free ones, and waits until they are listened on. */
async function start(
  t: TestContext,
  heading: string,
  ports: readonly number[],
): Promise<{ program: SpawnedProgram; ports: number[] }> {
  const code = programs.find(([, name]) => name === heading)?.[2];
  assert.ok(code !== undefined, `the README has no program below ${heading}`);
  mkdirSync(join(ROOT, '.build'), { recursive: true });
  const folder = mkdtempSync(join(ROOT, '.build/readme-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const own = ports.map(() => freePort());
  let text = code.replaceAll('/tmp/echo.sock', join(folder, 'echo.sock'));
  for (const [i, port] of ports.entries()) {
    assert.ok(text.includes(`:${port}`), `the program listens on ${port}`);
    text = text.replaceAll(`:${port}`, `:${own[i]}`);
  }
  writeFileSync(join(folder, 'program.mjs'), text);
  copyFileSync(certificates.server.certFile, join(folder, 'cert.pem'));
  copyFileSync(certificates.server.keyFile, join(folder, 'key.pem'));
  const program = new SpawnedProgram(t, process.execPath, ['program.mjs'], { cwd: folder });
  for (const port of own) {
    (await reach(program, port)).close();
  }
  return { program, ports: own };
}

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

/** What comes back for bytes that are sent. */
async function ask(port: number, bytes: string | Buffer, length: number): Promise<Buffer> {
  const peer = await RawPeer.connect(`tcp://127.0.0.1:${port}`);
  await peer.sendAll(bytes);
  const answer = await settled(peer.read(length), 'the answer');
  peer.close();
  return answer;
}

describe("the README's programs", () => {
  it('all have a test here', () => {
    assert.deepEqual(
      programs.map(([, heading]) => heading),
      [
        'An echo server',
        'HTTP, WebSocket, TLS',
        'Datagrams',
        'Messages and heavy work',
        'A proactor',
        "Node's world",
      ],
    );
  });

  it('An echo server', async (t) => {
    const { program, ports } = await start(t, 'An echo server', [9000]);
    assert.equal((await ask(ports[0]!, 'hello', 5)).toString(), 'hello');
    assert.match(program.stdout, /^listening on tcp:\/\/127.0.0.1:\d+, unix:\/\//);
    program.signal('SIGINT');
    assert.equal((await program.ended()).code, 0);
  });

  it('HTTP, WebSocket, TLS', async (t) => {
    const { ports } = await start(t, 'HTTP, WebSocket, TLS', [8080, 8443]);
    const response = await fetch(`http://127.0.0.1:${ports[0]}/users/7`);
    assert.equal(await response.text(), 'user 7');
    const secure = await settled(
      new Promise<number | undefined>((resolve, reject) => {
        const url = `https://localhost:${ports[1]}/users/8`;
        const options = { ca: certificates.ca.cert, agent: false, family: 4 };
        request(url, options, (answer) => resolve(answer.resume().statusCode))
          .on('error', reject)
          .end();
      }),
      'the answer over TLS',
    );
    assert.equal(secure, 200);
    const socket = new WebSocket(`ws://127.0.0.1:${ports[0]}/ws`);
    socket.on('open', () => socket.send('there and back'));
    const message = await settled(
      new Promise((resolve, reject) => socket.on('message', resolve).on('error', reject)),
      'the message',
    );
    assert.equal(String(message), 'there and back');
    socket.terminate();
  });

  it('Datagrams', async (t) => {
    const { ports } = await start(t, 'Datagrams', [9001]);
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    const answers: string[] = [];
    socket.on('message', (bytes) => answers.push(bytes.toString()));
    await awaitCondition(() => {
      // A datagram may be lost, even here.
      socket.send('by UDP', ports[0]!, '127.0.0.1');
      return answers.length > 0;
    }, 'the datagram');
    assert.equal(answers[0], 'by UDP');
    assert.equal((await ask(ports[0]!, 'by TCP', 6)).toString(), 'by TCP');
  });

  it('Messages and heavy work', async (t) => {
    const { ports } = await start(t, 'Messages and heavy work', [9002]);
    const frame = (text: string) => {
      const bytes = Buffer.alloc(4 + text.length, `0000${text}`);
      bytes.writeUInt32BE(text.length);
      return bytes;
    };
    const answer = frame('{"n":42}');
    assert.deepEqual(await ask(ports[0]!, frame('{"n":41}'), answer.length), answer);
  });

  it('A proactor', async (t) => {
    const { ports } = await start(t, 'A proactor', [9003]);
    assert.equal((await ask(ports[0]!, 'watched', 7)).toString(), 'watched');
  });

  it("Node's world", async (t) => {
    const { ports } = await start(t, "Node's world", [8081]);
    const response = await fetch(`http://127.0.0.1:${ports[0]}/`);
    assert.equal(await response.text(), 'hello');
  });
});
