/** Groups, over the loopback interface: IPv4 and IPv6, sources, loopback, leaving; and sockets bound to a device. */

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { describe, it } from 'node:test';

import { type DatagramSocket, type DatagramSocketOptions, datagram } from '../../src/index.js';
import { awaitCondition } from '../support/await-condition.js';
import { counted, DATAGRAM_SHAPES, hasIpv6, report, staged } from '../support/datagram-stage.js';

interface Listener {
  readonly socket: DatagramSocket;
  readonly got: string[];
  readonly port: string;
}

const open: DatagramSocket[] = [];

async function listener(options: DatagramSocketOptions): Promise<Listener> {
  const got: string[] = [];
  const socket = await datagram({
    ...options,
    handler: {
      onDatagram(_socket, bytes) {
        got.push(bytes.toString());
      },
    },
  });
  open.push(socket);
  return { socket, got, port: /:(\d+)$/.exec(socket.localAddress)![1]! };
}

/** With a TTL of 0 nothing leaves the host (but the loopback interface is inside). */
async function sender(
  multicastInterface: string,
  options: DatagramSocketOptions,
): Promise<DatagramSocket> {
  const socket = await datagram({ multicastInterface, multicastTtl: 0, ...options });
  open.push(socket);
  return socket;
}

/** Sends until something has come, and tells what else has not. */
async function reaches(from: DatagramSocket, to: string, { got }: Listener): Promise<void> {
  got.length = 0;
  from.send('group', to);
  await awaitCondition(() => got.length > 0, `a datagram of ${to}`);
}

async function closing(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } finally {
    for (const socket of open.splice(0)) socket.close();
  }
}

/** An interface to other hosts, with an address of that family; of IPv6 a link-local one. */
function outerDevice(family: 'IPv4' | 'IPv6'): string | undefined {
  const found = Object.entries(networkInterfaces()).find(([, list]) =>
    list?.some(
      (one) => !one.internal && one.family === family && (one.family === 'IPv4' || one.scopeid > 0),
    ),
  );
  return found?.[0];
}

const outer4 = outerDevice('IPv4');
const outer6 = outerDevice('IPv6');

// The loopback interface has no route for multicast of IPv6, unless somebody adds it. Nothing leaves the host: see
// `sender`.
const FAMILIES = [
  {
    name: 'IPv4, loopback',
    wildcard: 'udp4://0.0.0.0:0',
    group: '239.255.77.1',
    host: '239.255.77.1',
    device: 'lo',
  },
  {
    name: 'IPv4',
    wildcard: 'udp4://0.0.0.0:0',
    group: '239.255.77.1',
    host: '239.255.77.1',
    device: outer4,
  },
  {
    name: 'IPv6',
    wildcard: 'udp6://[::]:0',
    group: 'ff02::4d52',
    host: `[ff02::4d52%${outer6}]`,
    device: outer6,
  },
];

// A machine may have no other interface than the loopback.
for (const { name, wildcard, group, host, device } of FAMILIES) {
  if (device === undefined) {
    continue;
  }
  describe(`multicast, ${name}`, () => {
    it('reaches who joined, until it leaves, and nobody else', () =>
      closing(async () => {
        const member = await listener({
          bind: wildcard,
          reuseAddress: true,
          groups: [{ group, interface: device }],
        });
        const { port } = member;
        // On the same port, in no group: Linux would give it all that others have joined (IP_MULTICAST_ALL).
        const stranger = await listener({ bind: wildcard.replace(/0$/, port), reuseAddress: true });
        const late = await listener({ bind: wildcard.replace(/0$/, port), reuseAddress: true });
        const from = await sender(device, { bind: wildcard });
        const to = `udp://${host}:${port}`;
        await reaches(from, to, member);
        assert.deepEqual(stranger.got, []);
        late.socket.joinGroup({ group, interface: device });
        await reaches(from, to, late);
        member.socket.leaveGroup({ group, interface: device });
        member.got.length = 0;
        await reaches(from, to, late);
        assert.deepEqual([member.got, stranger.got], [[], []]);
        assert.throws(() => member.socket.leaveGroup({ group, interface: device }), {
          code: 'EADDRNOTAVAIL',
        });
      }));

    const loopback = () =>
      closing(async () => {
        const groups = [{ group, interface: device }];
        const member = await listener({ bind: wildcard, groups });
        const to = `udp://${host}:${member.port}`;
        const quiet = await sender(device, { bind: wildcard, multicastLoopback: false });
        const loud = await sender(device, { bind: wildcard });
        quiet.send('unheard', to);
        quiet.flush();
        await reaches(loud, to, member);
        assert.deepEqual(member.got, ['group']);
        loud.setMulticastLoopback(false);
        loud.send('unheard', to);
        loud.flush();
        quiet.setMulticastLoopback(true);
        await reaches(quiet, to, member);
        assert.deepEqual(member.got, ['group']);
      });
    // The loopback interface itself is a loop in any case.
    if (device !== 'lo') {
      it('its loopback can be switched off, and on again', loopback);
    }

    it('wrong groups are told', () =>
      closing(async () => {
        const { socket } = await listener({ bind: wildcard });
        assert.throws(() => socket.joinGroup('127.0.0.1'), /not the address of a multicast group/);
        assert.throws(() => socket.joinGroup('somewhere'), TypeError);
        assert.throws(() => socket.joinGroup({ group, interface: 'no-such-device' }), {
          code: 'ENODEV',
        });
        assert.throws(() => socket.setMulticastTtl(256), RangeError);
        await assert.rejects(datagram({ bind: wildcard, groups: ['10.0.0.1'] }), TypeError);
      }));
  });
}

