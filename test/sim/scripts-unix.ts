/** Sequences of calls on Unix stream sockets for the differential test (sim-vs-linux.test.ts). */

import {
  AF_UNIX,
  IPPROTO_TCP,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_DOMAIN,
  SO_PROTOCOL,
  SO_TYPE,
  SOL_SOCKET,
  TCP_NODELAY,
} from '../../src/base/linux.js';
import { hex, type Rig, type Script, unixAddress } from './differential-rig.js';

function freshSocket(rig: Rig): void {
  const fd = rig.socket(AF_UNIX);
  rig.mask('fresh', fd);
  rig.note('receive', rig.receive(fd));
  rig.note('send', rig.send(fd, 'x'));
  rig.note('listen', rig.kernel.listen(fd, 1));
  rig.note('accept', rig.kernel.accept(fd));
  rig.note('peer', rig.peerOf(fd));
  rig.note('name', hex(rig.nameOf(fd)));
  rig.note('TCP option', rig.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1));
  rig.note('TCP option', rig.option(fd, IPPROTO_TCP, TCP_NODELAY));
  rig.note('unknown option', rig.setOption(fd, SOL_SOCKET, 999, 1));
  for (const name of [SO_TYPE, SO_DOMAIN, SO_PROTOCOL]) {
    rig.note('fact', rig.option(fd, SOL_SOCKET, name));
  }
  rig.note('shutdown', rig.kernel.shutdown(fd, SHUT_WR));
  rig.mask('after shutdown', fd);
}

function transfer(rig: Rig): void {
  const { listener, client, server } = rig.pair(AF_UNIX);
  rig.mask('client', client);
  rig.mask('server', server);
  rig.mask('listener', listener);
  rig.note('send', rig.send(client, 'hello'));
  rig.mask('server', server);
  rig.note('a part', rig.receive(server, 2));
  rig.note('the rest', rig.receive(server));
  rig.note('nothing', rig.receive(server));
  rig.note('listen', rig.kernel.listen(client, 1));
  rig.note('accept', rig.kernel.accept(client));
  rig.note('connect', rig.kernel.connect(client, rig.nameOf(listener)));
  rig.note('unnamed', rig.peerOf(server));
  rig.note('named', rig.peerOf(client) === hex(rig.nameOf(server)) ? 1 : 0);
}

function halfClose(rig: Rig): void {
  const { client, server } = rig.pair(AF_UNIX);
  rig.send(client, 'last words');
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_WR));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('send', rig.send(client, 'x'));
  rig.note('words', rig.receive(server));
  rig.note('end', rig.receive(server));
  rig.note('answer', rig.send(server, 'answer'));
  rig.note('answer', rig.receive(client));
  rig.note('shutdown', rig.kernel.shutdown(server, SHUT_WR));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('send', rig.send(server, 'x'));
  rig.note('shutdown', rig.kernel.shutdown(server, SHUT_RDWR));
}

function closed(rig: Rig): void {
  const { client, server } = rig.pair(AF_UNIX);
  rig.send(server, 'abc');
  rig.close(server);
  rig.mask('client', client);
  rig.note('send', rig.send(client, 'x'));
  rig.note('data', rig.receive(client));
  rig.note('end', rig.receive(client));
  rig.note('send', rig.send(client, 'x'));
}

function closedWithUnreadData(rig: Rig): void {
  const { client, server } = rig.pair(AF_UNIX);
  rig.send(client, 'unread');
  rig.close(server);
  rig.mask('client', client);
  rig.note('send', rig.send(client, 'x'));
  rig.mask('client', client);
  rig.note('receive', rig.receive(client));
  rig.mask('client', client);
  rig.note('receive', rig.receive(client));
}

function shutdownForReceiving(rig: Rig): void {
  const { client, server } = rig.pair(AF_UNIX);
  rig.send(server, 'qq');
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_RD));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('send', rig.send(server, 'x'));
  rig.note('receive', rig.receive(client));
  rig.note('receive', rig.receive(client));
  rig.mask('client', client);
}

