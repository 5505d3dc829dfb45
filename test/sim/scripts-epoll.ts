/** Sequences of calls on epoll and eventfd descriptors for the differential test (sim-vs-linux.test.ts). */

import {
  AF_INET,
  AF_UNIX,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from '../../src/base/linux.js';
import type { Rig, Script } from './differential-rig.js';

function control(rig: Rig): void {
  const { kernel } = rig;
  const epfd = rig.keep(kernel.epollCreate());
  const { client, server } = rig.pair(AF_UNIX);
  rig.note('change before', kernel.epollControl(epfd, EPOLL_CTL_MOD, client, EPOLLIN, 1, 2));
  rig.note('remove before', kernel.epollControl(epfd, EPOLL_CTL_DEL, client, 0, 0, 0));
  rig.note('add', kernel.epollControl(epfd, EPOLL_CTL_ADD, client, EPOLLIN, 1, 2));
  rig.note('add again', kernel.epollControl(epfd, EPOLL_CTL_ADD, client, EPOLLIN, 1, 2));
  rig.note('itself', kernel.epollControl(epfd, EPOLL_CTL_ADD, epfd, EPOLLIN, 1, 2));
  rig.note('not epoll', kernel.epollControl(server, EPOLL_CTL_ADD, client, EPOLLIN, 1, 2));
  rig.note('no such operation', kernel.epollControl(epfd, 9, client, EPOLLIN, 1, 2));
  rig.note('nothing', JSON.stringify(rig.wait(epfd, 4)));
  rig.send(server, 'x');
  rig.note('readable', JSON.stringify(rig.wait(epfd, 4)));
  rig.note('level-triggered', JSON.stringify(rig.wait(epfd, 4)));
  const change = kernel.epollControl(epfd, EPOLL_CTL_MOD, client, EPOLLOUT, 0xffffffff, 5);
  rig.note('change', change);
  rig.note('changed', JSON.stringify(rig.wait(epfd, 4)));
  rig.note('to nothing', kernel.epollControl(epfd, EPOLL_CTL_MOD, client, 0, 7, 7));
  rig.note('nothing', JSON.stringify(rig.wait(epfd, 4)));
  rig.close(server);
  rig.note('a hang-up always shows', JSON.stringify(rig.wait(epfd, 4)));
  rig.note('remove', kernel.epollControl(epfd, EPOLL_CTL_DEL, client, 0, 0, 0));
  rig.note('nothing', JSON.stringify(rig.wait(epfd, 4)));
  rig.note('closed', kernel.epollControl(epfd, EPOLL_CTL_ADD, server, EPOLLIN, 1, 2));
}

function removalByClose(rig: Rig): void {
  const { kernel } = rig;
  const epfd = rig.keep(kernel.epollCreate());
  const first = rig.pair(AF_UNIX);
  rig.send(first.client, 'x');
  kernel.epollControl(epfd, EPOLL_CTL_ADD, first.server, EPOLLIN, 1, 0);
  const copy = rig.keep(kernel.duplicate(first.server));
  rig.close(first.server);
  rig.note('a duplicate keeps it', JSON.stringify(rig.wait(epfd, 4)));
  rig.note('by another number', kernel.epollControl(epfd, EPOLL_CTL_DEL, copy, 0, 0, 0));
  rig.note('add the duplicate too', kernel.epollControl(epfd, EPOLL_CTL_ADD, copy, EPOLLIN, 2, 0));
  rig.note('both', JSON.stringify(rig.wait(epfd, 4)));
  rig.note('data by the duplicate', rig.receive(copy));
  rig.send(first.client, 'y');
  rig.close(copy);
  rig.note('gone with the last', JSON.stringify(rig.wait(epfd, 4)));
}

function rotation(rig: Rig): void {
  const { kernel } = rig;
  const epfd = rig.keep(kernel.epollCreate());
  for (let i = 0; i < 5; i++) {
    const eventfd = rig.keep(kernel.eventfd());
    kernel.signal(eventfd);
    kernel.epollControl(epfd, EPOLL_CTL_ADD, eventfd, EPOLLIN, i, 0);
  }
  for (let i = 0; i < 6; i++) {
    const turn = rig.wait(epfd, 2).map((event) => event.low);
    rig.note('a turn for each', turn.join(' '));
  }
  rig.note('all', rig.wait(epfd, 100).length);
}

function counting(rig: Rig): void {
  const { kernel } = rig;
  const eventfd = rig.keep(kernel.eventfd());
  rig.mask('zero', eventfd);
  rig.note('drain', kernel.drain(eventfd));
  rig.note('signal', kernel.signal(eventfd));
  rig.note('signal', kernel.signal(eventfd));
  rig.mask('two', eventfd);
  rig.note('drain', kernel.drain(eventfd));
  rig.note('drain', kernel.drain(eventfd));
  rig.note('adopt', kernel.adopt(eventfd));
  rig.note('not a socket', kernel.shutdown(eventfd, 1));
  rig.note('not a socket', kernel.accept(eventfd));
  rig.note('not a socket', kernel.send(eventfd, Buffer.from('12345678')));
}

function nested(rig: Rig): void {
  const { kernel } = rig;
  const outer = rig.keep(kernel.epollCreate());
  const inner = rig.keep(kernel.epollCreate());
  const eventfd = rig.keep(kernel.eventfd());
  kernel.epollControl(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 1, 0);
  kernel.epollControl(inner, EPOLL_CTL_ADD, eventfd, EPOLLIN, 2, 0);
  rig.note('nothing', JSON.stringify(rig.wait(outer, 4)));
  kernel.signal(eventfd);
  rig.note('an epoll descriptor is readable', JSON.stringify(rig.wait(outer, 4)));
  rig.note('the event itself', JSON.stringify(rig.wait(inner, 4)));
  kernel.drain(eventfd);
  rig.note('no more', JSON.stringify(rig.wait(outer, 4)));
}

function connection(rig: Rig): void {
  const { kernel } = rig;
  const epfd = rig.keep(kernel.epollCreate());
  const events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
  const { fd, address } = rig.listen(AF_INET);
  const client = rig.socket(AF_INET);
  kernel.epollControl(epfd, EPOLL_CTL_ADD, client, events, 1, 0);
  rig.note('fresh', JSON.stringify(rig.wait(epfd, 4)));
  kernel.connect(client, address);
  rig.observe('connected', () => JSON.stringify(rig.wait(epfd, 4)));
  const server = rig.accept(fd);
  kernel.epollControl(epfd, EPOLL_CTL_MOD, client, EPOLLIN | EPOLLRDHUP, 1, 0);
  rig.note('idle', JSON.stringify(rig.wait(epfd, 4)));
  rig.send(server, 'x');
  rig.observe('data', () => JSON.stringify(rig.wait(epfd, 4)));
  rig.receive(client);
  rig.note('idle', JSON.stringify(rig.wait(epfd, 4)));
  rig.close(server);
  rig.observe('end', () => JSON.stringify(rig.wait(epfd, 4)));
  kernel.shutdown(client, 1);
  rig.observe('hang-up', () => JSON.stringify(rig.wait(epfd, 4)));
  rig.close(client);
  rig.note('gone', JSON.stringify(rig.wait(epfd, 4)));
}

function descriptors(rig: Rig): void {
  const { kernel } = rig;
  const first = kernel.eventfd();
  const second = kernel.eventfd();
  kernel.close(first);
  const third = kernel.eventfd();
  rig.note('the lowest free number', third === first ? 1 : 0);
  kernel.close(second);
  kernel.close(third);
  rig.note('closed', kernel.close(third));
  rig.note('closed', kernel.send(third, Buffer.from('x')));
  rig.note('closed', kernel.duplicate(third));
  rig.note('closed', kernel.adopt(third));
  rig.note('never open', kernel.close(-1));
  const reserved = rig.keep(kernel.reserve());
  rig.note('reserved', reserved >= 3 ? 1 : 0);
}

export const EPOLL_SCRIPTS: readonly Script[] = [
  { name: 'epoll: add, change and remove', run: control },
  { name: 'epoll: closing removes, unless there is a duplicate', run: removalByClose },
  { name: 'epoll: everyone has a turn', run: rotation },
  { name: 'epoll: an epoll descriptor can be waited for', run: nested },
  { name: 'epoll: the life of a connection', run: connection },
  { name: 'eventfd: counts', run: counting },
  { name: 'descriptors: numbers', run: descriptors },
];
