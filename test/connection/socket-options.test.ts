/** Socket options: exact calls, what each family leaves out, checks, and values read back from real sockets. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { ListenerOptions, SocketOptions } from '../../src/api.js';
import { encodeSockaddr, parseAddress } from '../../src/base/address.js';
import { ENOPROTOOPT, EPERM } from '../../src/base/errno.js';
import * as linux from '../../src/base/linux.js';
import { LinuxKernel } from '../../src/base/linux-kernel.js';
import {
  applyEncodedOptions,
  applySocketOptions,
  compileListenerOptions,
  compileSocketOptions,
  type EncodedOptions,
  encodeOption,
  type GetOption,
  readOption,
  type SetOption,
} from '../../src/connection/socket-options.js';

const { AF_INET, AF_INET6, AF_UNIX, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET } = linux;

/** Calls as `[option, level, name, hex]`. */
function calls(options: EncodedOptions | 'not-applicable'): [string, number, number, string][] {
  assert.notEqual(options, 'not-applicable');
  return (options as EncodedOptions).map(({ option, level, name, value }) => {
    return [option, level, name, Buffer.from(value).toString('hex')];
  });
}

function names(options: EncodedOptions): string[] {
  return options.map(({ option }) => option);
}

/** A socket in memory that keeps options as Linux does, but for the doubling. */
function fakeSocket() {
  const values = new Map<string, Uint8Array>();
  return {
    set(level: number, name: number, value: Uint8Array): number {
      values.set(`${level} ${name}`, value.slice());
      return 0;
    },
    get(level: number, name: number, value: Uint8Array): number {
      const stored = values.get(`${level} ${name}`) ?? new Uint8Array(value.byteLength);
      value.set(stored.subarray(0, value.byteLength));
      return Math.min(stored.byteLength, value.byteLength);
    },
  };
}

/** One value of each option, so that a new option of the public face does not compile here until it is tested. */
const ALL: Required<SocketOptions> = {
  noDelay: true,
  keepAlive: { idleSeconds: 60, intervalSeconds: 10, count: 5 },
  lingerSeconds: 3,
  sendBufferBytes: 65_536,
  receiveBufferBytes: 131_072,
  userTimeoutMs: 30_000,
  notSentLowWaterBytes: 16_384,
  bindToDevice: 'lo',
};

test('each option becomes the calls of the manual pages', () => {
  const expected: { [Name in keyof SocketOptions]-?: [string, number, number, string][] } = {
    noDelay: [['noDelay', IPPROTO_TCP, linux.TCP_NODELAY, '01000000']],
    keepAlive: [
      ['keepAlive', IPPROTO_TCP, linux.TCP_KEEPIDLE, '3c000000'],
      ['keepAlive', IPPROTO_TCP, linux.TCP_KEEPINTVL, '0a000000'],
      ['keepAlive', IPPROTO_TCP, linux.TCP_KEEPCNT, '05000000'],
      ['keepAlive', SOL_SOCKET, linux.SO_KEEPALIVE, '01000000'],
    ],
    lingerSeconds: [['lingerSeconds', SOL_SOCKET, linux.SO_LINGER, '0100000003000000']],
    sendBufferBytes: [['sendBufferBytes', SOL_SOCKET, linux.SO_SNDBUF, '00000100']],
    receiveBufferBytes: [['receiveBufferBytes', SOL_SOCKET, linux.SO_RCVBUF, '00000200']],
    userTimeoutMs: [['userTimeoutMs', IPPROTO_TCP, linux.TCP_USER_TIMEOUT, '30750000']],
    notSentLowWaterBytes: [
      ['notSentLowWaterBytes', IPPROTO_TCP, linux.TCP_NOTSENT_LOWAT, '00400000'],
    ],
    bindToDevice: [['bindToDevice', SOL_SOCKET, linux.SO_BINDTODEVICE, '6c6f00']],
  };
  for (const name of Object.keys(expected) as (keyof SocketOptions)[]) {
    for (const family of [AF_INET, AF_INET6]) {
      assert.deepEqual(calls(encodeOption(name, ALL[name], family)), expected[name], name);
    }
  }
});

test('the other forms of keepAlive, lingerSeconds, flags and bindToDevice', () => {
  assert.deepEqual(calls(encodeOption('keepAlive', true, AF_INET)), [
    ['keepAlive', SOL_SOCKET, linux.SO_KEEPALIVE, '01000000'],
  ]);
  assert.deepEqual(calls(encodeOption('keepAlive', false, AF_INET)), [
    ['keepAlive', SOL_SOCKET, linux.SO_KEEPALIVE, '00000000'],
  ]);
  assert.equal(calls(encodeOption('lingerSeconds', null, AF_INET))[0]![3], '0000000000000000');
  assert.equal(calls(encodeOption('lingerSeconds', 0, AF_INET))[0]![3], '0100000000000000');
  assert.equal(calls(encodeOption('noDelay', false, AF_INET))[0]![3], '00000000');
  assert.equal(calls(encodeOption('bindToDevice', '', AF_INET))[0]![3], '00');
});