function backlog(rig: Rig): void {
  const { fd, address } = rig.listen(AF_UNIX, 1);
  const clients = [0, 1, 2, 3].map(() => rig.socket(AF_UNIX));
  for (const client of clients) rig.note('connect', rig.kernel.connect(client, address));
  rig.mask('listener', fd);
  for (const client of clients) rig.mask('client', client);
  rig.note('receive of the listener', rig.receive(fd));
  rig.note('send of the listener', rig.send(fd, 'x'));
  rig.note('early data', rig.send(clients[0]!, 'early'));
  const server = rig.accept(fd);
  rig.note('early data', rig.receive(server));
  rig.note('connect', rig.kernel.connect(clients[2]!, address));
  rig.close(fd);
  for (const client of clients) rig.mask('client', client);
  rig.note('error', rig.receive(clients[1]!));
  rig.note('end', rig.receive(clients[1]!));
  rig.mask('client', clients[1]!);
  rig.note('connect', rig.kernel.connect(clients[3]!, address));
}

function files(rig: Rig): void {
  const path = rig.path('socket');
  const address = unixAddress(path);
  const fd = rig.socket(AF_UNIX);
  rig.note('not there', rig.kernel.isSocketFile(path));
  rig.note('connect', rig.kernel.connect(fd, address));
  rig.note('bind', rig.kernel.bind(fd, address));
  rig.note('bind again', rig.kernel.bind(fd, rig.abstractName()));
  rig.note('there', rig.kernel.isSocketFile(path));
  rig.note('a directory', rig.kernel.isSocketFile(rig.directory));
  const other = rig.socket(AF_UNIX);
  rig.note('in use', rig.kernel.bind(other, address));
  rig.note('connect', rig.kernel.connect(other, address));
  rig.note('no such directory', rig.kernel.bind(other, unixAddress(rig.path('none/socket'))));
  rig.note('mode', rig.kernel.changeMode(path, 0o600));
  rig.note('listen', rig.kernel.listen(fd, 1));
  rig.note('connect', rig.kernel.connect(other, address));
  rig.note('name', hex(rig.nameOf(fd)));
  rig.note('peer', rig.peerOf(other));
  rig.close(fd);
  const third = rig.socket(AF_UNIX);
  rig.note('outlives its socket', rig.kernel.isSocketFile(path));
  rig.note('connect', rig.kernel.connect(third, address));
  rig.note('in use', rig.kernel.bind(third, address));
  rig.note('unlink', rig.kernel.unlink(path));
  rig.note('unlink again', rig.kernel.unlink(path));
  rig.note('mode', rig.kernel.changeMode(path, 0o600));
  rig.note('bind', rig.kernel.bind(third, address));
  rig.note('unlink', rig.kernel.unlink(path));
}

function names(rig: Rig): void {
  const address = rig.abstractName();
  const fd = rig.socket(AF_UNIX);
  rig.note('abstract', rig.kernel.bind(fd, address));
  rig.note('name', rig.nameOf(fd).length);
  const other = rig.socket(AF_UNIX);
  rig.note('in use', rig.kernel.bind(other, address));
  rig.note('connect', rig.kernel.connect(other, address));
  rig.note('too short', rig.kernel.bind(other, Uint8Array.of(AF_UNIX)));
  rig.note('other family', rig.kernel.bind(other, Uint8Array.of(2, 0, 1, 1)));
  rig.note('picked by the kernel', rig.kernel.bind(other, Uint8Array.of(AF_UNIX, 0)));
  rig.note('name', rig.nameOf(other).length);
  rig.close(fd);
  const third = rig.socket(AF_UNIX);
  rig.note('free again', rig.kernel.bind(third, address));
}

function fullBuffers(rig: Rig): void {
  const { client, server } = rig.pair(AF_UNIX);
  const total = rig.fill(client);
  rig.mask('client is full', client);
  rig.mask('server', server);
  rig.note('all arrived', rig.drain(server, total));
  rig.mask('client', client);
}

export const UNIX_SCRIPTS: readonly Script[] = [
  { name: 'Unix: a fresh socket', run: freshSocket },
  { name: 'Unix: data', run: transfer },
  { name: 'Unix: half close and full close', run: halfClose },
  { name: 'Unix: the other end closes', run: closed },
  { name: 'Unix: the other end closes with unread data', run: closedWithUnreadData },
  { name: 'Unix: shutdown for receiving', run: shutdownForReceiving },
  { name: 'Unix: a full backlog', run: backlog },
  { name: 'Unix: socket files', run: files },
  { name: 'Unix: names', run: names },
  { name: 'Unix: full buffers', run: fullBuffers },
];
