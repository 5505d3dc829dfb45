/** Sequences of calls on datagram sockets for the differential test (sim-vs-linux.test.ts). */

import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  IP_RECVERR,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVERR,
  MSG_ERRQUEUE,
  MSG_TRUNC,
  SHUT_RDWR,
  SO_PROTOCOL,
  SO_TYPE,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../../src/base/linux.js';
import { hex, loopback, portOf, type Rig, type Script } from './differential-rig.js';
import { PacketRig } from './packet-rig.js';

function open(rig: Rig, domain: number): number {
  return rig.keep(rig.kernel.socket(domain, SOCK_DGRAM, 0));
}

function bound(rig: Rig, domain: number): { fd: number; address: Uint8Array } {
  const fd = open(rig, domain);
  const wanted = domain === AF_UNIX ? rig.abstractName() : loopback(domain, 0);
  rig.note('bind', rig.kernel.bind(fd, wanted));
  return { fd, address: rig.nameOf(fd) };
}

/** Runs a script with room for messages. */
function packets(run: (rig: Rig, packets: PacketRig) => void): (rig: Rig) => void {
  return (rig) => {
    const room = new PacketRig(rig.kernel);
    try {
      run(rig, room);
    } finally {
      room.release();
    }
  };
}

function freshSocket(domain: number) {
  return packets((rig, room) => {
    const fd = open(rig, domain);
    rig.mask('fresh', fd);
    rig.note('receive', room.receive(fd, 1));
    rig.note('send to nobody', room.send(fd, [{ text: 'x' }]));
    rig.note('listen', rig.kernel.listen(fd, 1));
    rig.note('accept', rig.kernel.accept(fd));
    rig.note('peer', rig.peerOf(fd));
    rig.note('type', rig.option(fd, SOL_SOCKET, SO_TYPE));
    rig.note('protocol', rig.option(fd, SOL_SOCKET, SO_PROTOCOL));
    const name = rig.nameOf(fd);
    rig.note('name', domain === AF_UNIX ? hex(name) : Number(portOf(name) > 0));
  });
}

function transfer(domain: number) {
  return packets((rig, room) => {
    const a = bound(rig, domain);
    const b = bound(rig, domain);
    const sent = room.send(a.fd, [
      { text: 'one', to: b.address },
      { text: '', to: b.address },
      { text: 'three', to: b.address },
    ]);
    rig.note('sent', sent);
    rig.observe('readable', () => `0x${rig.eventsOf(b.fd).toString(16)}`);
    rig.settle();
    rig.note('received', room.receive(b.fd, 2, MSG_TRUNC));
    rig.note('is from a', room.nameOf(0) === hex(a.address) ? 1 : 0);
    rig.note('the rest', room.receive(b.fd, 8, MSG_TRUNC));
    rig.note('nothing', room.receive(b.fd, 8));
    rig.mask('empty', b.fd);
  });
}

const truncation = packets((rig, room) => {
  const a = bound(rig, AF_INET);
  const b = bound(rig, AF_INET);
  const long = 'x'.repeat(100);
  room.send(a.fd, [
    { text: long, to: b.address },
    { text: long, to: b.address },
  ]);
  rig.settle();
  rig.note('its own length', room.receive(b.fd, 1, MSG_TRUNC, 10));
  rig.note('what was kept', room.receive(b.fd, 1, 0, 10));
});

const limits = packets((rig, room) => {
  const a = bound(rig, AF_INET);
  rig.note('too long', room.sendBytes(a.fd, 65_508, a.address));
  rig.note('just fits', room.sendBytes(a.fd, 65_507, a.address));
  rig.note('port 0', room.send(a.fd, [{ text: 'x', to: loopback(AF_INET, 0) }]));
  rig.note('in use', rig.kernel.bind(open(rig, AF_INET), a.address));
  rig.note('bound twice', rig.kernel.bind(a.fd, loopback(AF_INET, 0)));
});

const connected = packets((rig, room) => {
  const server = bound(rig, AF_INET);
  const client = open(rig, AF_INET);
  rig.note('connect', rig.kernel.connect(client, server.address));
  rig.note('peer', rig.peerOf(client) === hex(server.address) ? 1 : 0);
  rig.note('send', room.send(client, [{ text: 'hello' }]));
  rig.settle();
  rig.note('received', room.receive(server.fd, 1));
  const stranger = bound(rig, AF_INET);
  room.send(stranger.fd, [{ text: 'not for you', to: rig.nameOf(client) }]);
  room.send(server.fd, [{ text: 'for you', to: rig.nameOf(client) }]);
  rig.settle();
  rig.note('received', room.receive(client, 8));
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_RDWR));
});

