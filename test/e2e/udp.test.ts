/** UDP echo from outside: sizes, families, many reactors, TCP in the same engine, floods, silence. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';

import { serve } from '../../src/index.js';
import { awaitCondition, rounds } from '../support/await-condition.js';
import { counted, DATAGRAM_SHAPES, hasIpv6, report, staged } from '../support/datagram-stage.js';
import { RawPeer } from '../support/raw-peer.js';

const SIZES = [1, 0, 64, 1_400, 1_472, 1_473, 9_000, 65_507];

for (const shape of DATAGRAM_SHAPES) {
  describe(`UDP, ${shape.name}`, { skip: shape.skip }, () => {
    it('sends back what it gets, of any size, byte for byte', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        const peer = await stage.peer();
        for (const [i, size] of SIZES.entries()) {
          const bytes = randomBytes(size);
          await peer.send(bytes, server.addresses[0]!);
          const echo = (await peer.read(i + 1)).at(-1)!;
          assert.ok(echo.equals(bytes), `${size} bytes came back as ${echo.byteLength}`);
        }
        await counted(server, 'datagramsSent', SIZES.length);
        const { totals } = server.stats;
        const bytes = SIZES.reduce((sum, size) => sum + size, 0);
        assert.equal(totals.datagramsReceived, SIZES.length);
        assert.equal(totals.datagramBytesReceived, bytes);
        assert.equal(totals.datagramsSent, SIZES.length);
        assert.equal(totals.datagramBytesSent, bytes);
        assert.equal(totals.bytesReceived + totals.bytesSent, 0, 'counted as a connection’s');
        assert.equal(totals.datagramSockets, shape.reactors);
      }));

    it('IPv6, and IPv4 on a dual-stack socket', { skip: !hasIpv6 }, () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { listen: ['udp6://[::1]:0', 'udp://[::]:0'] });
        const six = await stage.peer('::1');
        await six.send('six', server.addresses[0]!);
        await six.send('both', server.addresses[1]!.replace('[::]', '[::1]'));
        const texts = (await six.read(2)).map(String).sort();
        assert.deepEqual(texts, ['both', 'six']);
        const four = await stage.peer();
        await four.send('four', server.addresses[1]!.replace('[::]', '127.0.0.1'));
        assert.deepEqual((await four.read(1)).map(String), ['four']);
      }),
    );

    it('many peers, each gets its own', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        const peers = await Promise.all(Array.from({ length: 50 }, () => stage.peer()));
        await Promise.all(
          peers.flatMap((peer, i) =>
            [0, 1, 2].map((n) => peer.send(`${i}.${n}`, server.addresses[0]!)),
          ),
        );
        for (const [i, peer] of peers.entries()) {
          const texts = (await peer.read(3)).map(String).sort();
          assert.deepEqual(texts, [`${i}.0`, `${i}.1`, `${i}.2`]);
        }
        if (shape.reactors > 1) {
          const busy = server.stats.reactors.filter(({ datagramsReceived }) => datagramsReceived);
          assert.ok(busy.length > 1, 'one reactor had them all');
        }
      }));

    it('closes its sockets, and says so, once each', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        assert.equal((await report(server)).sockets, shape.reactors);
        await server.close();
        assert.equal(server.stats.totals.datagramSockets, 0);
        const again = await stage.serve(shape, { listen: server.addresses[0]! });
        assert.equal(again.addresses[0], server.addresses[0]);
      }));

    it('a hook that throws costs a datagram, and shutdown is heard', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, {}, { asks: true });
        const peer = await stage.peer();
        await peer.send('throw', server.addresses[0]!);
        await counted(server, 'handlerErrors', 1);
        await peer.send('still there', server.addresses[0]!);
        assert.equal(String((await peer.read(2))[1]), 'still there');
        await peer.send('shutdown', server.addresses[0]!);
        await server.closed;
        assert.equal(stage.warnings.length, 1);
      }));

    it('a port that somebody has is not shared by accident', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        for (const reactors of [1, 3]) {
          await assert.rejects(
            stage.serve({ driver: shape.driver, reactors }, { listen: server.addresses[0]! }),
            { code: 'EADDRINUSE' },
          );
        }
      }));

    it('TCP beside it is as it was: its port cannot be shared', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, {
          listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'],
        });
        const url = server.addresses[1]!;
        await assert.rejects(serve({ listen: url, handler: {}, reusePort: true }), {
          code: 'EADDRINUSE',
        });
        const tcp = await RawPeer.connect(url);
        tcp.send('stream');
        assert.equal(String(await tcp.read(6)), 'stream');
        tcp.close();
      }));
  });
}

for (const shape of DATAGRAM_SHAPES.filter(({ reactors }) => reactors === 1)) {
  describe(`UDP and its neighbours, ${shape.driver}`, { skip: shape.skip }, () => {
    it('a flood does not starve TCP, nor TCP the datagrams', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, {
          listen: ['udp://127.0.0.1:0', 'tcp://127.0.0.1:0'],
        });
        const [udp, tcp] = server.addresses;
        const peer = await stage.peer();
        let isOver = false;
        const flood = (async () => {
          while (!isOver) {
            const burst = Array.from({ length: 64 }, () => peer.send('flood', udp!));
            await Promise.all(burst);
            // Node sends at once, and would never let its loop go round.
            await rounds(1);
          }
        })();
        const client = await RawPeer.connect(tcp!);
        for (let i = 0; i < 50; i += 1) {
          client.send('ping');
          assert.equal(String(await client.read(4)), 'ping');
        }
        await counted(server, 'datagramsReceived', 1_000);
        isOver = true;
        await flood;
        client.close();
      }));

    it('costs nothing while it is silent', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape, { listen: ['udp://127.0.0.1:0'] });
        const peer = await stage.peer();
        await peer.send('once', server.addresses[0]!);
        await peer.read(1);
        let before = -1;
        // Until a while has passed without any turn: the last ones may be late.
        await awaitCondition(async () => {
          const { turns } = server.stats.totals;
          const isQuiet = turns === before;
          before = turns;
          await new Promise((resolve) => setTimeout(resolve, 50));
          return isQuiet && server.stats.totals.turns === turns;
        }, 'silence');
      }));

    it('paused, it leaves datagrams to the kernel', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        const peer = await stage.peer();
        await server.execute(0, 'pause');
        await peer.send('waits', server.addresses[0]!);
        await server.execute(0, 'report');
        assert.equal(server.stats.totals.datagramsReceived, 0);
        await server.execute(0, 'resume');
        assert.deepEqual((await peer.read(1)).map(String), ['waits']);
      }));
  });
}

for (const shape of DATAGRAM_SHAPES.filter(({ reactors }) => reactors === 3)) {
  describe(`UDP and a reactor that dies, ${shape.driver}`, { skip: shape.skip }, () => {
    it('others answer, and so does its successor, on the same port', () =>
      staged(async (stage) => {
        const server = await stage.serve(shape);
        await server.execute(1, 'die');
        await awaitCondition(() => stage.warnings.length > 0, 'the death');
        const before = server.stats.reactors[1]!.datagramsReceived;
        await awaitCondition(async () => {
          // What was on its way to the dead one is lost, as datagrams may be.
          const peer = await stage.peer();
          await peer.send('hello', server.addresses[0]!);
          return server.stats.reactors[1]!.datagramsReceived > before;
        }, 'a datagram for the successor');
        // Nothing of the dead one is left to take what is for others.
        await awaitCondition(async () => {
          const peers = await Promise.all(Array.from({ length: 30 }, () => stage.peer()));
          await Promise.all(peers.map((peer) => peer.send('hello', server.addresses[0]!)));
          await new Promise((resolve) => setTimeout(resolve, 100));
          return peers.every(({ received }) => received.length === 1);
        }, 'answers for all');
        assert.deepEqual(
          stage.warnings.map((warning) => (warning as NodeJS.ErrnoException).code),
          ['ERR_REACTOR_DIED'],
        );
        assert.equal(server.stats.totals.datagramSockets, 3);
      }));
  });
}
