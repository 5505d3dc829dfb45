/** Sequences of calls on TCP sockets for the differential test (sim-vs-linux.test.ts). */

import {
  AF_INET,
  IPPROTO_TCP,
  SHUT_RD,
  SHUT_RDWR,
  SHUT_WR,
  SO_ACCEPTCONN,
  SO_DOMAIN,
  SO_ERROR,
  SO_KEEPALIVE,
  SO_LINGER,
  SO_PROTOCOL,
  SO_REUSEADDR,
  SO_SNDBUF,
  SO_TYPE,
  SOL_SOCKET,
  TCP_DEFER_ACCEPT,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
  TCP_USER_TIMEOUT,
} from '../../src/base/linux.js';
import type { Rig, Script } from './differential-rig.js';

function freshSocket(rig: Rig): void {
  const fd = rig.socket(AF_INET);
  rig.mask('fresh', fd);
  rig.note('receive', rig.receive(fd));
  rig.note('send', rig.send(fd, 'x'));
  rig.note('shutdown', rig.kernel.shutdown(fd, SHUT_WR));
  rig.note('shutdown with a bad argument', rig.kernel.shutdown(fd, 3));
  rig.note('peer', rig.peerOf(fd));
  rig.note('accept', rig.kernel.accept(fd));
  rig.mask('fresh after all', fd);
}

function listener(rig: Rig): void {
  const { fd, address } = rig.listen(AF_INET);
  rig.mask('idle', fd);
  rig.note('accept', rig.kernel.accept(fd));
  rig.note('receive', rig.receive(fd));
  rig.note('send', rig.send(fd, 'x'));
  rig.note('connect', rig.kernel.connect(fd, address));
  rig.note('bind', rig.kernel.bind(fd, address));
  rig.note('listen again', rig.kernel.listen(fd, 3));
  rig.note('peer', rig.peerOf(fd));
  const client = rig.connect(AF_INET, address);
  rig.mask('with a connection', fd);
  rig.mask('client', client);
  const server = rig.accept(fd);
  rig.mask('accepted', server);
  rig.mask('idle again', fd);
  rig.note('shutdown for sending', rig.kernel.shutdown(fd, SHUT_WR));
  rig.mask('after it', fd);
  rig.note('shutdown for receiving', rig.kernel.shutdown(fd, SHUT_RD));
  rig.mask('after that', fd);
  rig.note('accept', rig.kernel.accept(fd));
}

function refused(rig: Rig): void {
  const address = rig.unused(AF_INET);
  const fd = rig.socket(AF_INET);
  rig.note('connect', rig.kernel.connect(fd, address));
  rig.mask('refused', fd);
  rig.note('peer', rig.peerOf(fd));
  rig.note('error', rig.pendingError(fd));
  rig.note('error again', rig.pendingError(fd));
  rig.mask('error taken', fd);
  rig.note('receive', rig.receive(fd));
  rig.note('send', rig.send(fd, 'x'));
  rig.note('connect again', rig.kernel.connect(fd, address));
  rig.note('and again', rig.kernel.connect(fd, address));
  rig.mask('refused again', fd);
  rig.note('send', rig.send(fd, 'x'));
  rig.note('shutdown', rig.kernel.shutdown(fd, SHUT_RDWR));
  rig.note('connect after shutdown', rig.kernel.connect(fd, address));
}

function connecting(rig: Rig): void {
  const { fd, address } = rig.listen(AF_INET, 1);
  const clients = [0, 1, 2, 3].map(() => rig.socket(AF_INET));
  for (const client of clients) rig.note('connect', rig.kernel.connect(client, address));
  for (const client of clients) rig.mask('after it', client);
  const last = clients[3]!;
  rig.note('send', rig.send(last, 'x'));
  rig.note('receive', rig.receive(last));
  rig.note('connect again', rig.kernel.connect(last, address));
  rig.note('error', rig.pendingError(last));
  rig.note('peer', rig.peerOf(last));
  rig.note('shutdown', rig.kernel.shutdown(last, SHUT_WR));
  rig.mask('after shutdown', last);
  rig.note('error', rig.pendingError(last));
  rig.mask('error taken', last);
  rig.note('connect of the first', rig.kernel.connect(clients[0]!, address));
  rig.note('and again', rig.kernel.connect(clients[0]!, address));
  rig.close(fd);
  rig.mask('first after the listener', clients[0]!);
  rig.note('receive', rig.receive(clients[0]!));
}

