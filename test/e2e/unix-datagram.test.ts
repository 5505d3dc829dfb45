/** Unix datagrams and seqpackets from outside, on one reactor and on three. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';

import { encodeSockaddr } from '../../src/base/address.js';
import { AF_UNIX, SOCK_DGRAM } from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import { type DatagramSocket, datagram } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { counted, DATAGRAM_SHAPES, report, staged } from '../support/datagram-stage.js';

let folder = '';
let names = 0;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-unixgram-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** A socket that keeps what it gets, and how it ended. */
async function client(connect: string): Promise<{
  socket: DatagramSocket;
  got: string[];
  ends: string[];
}> {
  const got: string[] = [];
  const ends: string[] = [];
  names += 1;
  const isPackets = connect.startsWith('seqpacket');
  const bind = `unixgram-abstract://millrace-client-${process.pid}-${names}`;
  const socket = await datagram({
    connect,
    ...(isPackets ? {} : { bind }),
    handler: {
      onDatagram(_socket, bytes) {
        got.push(bytes.toString());
      },
      onSocketClose(_socket, { code }) {
        ends.push(code);
      },
    },
  });
  return { socket, got, ends };
}

for (const shape of DATAGRAM_SHAPES) {
  describe(`Unix datagrams, ${shape.name}`, { skip: shape.skip }, () => {
    it('are echoed with their boundaries, by path and by abstract name', () =>
      staged(async (stage) => {
        names += 1;
        const path = join(folder, `gram-${names}`);
        const server = await stage.serve(shape, {
          listen: [`unixgram://${path}`, `unixgram-abstract://millrace-${process.pid}-${names}`],
          datagram: { mode: 0o600 },
        });
        assert.equal(statSync(path).mode & 0o777, 0o600);
        for (const url of server.addresses) {
          const { socket, got } = await client(url);
          const texts = ['one', '', 'three', 'x'.repeat(60_000)];
          for (const text of texts) assert.equal(socket.send(text), 'queued');
          await awaitCondition(() => got.length === texts.length, 'the echoes');
          assert.deepEqual(got, texts);
          socket.close();
        }
        await server.close();
        assert.ok(!existsSync(path), 'the file stayed');
      }));

    it('a file that nobody has any more is taken over, one that somebody has is not', () =>
      staged(async (stage) => {
        names += 1;
        const path = join(folder, `stale-${names}`);
        const kernel = new LinuxKernel();
        const dead = kernel.socket(AF_UNIX, SOCK_DGRAM, 0);
        const sockaddr = encodeSockaddr({ kind: 'unix', path });
        assert.equal(kernel.bind(dead, sockaddr), 0);
        await assert.rejects(stage.serve(shape, { listen: `unixgram://${path}` }), {
          code: 'EADDRINUSE',
        });
        kernel.close(dead);
        assert.ok(existsSync(path));
        const server = await stage.serve(shape, { listen: `unixgram://${path}` });
        const { socket, got } = await client(server.addresses[0]!);
        socket.send('alive');
        await awaitCondition(() => got.length === 1, 'the echo');
        socket.close();
      }));
  });

  describe(`seqpackets, ${shape.name}`, { skip: shape.skip }, () => {
    const listen = () => {
      names += 1;
      return `seqpacket://${join(folder, `packets-${names}`)}`;
    };

    it('are sessions, with boundaries kept', () =>
      staged(async (stage) => {
        const url = listen();
        const server = await stage.serve(shape, { listen: url });
        assert.deepEqual(server.addresses, [url]);
        const clients = await Promise.all([1, 2, 3, 4].map(() => client(url)));
        const texts = Array.from({ length: 50 }, (_, i) => `${i}`.padEnd(1 + i * 20, '.'));
        for (const { socket } of clients) {
          for (const text of texts) assert.equal(socket.send(text), 'queued');
        }
        for (const { got } of clients) {
          await awaitCondition(() => got.length === texts.length, 'the echoes');
          assert.deepEqual(got, texts);
        }
        assert.equal(server.stats.totals.sessions, 4);
        for (const { socket } of clients) socket.close();
        await awaitCondition(async () => (await report(server)).closed.length === 4, 'the ends');
        const { closed, errors } = await report(server);
        assert.ok(closed.every(({ code, received }) => code === 'ended' && received === 50));
        assert.deepEqual(errors, []);
      }));

    it('the server’s close is the client’s end', () =>
      staged(async (stage) => {
        const url = listen();
        const server = await stage.serve(shape, { listen: url }, { asks: true });
        const first = await client(url);
        const second = await client(url);
        first.socket.send('close');
        await awaitCondition(() => first.ends.length === 1, 'the end of the first');
        assert.deepEqual(first.got, ['close']);
        second.socket.send('hello');
        await awaitCondition(() => second.got.length === 1, 'the echo');
        await server.close();
        await awaitCondition(() => second.ends.length === 1, 'the end of the second');
        assert.deepEqual([first.ends, second.ends], [['ended'], ['ended']]);
        assert.equal(second.socket.send('too late'), 'closed');
      }));

    it('what a client sent before it went without reading is not lost', () =>
      staged(async (stage) => {
        const url = listen();
        const server = await stage.serve(shape, { listen: url });
        const socket = await datagram({ connect: url, sessions: true });
        socket.pause();
        for (let i = 1; i <= 5; i += 1) {
          socket.send(`${i}`);
          socket.flush();
          // An echo that nobody reads makes the end a reset.
          await counted(server, 'datagramsSent', Math.min(i, 3));
        }
        socket.session!.abort();
        await awaitCondition(async () => (await report(server)).closed.length === 1, 'the end');
        const { closed, errors } = await report(server);
        assert.deepEqual([closed[0]!.received, closed[0]!.code], [5, 'reset']);
        // The answers that nobody takes any more.
        assert.ok(errors.every((error) => /^(?:EPIPE|ECONNRESET) seqpacket/.test(error)));
      }));

    it('are bounded in number', () =>
      staged(async (stage) => {
        const url = listen();
        const server = await stage.serve(shape, {
          listen: url,
          datagram: { sessions: { max: 1 } },
        });
        const clients = [];
        for (let i = 0; i < 8; i += 1) clients.push(await client(url));
        await counted(server, 'refusedConnectionsMax', 8 - shape.reactors);
        assert.equal(server.stats.totals.sessions, shape.reactors);
        for (const { socket } of clients) socket.close();
      }));
  });
}