test('a Unix socket has its two buffer sizes only', () => {
  for (const name of Object.keys(ALL) as (keyof SocketOptions)[]) {
    const isBuffer = name === 'sendBufferBytes' || name === 'receiveBufferBytes';
    assert.equal(encodeOption(name, ALL[name], AF_UNIX) === 'not-applicable', !isBuffer, name);
  }
  assert.deepEqual(names(compileSocketOptions(ALL, AF_UNIX)), [
    'sendBufferBytes',
    'receiveBufferBytes',
  ]);
  assert.deepEqual(compileSocketOptions({}, AF_UNIX), []);
});

test('noDelay is on for TCP unless it is false', () => {
  for (const options of [{}, { noDelay: true }, { noDelay: undefined } as never]) {
    assert.deepEqual(calls(compileSocketOptions(options, AF_INET)), [
      ['noDelay', IPPROTO_TCP, linux.TCP_NODELAY, '01000000'],
    ]);
  }
  assert.equal(calls(compileSocketOptions({ noDelay: false }, AF_INET6))[0]![3], '00000000');
});

test('options are set in the order device, buffers, others; unknown ones are ignored', () => {
  const compiled = compileSocketOptions({ idleTimeoutMs: -1, ...ALL } as never, AF_INET);
  assert.deepEqual(
    [...new Set(names(compiled))],
    [
      'bindToDevice',
      'sendBufferBytes',
      'receiveBufferBytes',
      'noDelay',
      'keepAlive',
      'lingerSeconds',
      'userTimeoutMs',
      'notSentLowWaterBytes',
    ],
  );
});

test('a listener has the options of its connections, which inherit them', () => {
  const { beforeBind } = compileListenerOptions(ALL, AF_INET);
  const options = names(beforeBind);
  for (const { option } of compileSocketOptions(ALL, AF_INET)) {
    assert.ok(options.includes(option), option);
  }
  assert.ok(names(compileListenerOptions({}, AF_INET6).beforeBind).includes('noDelay'));
  assert.equal(names(compileListenerOptions({}, AF_UNIX).beforeBind).includes('noDelay'), false);
});