function transfer(rig: Rig): void {
  const { listener, client, server } = rig.pair(AF_INET);
  rig.note('names', rig.peerOf(server) === Buffer.from(rig.nameOf(client)).toString('hex') ? 1 : 0);
  rig.note(
    'names',
    rig.peerOf(client) === Buffer.from(rig.nameOf(listener)).toString('hex') ? 1 : 0,
  );
  rig.note('empty', rig.receive(server));
  rig.note('send', rig.send(client, 'hello'));
  rig.note('send nothing', rig.send(client, ''));
  rig.mask('server', server);
  rig.note('a part', rig.receive(server, 2));
  rig.mask('server', server);
  rig.note('the rest', rig.receive(server));
  rig.mask('server', server);
  rig.note('listen', rig.kernel.listen(client, 1));
  rig.note('accept', rig.kernel.accept(client));
}

function halfClose(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  rig.send(client, 'last words');
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_WR));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('send', rig.send(client, 'x'));
  rig.note('shutdown again', rig.kernel.shutdown(client, SHUT_WR));
  rig.note('words', rig.receive(server));
  rig.note('end', rig.receive(server));
  rig.note('end again', rig.receive(server));
  rig.mask('server', server);
  rig.note('answer', rig.send(server, 'answer'));
  rig.mask('client', client);
  rig.note('answer', rig.receive(client));
  rig.note('shutdown', rig.kernel.shutdown(server, SHUT_WR));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_WR));
  rig.note('shutdown', rig.kernel.shutdown(server, SHUT_WR));
  rig.note('peer', rig.peerOf(client));
  rig.note('send', rig.send(server, 'x'));
  rig.note('receive', rig.receive(client));
  rig.note('receive', rig.receive(server));
}

function closeWithUnreadData(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  rig.send(client, 'unread');
  rig.mask('server', server);
  rig.send(server, 'before');
  rig.mask('client', client);
  rig.close(server);
  rig.mask('client', client);
  rig.note('data first', rig.receive(client));
  rig.mask('client', client);
  rig.note('then the error', rig.receive(client));
  rig.mask('client', client);
  rig.note('then the end', rig.receive(client));
  rig.note('send', rig.send(client, 'x'));
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_WR));
  rig.note('peer', rig.peerOf(client));
}

function lingerZero(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  rig.note('option', rig.setOption(server, SOL_SOCKET, SO_LINGER, 1, 0));
  rig.note('option', rig.option(server, SOL_SOCKET, SO_LINGER, 8));
  rig.close(server);
  rig.mask('client', client);
  rig.note('send', rig.send(client, 'x'));
  rig.note('send', rig.send(client, 'x'));
  rig.note('receive', rig.receive(client));
  rig.mask('client', client);
}

function sendToClosed(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  rig.close(server);
  rig.mask('client', client);
  rig.note('first', rig.send(client, 'x'));
  rig.mask('client', client);
  rig.note('receive', rig.receive(client));
  rig.note('error', rig.pendingError(client));
  rig.note('second', rig.send(client, 'x'));
  rig.mask('client', client);
}

function shutdownForReceiving(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_RD));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('receive', rig.receive(client));
  rig.note('send', rig.send(server, 'zz'));
  rig.observe('arrives all the same', () => rig.eventsOf(client) & 1);
  rig.note('still sends', rig.send(client, 'yy'));
  rig.mask('server', server);
}

function shutdownForBoth(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  rig.note('shutdown', rig.kernel.shutdown(client, SHUT_RDWR));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('send', rig.send(server, 'zz'));
  rig.mask('client', client);
  rig.mask('server', server);
  rig.note('send', rig.send(server, 'zz'));
  rig.note('receive', rig.receive(server));
  rig.note('receive', rig.receive(client));
}

function fullBuffers(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  const total = rig.fill(client);
  rig.mask('client is full', client);
  rig.mask('server', server);
  rig.note('all arrived', rig.drain(server, total));
  rig.mask('client', client);
  rig.mask('server', server);
}

function closeWithQueuedData(rig: Rig): void {
  const { client, server } = rig.pair(AF_INET);
  const total = rig.fill(client);
  rig.close(client);
  rig.note('all arrived', rig.drain(server, total));
  rig.mask('server', server);
  rig.note('end', rig.receive(server));
}

