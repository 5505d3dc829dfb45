/** Sequences of calls about Internet addresses for the differential test (sim-vs-linux.test.ts). */

import { EADDRINUSE } from '../../src/base/errno.js';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOL_SOCKET,
} from '../../src/base/linux.js';
import { hex, loopback, mapped, portOf, type Rig, type Script } from './differential-rig.js';

function anyAddress(domain: number, port: number): Uint8Array {
  const bytes = loopback(domain, port, 0);
  if (domain === AF_INET) bytes.fill(0, 4, 8);
  return bytes;
}

function conflicts(rig: Rig): void {
  const { kernel } = rig;
  const first = rig.socket(AF_INET);
  rig.note('bind', kernel.bind(first, loopback(AF_INET, 0)));
  const port = portOf(rig.nameOf(first));
  rig.note('a port', port > 0 ? 1 : 0);
  const second = rig.socket(AF_INET);
  rig.note('the same', kernel.bind(second, loopback(AF_INET, port)));
  rig.note('any host', kernel.bind(second, anyAddress(AF_INET, port)));
  rig.note('another host', kernel.bind(second, loopback(AF_INET, port, 2)));
  rig.note('bound already', kernel.bind(second, loopback(AF_INET, 0)));
  const third = rig.socket(AF_INET);
  rig.note(
    'not ours',
    kernel.bind(third, Uint8Array.of(2, 0, 0, 0, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0)),
  );
  rig.note('too short', kernel.bind(third, loopback(AF_INET, 0).subarray(0, 8)));
  rig.note('other family', kernel.bind(third, loopback(AF_INET6, 0)));
  rig.note('no such family', kernel.socket(250, 1, 0));
}

function sharing(rig: Rig, option: number): void {
  const { kernel } = rig;
  const first = rig.socket(AF_INET);
  const second = rig.socket(AF_INET);
  const third = rig.socket(AF_INET);
  rig.setOption(first, SOL_SOCKET, option, 1);
  rig.setOption(second, SOL_SOCKET, option, 1);
  rig.note('bind', kernel.bind(first, loopback(AF_INET, 0)));
  const address = rig.nameOf(first);
  rig.note('both with the option', kernel.bind(second, address));
  rig.note('one without', kernel.bind(third, address));
  rig.note('listen', kernel.listen(first, 4));
  rig.note('both listen', kernel.listen(second, 4));
  rig.setOption(third, SOL_SOCKET, option, 1);
  rig.note('bind while one listens', kernel.bind(third, address));
}

function restart(rig: Rig): void {
  const { kernel } = rig;
  const { fd, address } = rig.listen(AF_INET);
  rig.connect(AF_INET, address);
  const server = rig.accept(fd);
  rig.close(fd);
  const again = rig.socket(AF_INET);
  rig.note('a connection holds the port', kernel.bind(again, address));
  rig.setOption(again, SOL_SOCKET, SO_REUSEADDR, 1);
  rig.note('with SO_REUSEADDR on one side', kernel.bind(again, address));
  rig.setOption(server, SOL_SOCKET, SO_REUSEADDR, 1);
  rig.note('on both', kernel.bind(again, address) === 0 ? 1 : 0);
}

function dualStack(rig: Rig): void {
  const { kernel } = rig;
  const listener = rig.socket(AF_INET6);
  rig.note('bind', kernel.bind(listener, anyAddress(AF_INET6, 0)));
  rig.note('listen', kernel.listen(listener, 4));
  const port = portOf(rig.nameOf(listener));
  const old = rig.connect(AF_INET, loopback(AF_INET, port));
  rig.mask('an IPv4 client', old);
  const server = rig.accept(listener);
  rig.note('mapped name', hex(rig.nameOf(server)).slice(16, 48));
  rig.note('mapped peer', rig.peerOf(server).slice(16, 48));
  const young = rig.connect(AF_INET6, loopback(AF_INET6, port));
  rig.mask('an IPv6 client', young);
  rig.note('its peer', rig.peerOf(young).slice(16, 48));
  const both = rig.connect(AF_INET6, mapped(port));
  rig.mask('a mapped client', both);
  const taken = rig.socket(AF_INET);
  rig.note('IPv4 is taken too', kernel.bind(taken, anyAddress(AF_INET, port)));
  const { only, otherPort } = listenOnIpv6Only(rig, taken);
  rig.note('option', rig.option(only, IPPROTO_IPV6, IPV6_V6ONLY));
  const refused = rig.connect(AF_INET, loopback(AF_INET, otherPort));
  rig.mask('refused', refused);
  const wrong = rig.socket(AF_INET6);
  rig.note('other family', kernel.bind(wrong, loopback(AF_INET, 0)));
  const strict = rig.socket(AF_INET6);
  rig.setOption(strict, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  rig.note('strict to mapped', kernel.connect(strict, mapped(port)));
}

/** Its port is free for IPv4, to which it is bound then; on Linux other programs may have it: then another port. */
function listenOnIpv6Only(rig: Rig, ipv4: number): { only: number; otherPort: number } {
  const { kernel } = rig;
  for (let i = 0; ; i++) {
    const only = rig.socket(AF_INET6);
    const option = rig.setOption(only, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    const bind = kernel.bind(only, anyAddress(AF_INET6, 0));
    const listen = kernel.listen(only, 4);
    const otherPort = portOf(rig.nameOf(only));
    const free = kernel.bind(ipv4, anyAddress(AF_INET, otherPort));
    if (free !== -EADDRINUSE || i === 20) {
      rig.note('option', option);
      rig.note('bind', bind);
      rig.note('listen', listen);
      rig.note('IPv4 is free', free);
      return { only, otherPort };
    }
  }
}

function unbound(rig: Rig): void {
  const { kernel } = rig;
  const fd = rig.socket(AF_INET);
  rig.note('name', hex(rig.nameOf(fd)));
  rig.note('listen', kernel.listen(fd, 4));
  const port = portOf(rig.nameOf(fd));
  rig.note('a port', port > 0 ? 1 : 0);
  const client = rig.socket(AF_INET);
  rig.note('the wildcard is the loopback', kernel.connect(client, anyAddress(AF_INET, port)));
  rig.mask('connected', client);
  rig.note('peer', rig.peerOf(client).slice(8, 16));
  rig.note('own', hex(rig.nameOf(client)).slice(8, 16));
  const bound = rig.socket(AF_INET);
  rig.note('bind', kernel.bind(bound, loopback(AF_INET, 0, 3)));
  rig.note('connect', kernel.connect(bound, loopback(AF_INET, port, 9)));
  rig.mask('connected', bound);
  rig.accept(fd);
  const server = rig.accept(fd);
  rig.note('from', rig.peerOf(server).slice(8, 16));
  rig.note('to', hex(rig.nameOf(server)).slice(8, 16));
  rig.note('a short buffer', kernel.getSocketName(server, new Uint8Array(4)));
}

export const ADDRESS_SCRIPTS: readonly Script[] = [
  { name: 'addresses: conflicts', run: conflicts },
  { name: 'addresses: SO_REUSEADDR', run: (rig) => sharing(rig, SO_REUSEADDR) },
  { name: 'addresses: SO_REUSEPORT', run: (rig) => sharing(rig, SO_REUSEPORT) },
  { name: 'addresses: a connection outlives its listener', run: restart },
  { name: 'addresses: IPv6 and dual stack', needsIpv6: true, run: dualStack },
  { name: 'addresses: what was not bound', run: unbound },
];