test('a value of a wrong type throws TypeError, one out of range RangeError, on any family', () => {
  const wrong: [keyof SocketOptions, unknown, 'TypeError' | 'RangeError', RegExp][] = [
    ['noDelay', 1, 'TypeError', /noDelay is 1; expected true or false/],
    ['keepAlive', 'yes', 'TypeError', /keepAlive is "yes"; expected true, false or \{ idleSec/],
    ['keepAlive', null, 'TypeError', /keepAlive is null/],
    ['keepAlive', {}, 'TypeError', /keepAlive\.idleSeconds is undefined; expected an integer/],
    [
      'keepAlive',
      { idleSeconds: 0, intervalSeconds: 1, count: 1 },
      'RangeError',
      /idleSeconds is 0/,
    ],
    ['keepAlive', { idleSeconds: 1, intervalSeconds: 32_768, count: 1 }, 'RangeError', /to 32767/],
    ['keepAlive', { idleSeconds: 1, intervalSeconds: 1, count: 128 }, 'RangeError', /1 to 127/],
    [
      'lingerSeconds',
      -1,
      'RangeError',
      /lingerSeconds is -1; expected an .* 0 to 2147483647 or null/,
    ],
    ['lingerSeconds', true, 'TypeError', /lingerSeconds is true/],
    ['sendBufferBytes', 0, 'RangeError', /sendBufferBytes is 0; expected an integer from 1/],
    ['receiveBufferBytes', 1.5, 'RangeError', /receiveBufferBytes is 1\.5; expected an integer/],
    ['receiveBufferBytes', 2 ** 31, 'RangeError', /receiveBufferBytes is 2147483648/],
    ['userTimeoutMs', Number.NaN, 'RangeError', /userTimeoutMs is NaN/],
    ['notSentLowWaterBytes', '1', 'TypeError', /notSentLowWaterBytes is "1"/],
    ['bindToDevice', 7, 'TypeError', /bindToDevice is 7; expected the name of an interface/],
    ['bindToDevice', 'sixteen-bytes-xx', 'RangeError', /16 bytes long; expected at most 15/],
    ['bindToDevice', 'a\0b', 'TypeError', /bindToDevice is "a\\u0000b"/],
  ];
  for (const [name, value, error, message] of wrong) {
    for (const family of [AF_INET, AF_UNIX]) {
      assert.throws(() => encodeOption(name, value as never, family), { name: error, message });
    }
  }
  assert.throws(() => encodeOption('toString' as never, 1 as never, AF_INET), {
    name: 'TypeError',
    message: /There is no socket option "toString"; expected one of bindToDevice, /,
  });
});

test('applySocketOptions() stops at the first refusal and names the option', () => {
  const seen: number[] = [];
  const outcome = applySocketOptions(
    (_level, name) => {
      seen.push(name);
      return name === linux.SO_SNDBUF ? -EPERM : 0;
    },
    AF_INET,
    { sendBufferBytes: 1, receiveBufferBytes: 1, bindToDevice: 'lo' },
  );
  assert.deepEqual(outcome, { errno: EPERM, option: 'sendBufferBytes' });
  assert.deepEqual(seen, [linux.SO_BINDTODEVICE, linux.SO_SNDBUF]);
  assert.equal(
    applySocketOptions(() => 0, AF_INET, ALL),
    0,
  );
});

test('what was set is read back in the units of the public face', () => {
  const socket = fakeSocket();
  assert.equal(applySocketOptions(socket.set, AF_INET, ALL), 0);
  for (const name of Object.keys(ALL) as (keyof SocketOptions)[]) {
    assert.deepEqual(readOption(socket.get, name, AF_INET), ALL[name], name);
  }
  const off = { noDelay: false, keepAlive: false, lingerSeconds: null, bindToDevice: '' };
  assert.equal(applySocketOptions(socket.set, AF_INET6, off), 0);
  for (const [name, value] of Object.entries(off)) {
    assert.deepEqual(readOption(socket.get, name as keyof SocketOptions, AF_INET6), value, name);
  }
});

test('an option that the family or the system does not have reads as undefined', () => {
  for (const name of Object.keys(ALL) as (keyof SocketOptions)[]) {
    assert.equal(
      readOption(() => -ENOPROTOOPT, name, AF_INET),
      undefined,
      name,
    );
    if (!name.endsWith('BufferBytes')) {
      assert.equal(
        readOption(() => assert.fail('asked'), name, AF_UNIX),
        undefined,
        name,
      );
    }
  }
  assert.equal(
    readOption(() => 4, 'toString' as never, AF_INET),
    undefined,
  );
});

test('keepAlive reads as true where the system does not tell its three values', () => {
  const get = (level: number, _name: number, value: Uint8Array): number => {
    if (level !== SOL_SOCKET) return -ENOPROTOOPT;
    value[0] = 1;
    return 4;
  };
  assert.equal(readOption(get, 'keepAlive', AF_INET), true);
});

const ALL_LISTENER: Required<ListenerOptions> = {
  backlog: 100,
  mode: 0o660,
  reuseAddress: true,
  reusePort: true,
  ipv6Only: true,
  deferAcceptSeconds: 5,
  fastOpenQueue: 256,
};

test('listener options are split into those before bind and those after listen', () => {
  const compiled = compileListenerOptions({ ...ALL_LISTENER, ...ALL }, AF_INET6);
  assert.deepEqual(calls(compiled.beforeBind), [
    ['reuseAddress', SOL_SOCKET, linux.SO_REUSEADDR, '01000000'],
    ['reusePort', SOL_SOCKET, linux.SO_REUSEPORT, '01000000'],
    ['ipv6Only', IPPROTO_IPV6, linux.IPV6_V6ONLY, '01000000'],
    ['fastOpenQueue', IPPROTO_TCP, linux.TCP_FASTOPEN, '00010000'],
    ...calls(compileSocketOptions(ALL, AF_INET6)),
  ]);
  assert.deepEqual(calls(compiled.afterListen), [
    ['deferAcceptSeconds', IPPROTO_TCP, linux.TCP_DEFER_ACCEPT, '05000000'],
  ]);
});

test('a listener reuses its address, and is dual-stack unless it is tcp6://', () => {
  const compile = (family: number, url?: string) => {
    const address = url === undefined ? undefined : parseAddress(url);
    const { beforeBind, afterListen } = compileListenerOptions({}, family, address);
    assert.deepEqual(afterListen, []);
    return calls(beforeBind).map(([option, , , value]) => `${option} ${value.slice(0, 2)}`);
  };
  assert.deepEqual(compile(AF_INET), ['reuseAddress 01', 'noDelay 01']);
  const dualStack = ['reuseAddress 01', 'ipv6Only 00', 'noDelay 01'];
  assert.deepEqual(compile(AF_INET6), dualStack);
  assert.deepEqual(compile(AF_INET6, 'tcp://[::]:0'), dualStack);
  const ipv6 = ['reuseAddress 01', 'ipv6Only 01', 'noDelay 01'];
  assert.deepEqual(compile(AF_INET6, 'tcp6://[::]:0'), ipv6);
  assert.deepEqual(compile(AF_UNIX), []);
  const explicit = { ipv6Only: false, reuseAddress: false };
  const { beforeBind } = compileListenerOptions(explicit, AF_INET6, parseAddress('tcp6://[::]:0'));
  assert.deepEqual(
    calls(beforeBind).map(([, , , value]) => value.slice(0, 2)),
    ['00', '00', '01'],
  );
});

test('wrong listener options are refused', () => {
  const wrong: [ListenerOptions, 'TypeError' | 'RangeError'][] = [
    [{ backlog: -1 }, 'RangeError'],
    [{ backlog: '1' as never }, 'TypeError'],
    [{ mode: 0o1777 }, 'RangeError'],
    [{ reusePort: 1 as never }, 'TypeError'],
    [{ ipv6Only: 'no' as never }, 'TypeError'],
    [{ deferAcceptSeconds: -1 }, 'RangeError'],
    [{ fastOpenQueue: 65_536 }, 'RangeError'],
  ];
  for (const [options, name] of wrong) {
    for (const family of [AF_INET6, AF_UNIX]) {
      assert.throws(() => compileListenerOptions(options, family), { name });
    }
  }
});

const onLinux = { skip: process.platform === 'linux' ? false : 'needs Linux' };

/** Runs `check` with a fresh socket of the real kernel. */
function withSocket(
  family: number,
  check: (kernel: LinuxKernel, fd: number, set: SetOption, get: GetOption) => void,
): void {
  const kernel = new LinuxKernel();
  const fd = kernel.socket(family, linux.SOCK_STREAM, 0);
  assert.ok(fd >= 0);
  try {
    check(
      kernel,
      fd,
      (level, name, value) => kernel.setSocketOption(fd, level, name, value),
      (level, name, value) => kernel.getSocketOption(fd, level, name, value),
    );
  } finally {
    kernel.close(fd);
  }
}

test(
  'a real socket takes all options and gives them back, with its buffers doubled',
  onLinux,
  () => {
    for (const family of [AF_INET, AF_INET6]) {
      withSocket(family, (_kernel, _fd, set, get) => {
        assert.equal(applySocketOptions(set, family, ALL), 0);
        for (const name of Object.keys(ALL) as (keyof SocketOptions)[]) {
          const value = ALL[name];
          const expected = name.endsWith('BufferBytes') ? 2 * (value as number) : value;
          assert.deepEqual(readOption(get, name, family), expected, name);
        }
      });
    }
  },
);

test('a fresh real socket reads as the defaults of Linux', onLinux, () => {
  withSocket(AF_INET, (_kernel, _fd, _set, get) => {
    assert.equal(readOption(get, 'noDelay', AF_INET), false);
    assert.equal(readOption(get, 'keepAlive', AF_INET), false);
    assert.equal(readOption(get, 'lingerSeconds', AF_INET), null);
    assert.equal(readOption(get, 'userTimeoutMs', AF_INET), 0);
    assert.equal(readOption(get, 'bindToDevice', AF_INET), '');
  });
  withSocket(AF_UNIX, (_kernel, _fd, set, get) => {
    assert.equal(applySocketOptions(set, AF_UNIX, ALL), 0);
    assert.equal(readOption(get, 'sendBufferBytes', AF_UNIX), 2 * ALL.sendBufferBytes);
  });
});

test('real listeners take all options at their time', onLinux, () => {
  for (const [family, url] of [
    [AF_INET, 'tcp://127.0.0.1:0'],
    [AF_INET6, 'tcp6://[::]:0'],
    [AF_UNIX, `unix-abstract://millrace-options-${process.pid}`],
  ] as const) {
    withSocket(family, (kernel, fd, set) => {
      const address = parseAddress(url);
      const compiled = compileListenerOptions({ ...ALL_LISTENER, ...ALL }, family, address);
      assert.equal(applyEncodedOptions(set, compiled.beforeBind), 0);
      assert.equal(kernel.bind(fd, encodeSockaddr(address)), 0);
      assert.equal(kernel.listen(fd, 1), 0);
      assert.equal(applyEncodedOptions(set, compiled.afterListen), 0);
    });
  }
});