describe('multicast of one source', () => {
  it('takes what that host sends, and not what others do', () =>
    closing(async () => {
      const group = '232.43.211.5';
      const member = await listener({
        bind: 'udp4://0.0.0.0:0',
        groups: [{ group, interface: 'lo', source: '127.0.0.2' }],
      });
      const to = `udp://${group}:${member.port}`;
      const wrong = await sender('lo', { bind: 'udp4://127.0.0.3:0' });
      const right = await sender('lo', { bind: 'udp4://127.0.0.2:0' });
      wrong.send('not from me', to);
      wrong.flush();
      await reaches(right, to, member);
      assert.deepEqual(member.got, ['group']);
    }));
});

describe('bound to a device', () => {
  it('a socket on the loopback device hears it, and says so', () =>
    closing(async () => {
      const bound = await listener({ bind: 'udp4://0.0.0.0:0', bindToDevice: 'lo' });
      const from = await sender('lo', {});
      await reaches(from, `udp://127.0.0.1:${bound.port}`, bound);
      await assert.rejects(datagram({ bindToDevice: 'no-such-device' }), { code: 'ENODEV' });
    }));
});

describe('local addresses', () => {
  it('are told, and answers come from there', () =>
    closing(async () => {
      const locals: string[] = [];
      const server = await datagram({
        bind: 'udp://0.0.0.0:0',
        localAddresses: true,
        handler: {
          onDatagram(socket, bytes, peer) {
            locals.push(peer.localHost);
            socket.send(bytes, peer.keep());
          },
        },
      });
      open.push(server);
      const port = /:(\d+)$/.exec(server.localAddress)![1]!;
      for (const host of ['127.0.0.5', '127.0.0.6']) {
        // Connected: an answer from elsewhere would not be received.
        const client = await listener({ connect: `udp://${host}:${port}` });
        client.socket.send('to you');
        await awaitCondition(() => client.got.length === 1, 'the answer');
      }
      assert.deepEqual(locals, ['127.0.0.5', '127.0.0.6']);
    }));

  it('of IPv6, too', { skip: !hasIpv6 }, () =>
    closing(async () => {
      const server = await datagram({
        bind: 'udp://[::]:0',
        localAddresses: true,
        handler: {
          onDatagram(socket, _bytes, peer) {
            socket.send(peer.localHost, peer);
          },
        },
      });
      open.push(server);
      const port = /:(\d+)$/.exec(server.localAddress)![1]!;
      for (const [host, local] of [
        ['[::1]', '::1'],
        ['127.0.0.1', '127.0.0.1'],
      ]) {
        const client = await listener({ connect: `udp://${host}:${port}` });
        client.socket.send('who are you?');
        await awaitCondition(() => client.got.length === 1, 'the answer');
        assert.equal(client.got[0]!.replace('::ffff:', ''), local);
      }
    }),
  );
});

for (const shape of DATAGRAM_SHAPES.filter(({ reactors }) => reactors === 3)) {
  describe(`multicast, ${shape.name}`, { skip: shape.skip }, () => {
    it('comes once, not to each reactor', () =>
      closing(() =>
        staged(async (stage) => {
          const group = '239.255.77.2';
          const server = await stage.serve(shape, {
            listen: 'udp4://0.0.0.0:0',
            datagram: { groups: [{ group, interface: 'lo' }] },
          });
          const port = /:(\d+)$/.exec(server.addresses[0]!)![1]!;
          const from = await sender('lo', {});
          for (let i = 1; i <= 5; i += 1) {
            from.send('once', `udp://${group}:${port}`);
            from.flush();
            await counted(server, 'datagramsReceived', i);
          }
          assert.equal((await report(server)).datagrams, 5);
        }),
      ));
  });
}
