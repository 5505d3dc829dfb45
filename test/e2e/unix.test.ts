/** Unix sockets: their files, abstract names, large streams, and sockets that another process has made for us. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';

import { type Handler, type ServeOptions, type Server, serve } from '../../src/index.js';
import { awaitCondition, settled } from '../support/await-condition.js';
import { ChildProgram } from '../support/child-program.js';
import { RawListener, RawPeer, rawKernel } from '../support/raw-peer.js';

const MODULE = new URL('../support/engine-handlers/echo.js', import.meta.url);
const echo: Handler = { onData: (connection, bytes) => void connection.write(bytes) };

let folder = '';
const servers: Server[] = [];
const peers: RawPeer[] = [];
const children: ChildProgram[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-unix-'));
});

afterEach(async () => {
  for (const each of [...peers.splice(0)]) {
    each.close();
  }
  for (const child of children.splice(0)) {
    child.kill();
  }
  await Promise.all(servers.splice(0).map((server) => server.close({ deadlineMs: 0 })));
  rmSync(folder, { recursive: true });
});

async function start(listen: string | string[], options: Partial<ServeOptions> = {}) {
  const server = await serve({ listen, handler: echo, ...options });
  servers.push(server);
  return server;
}

async function connect(url: string): Promise<RawPeer> {
  const peer = await RawPeer.connect(url);
  peers.push(peer);
  return peer;
}

async function assertEchoes(url: string): Promise<void> {
  const peer = await connect(url);
  peer.send('ping');
  assert.equal((await peer.read(4)).toString(), 'ping');
  peer.close();
}

for (const reactors of [1, 3]) {
  describe(`the file of a Unix socket, ${reactors} reactor(s)`, () => {
    const options = { reactors, handler: MODULE };

    it('is made, has the mode asked for, and is removed on close', async () => {
      for (const mode of [0o600, 0o666]) {
        const path = join(folder, 'socket');
        const server = await start(`unix://${path}`, { ...options, mode });
        assert.deepEqual(server.addresses, [`unix://${path}`]);
        const status = lstatSync(path);
        assert.ok(status.isSocket());
        assert.equal(status.mode & 0o777, mode);
        await assertEchoes(`unix://${path}`);
        await server.close({ deadlineMs: 0 });
        assert.equal(existsSync(path), false);
      }
    });

    it('replaces one that nobody listens on', async () => {
      const path = join(folder, 'stale');
      RawListener.listen(`unix://${path}`).close();
      assert.ok(lstatSync(path).isSocket());
      await start(`unix://${path}`, options);
      await assertEchoes(`unix://${path}`);
    });

    it('does not replace one that somebody listens on', async () => {
      const path = join(folder, 'live');
      await start(`unix://${path}`, options);
      const inode = lstatSync(path).ino;
      await assert.rejects(start(`unix://${path}`, options), { code: 'EADDRINUSE' });
      assert.equal(lstatSync(path).ino, inode);
      await assertEchoes(`unix://${path}`);
    });
  });
}

describe('the file of a Unix socket', () => {
  it('does not replace one whose listener is too busy to accept', async () => {
    const path = join(folder, 'busy');
    const listener = RawListener.listen(`unix://${path}`, 0);
    await connect(`unix://${path}`);
    await assert.rejects(start(`unix://${path}`), { code: 'EADDRINUSE' });
    assert.ok(existsSync(path));
    listener.close();
  });

  it('does not touch what is no socket', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'precious');
    await assert.rejects(start(`unix://${path}`), { code: 'EADDRINUSE' });
    assert.equal(readFileSync(path, 'utf8'), 'precious');
    const link = join(folder, 'link');
    symlinkSync(join(folder, 'nowhere'), link);
    await assert.rejects(start(`unix://${link}`), { code: 'EADDRINUSE' });
    assert.ok(lstatSync(link).isSymbolicLink());
  });

  it('is not left behind by a start that fails', async () => {
    const path = join(folder, 'early');
    const listen = [`unix://${path}`, 'tcp://192.0.2.1:0'];
    await assert.rejects(start(listen), { code: 'EADDRNOTAVAIL' });
    assert.equal(existsSync(path), false);
    await assert.rejects(start(listen, { reactors: 2, handler: MODULE }), {
      code: 'EADDRNOTAVAIL',
    });
    assert.equal(existsSync(path), false);
  });

  it('fails where it cannot be, and with a name that is too long', async () => {
    await assert.rejects(start(`unix://${folder}/none/socket`), { code: 'ENOENT' });
    await assert.rejects(start(`unix://${folder}/${'x'.repeat(200)}`));
  });
});

describe('abstract names', () => {
  it('need no file, are unique and free again after close', async () => {
    const url = `unix-abstract://millrace-test-${process.pid}`;
    for (const reactors of [1, 3]) {
      const server = await start(url, { reactors, handler: MODULE });
      assert.deepEqual(server.addresses, [url]);
      await assertEchoes(url);
      await assert.rejects(start(url), { code: 'EADDRINUSE' });
      await server.close({ deadlineMs: 0 });
    }
  });
});

describe('streams over Unix sockets', () => {
  const reply = Buffer.alloc(16 * 1024 * 1024);
  for (let i = 0; i < reply.byteLength; i += 4) {
    reply.writeUInt32LE(i, i);
  }

  it('a large reply arrives whole, in whatever portions the kernel takes', async () => {
    const results: string[] = [];
    const url = `unix://${folder}/large`;
    await start(url, {
      writeQueueMax: reply.byteLength,
      handler: {
        onData(connection) {
          results.push(connection.write(reply));
          connection.end();
        },
      },
    });
    const peer = await connect(url);
    peer.send('x');
    await awaitCondition(() => results.length > 0, 'the write');
    assert.deepEqual(results, ['queued']);
    const { bytes, end } = await peer.readToEnd();
    assert.equal(end, 'end');
    assert.equal(digest(bytes), digest(reply));
  });

  it('vectored, owned and copied pieces keep their order', async () => {
    const url = `unix://${folder}/pieces`;
    let freed = 0;
    await start(url, {
      writeQueueMax: reply.byteLength * 2,
      handler: {
        onData(connection) {
          const pieces: Buffer[] = [];
          for (let at = 0; at < reply.byteLength / 2; at += 5_000) {
            pieces.push(reply.subarray(at, Math.min(at + 5_000, reply.byteLength / 2)));
          }
          connection.writev(pieces);
          connection.writeOwned(Buffer.from(reply.subarray(reply.byteLength / 2)), () => {
            freed += 1;
          });
          connection.write('done');
        },
      },
    });
    const peer = await connect(url);
    peer.send('x');
    const bytes = await peer.read(reply.byteLength + 4);
    assert.equal(digest(bytes), digest(Buffer.concat([reply, Buffer.from('done')])));
    assert.equal(freed, 1);
  });
});

describe('sockets made by another process', () => {
  it('fd:// takes over a listening descriptor and gives back nothing else', async () => {
    const listener = RawListener.listen('tcp://127.0.0.1:0');
    const child = new ChildProgram(
      'unix-server',
      { listen: 'fd://3' },
      { isMute: true, descriptors: [listener.fd] },
    );
    children.push(child);
    await awaitCondition(() => child.output.includes('\n'), 'the address');
    assert.deepEqual(JSON.parse(child.output), [listener.url]);
    await assertEchoes(listener.url);
    child.process.kill('SIGTERM');
    assert.equal(await child.exit(), 0);
    listener.close();
  });

  it('fd:// refuses what is no listening stream socket', async () => {
    const peer = await connect((await start('tcp://127.0.0.1:0')).addresses[0]!);
    await assert.rejects(start(`fd://${peer.fd}`), { code: 'EINVAL' });
    await assert.rejects(start('fd://1048575'), { code: 'EBADF' });
    const pipe = rawKernel.eventfd();
    await assert.rejects(start(`fd://${pipe}`), { code: 'ENOTSOCK' });
    rawKernel.close(pipe);
  });

  it('systemd:// takes all sockets that are passed, or those of a name', async () => {
    const path = join(folder, 'activated');
    const tcp = RawListener.listen('tcp://127.0.0.1:0');
    const unix = RawListener.listen(`unix://${path}`);
    for (const { listen, expected } of [
      { listen: 'systemd://', expected: [tcp.url, unix.url] },
      { listen: 'systemd://admin', expected: [unix.url] },
    ]) {
      const child = new ChildProgram(
        'unix-server',
        { listen },
        {
          isMute: true,
          descriptors: [tcp.fd, unix.fd],
          // The number of the process is known to the shell alone, which becomes the program.
          shell: 'export LISTEN_PID=$$',
          environment: { LISTEN_FDS: '2', LISTEN_FDNAMES: 'web:admin' },
        },
      );
      children.push(child);
      await awaitCondition(() => child.output.includes('\n'), 'the addresses');
      assert.deepEqual(JSON.parse(child.output), expected);
      await Promise.all(expected.map(assertEchoes));
      child.process.kill('SIGTERM');
      assert.equal(await child.exit(), 0);
      // It was not ours to remove.
      assert.ok(existsSync(path));
    }
    tcp.close();
    unix.close();
  });

  it('systemd:// fails when nothing was passed, or to somebody else', async () => {
    await assert.rejects(start('systemd://'), { code: 'ERR_NO_SYSTEMD_SOCKETS' });
    for (const { shell, listen } of [
      { shell: 'export LISTEN_PID=1', listen: 'systemd://' },
      { shell: 'export LISTEN_PID=$$', listen: 'systemd://nobody' },
    ]) {
      const listener = RawListener.listen('tcp://127.0.0.1:0');
      const child = new ChildProgram(
        'unix-server',
        { listen },
        {
          isMute: true,
          descriptors: [listener.fd],
          shell,
          environment: { LISTEN_FDS: '1', LISTEN_FDNAMES: 'web' },
        },
      );
      children.push(child);
      assert.equal(await settled(child.exit(), 'the end'), 0);
      assert.deepEqual(JSON.parse(child.output), { code: 'ERR_NO_SYSTEMD_SOCKETS' });
      listener.close();
    }
  });
});

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