function resetWhileUnaccepted(rig: Rig): void {
  const { fd, address } = rig.listen(AF_INET);
  const client = rig.connect(AF_INET, address);
  rig.mask('client', client);
  rig.send(client, 'data');
  rig.mask('listener', fd);
  rig.setOption(client, SOL_SOCKET, SO_LINGER, 1, 0);
  rig.close(client);
  rig.mask('listener', fd);
  const server = rig.accept(fd);
  rig.mask('accepted', server);
  rig.note('peer', rig.peerOf(server));
  rig.note('data', rig.receive(server));
  rig.note('error', rig.receive(server));
  rig.note('end', rig.receive(server));
}

function options(rig: Rig): void {
  const { fd } = rig.listen(AF_INET);
  for (const name of [SO_TYPE, SO_ERROR, SO_ACCEPTCONN, SO_DOMAIN, SO_PROTOCOL, SO_LINGER]) {
    rig.note(`socket option ${name}`, rig.option(fd, SOL_SOCKET, name, 8));
  }
  for (const name of [SO_KEEPALIVE, SO_REUSEADDR]) {
    rig.note('set', rig.setOption(fd, SOL_SOCKET, name, 5));
    rig.note('get', rig.option(fd, SOL_SOCKET, name));
  }
  const tcp: [number, number][] = [
    [TCP_NODELAY, 9],
    [TCP_KEEPIDLE, 30],
    [TCP_KEEPIDLE, 0],
    [TCP_KEEPINTVL, 5],
    [TCP_KEEPCNT, 200],
    [TCP_USER_TIMEOUT, 1000],
    [TCP_USER_TIMEOUT, -1],
    [TCP_DEFER_ACCEPT, 5],
    [TCP_DEFER_ACCEPT, 0],
    [99, 1],
  ];
  for (const [name, value] of tcp) {
    rig.note(`default ${name}`, rig.option(fd, IPPROTO_TCP, name));
    rig.note(`set ${name} to ${value}`, rig.setOption(fd, IPPROTO_TCP, name, value));
    rig.note(`get ${name}`, rig.option(fd, IPPROTO_TCP, name));
  }
  rig.note('doubled', rig.setOption(fd, SOL_SOCKET, SO_SNDBUF, 10_000));
  rig.note('doubled', rig.option(fd, SOL_SOCKET, SO_SNDBUF));
  rig.note('too small', rig.setOption(fd, SOL_SOCKET, SO_SNDBUF, 1));
  rig.note('too small', rig.option(fd, SOL_SOCKET, SO_SNDBUF));
  rig.note('no such', rig.setOption(fd, SOL_SOCKET, 999, 1));
  rig.note('short', rig.kernel.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, Uint8Array.of(1)));
  rig.note('linger', rig.setOption(fd, SOL_SOCKET, SO_LINGER, 1));
}

function inheritedOptions(rig: Rig): void {
  const { fd, address } = rig.listen(AF_INET);
  rig.setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  rig.setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  rig.setOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 777);
  rig.connect(AF_INET, address);
  const server = rig.accept(fd);
  rig.note('keep-alive', rig.option(server, SOL_SOCKET, SO_KEEPALIVE));
  rig.note('no delay', rig.option(server, IPPROTO_TCP, TCP_NODELAY));
  rig.note('timeout', rig.option(server, IPPROTO_TCP, TCP_USER_TIMEOUT));
  rig.note('listening', rig.option(server, SOL_SOCKET, SO_ACCEPTCONN));
}

export const TCP_SCRIPTS: readonly Script[] = [
  { name: 'TCP: a fresh socket', run: freshSocket },
  { name: 'TCP: a listener', run: listener },
  { name: 'TCP: a refused connection', run: refused },
  { name: 'TCP: a full backlog leaves clients connecting', run: connecting },
  { name: 'TCP: data', run: transfer },
  { name: 'TCP: half close and full close', run: halfClose },
  { name: 'TCP: close with unread data resets', run: closeWithUnreadData },
  { name: 'TCP: SO_LINGER 0 resets', run: lingerZero },
  { name: 'TCP: sending to a closed end', run: sendToClosed },
  { name: 'TCP: shutdown for receiving', run: shutdownForReceiving },
  { name: 'TCP: shutdown for both', run: shutdownForBoth },
  { name: 'TCP: full buffers', run: fullBuffers },
  { name: 'TCP: close with queued data', run: closeWithQueuedData },
  { name: 'TCP: a reset before accept', run: resetWhileUnaccepted },
  { name: 'TCP: options', run: options },
  { name: 'TCP: accepted connections inherit options', run: inheritedOptions },
];