const refused = packets((rig, room) => {
  const gone = bound(rig, AF_INET);
  rig.close(gone.fd);
  const client = open(rig, AF_INET);
  rig.kernel.connect(client, gone.address);
  rig.note('send', room.send(client, [{ text: 'x' }]));
  rig.mask('the answer', client);
  rig.note('receive', room.receive(client, 1));
  rig.note('send again', room.send(client, [{ text: 'x' }]));
  rig.mask('the answer', client);
  rig.note('the error by sending', room.send(client, [{ text: 'x' }]));
  const free = bound(rig, AF_INET);
  rig.note('not connected', room.send(free.fd, [{ text: 'x', to: gone.address }]));
  rig.settle();
  rig.mask('nothing is said', free.fd);
});

function errorQueue(domain: number) {
  return packets((rig, room) => {
    const gone = bound(rig, domain);
    rig.close(gone.fd);
    const { fd } = bound(rig, domain);
    const [level, name] =
      domain === AF_INET ? [IPPROTO_IP, IP_RECVERR] : [IPPROTO_IPV6, IPV6_RECVERR];
    rig.note('option', rig.setOption(fd, level, name, 1));
    rig.note('send', room.send(fd, [{ text: 'lost', to: gone.address }]));
    rig.mask('the answer', fd);
    rig.note('queued', room.receive(fd, 1, MSG_ERRQUEUE));
    rig.note('to whom', room.nameOf(0) === hex(gone.address) ? 1 : 0);
    rig.note('why', room.controlOf(0).slice(0, 16 * 2 + 8 * 2));
    rig.note('no more', room.receive(fd, 1, MSG_ERRQUEUE));
    rig.mask('taken', fd);
    rig.note('receive', room.receive(fd, 1));
  });
}

const unixNames = packets((rig, room) => {
  const a = bound(rig, AF_UNIX);
  const unnamed = open(rig, AF_UNIX);
  rig.note('send', room.send(unnamed, [{ text: 'who am I', to: a.address }]));
  rig.note('received', room.receive(a.fd, 1));
  rig.note('from nobody', room.nameOf(0));
  rig.note('connect', rig.kernel.connect(unnamed, a.address));
  rig.note('peer', rig.peerOf(unnamed) === hex(a.address) ? 1 : 0);
  rig.note('nobody there', room.send(unnamed, [{ text: 'x', to: rig.abstractName() }]));
  rig.close(a.fd);
  rig.note('gone', room.send(unnamed, [{ text: 'x' }]));
  rig.note('disconnected', room.send(unnamed, [{ text: 'x' }]));
  const stream = rig.listen(AF_UNIX);
  rig.note('a stream', rig.kernel.connect(unnamed, stream.address));
  const datagram = bound(rig, AF_UNIX);
  rig.note('no stream', rig.kernel.connect(rig.socket(AF_UNIX), datagram.address));
});

const unixFull = packets((rig, room) => {
  const a = bound(rig, AF_UNIX);
  const free = bound(rig, AF_UNIX);
  const client = open(rig, AF_UNIX);
  rig.kernel.connect(client, a.address);
  let count = 0;
  while (count < 1_000 && room.send(client, [{ text: 'x' }]) === 1) count += 1;
  rig.note('taken', count);
  rig.mask('full', client);
  rig.note('full for others', room.send(free.fd, [{ text: 'x', to: a.address }]));
  rig.mask('who is not connected is not told', free.fd);
  rig.note('one is read', room.receive(a.fd, 1));
  rig.note('one more', room.send(client, [{ text: 'y' }]));
  while (!room.receive(a.fd, 8).startsWith('-')) count -= 1;
  rig.mask('room', client);
});

export const DATAGRAM_SCRIPTS: readonly Script[] = [
  { name: 'UDP: a fresh socket', run: freshSocket(AF_INET) },
  { name: 'Unix datagrams: a fresh socket', run: freshSocket(AF_UNIX) },
  { name: 'UDP: data', run: transfer(AF_INET) },
  { name: 'UDP over IPv6: data', run: transfer(AF_INET6), needsIpv6: true },
  { name: 'Unix datagrams: data', run: transfer(AF_UNIX) },
  { name: 'UDP: truncation', run: truncation },
  { name: 'UDP: limits', run: limits },
  { name: 'UDP: connected', run: connected },
  { name: 'UDP: nobody at the port', run: refused },
  { name: 'UDP: the error queue', run: errorQueue(AF_INET) },
  { name: 'UDP over IPv6: the error queue', run: errorQueue(AF_INET6), needsIpv6: true },
  { name: 'Unix datagrams: names', run: unixNames },
  { name: 'Unix datagrams: a full queue', run: unixFull },
];
