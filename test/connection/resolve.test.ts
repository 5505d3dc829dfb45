/** Name resolution with an injected lookup: order, families, errors and abortion. One lookup goes to the system. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import fc from 'fast-check';

import { formatAddress, parseAddress, type TcpAddress } from '../../src/base/address.js';
import { type Lookup, resolve, sortForHappyEyeballs } from '../../src/connection/resolve.js';
import { MillraceError } from '../../src/errors.js';

function tcp(url: string): TcpAddress {
  return parseAddress(url) as TcpAddress;
}

async function urls(url: string, lookup: Lookup): Promise<string[]> {
  return (await resolve(tcp(url), undefined, lookup)).map((address) => formatAddress(address));
}

test('a numeric host is its own answer and is not looked up', async () => {
  const lookup = () => assert.fail('looked up');
  assert.deepEqual(await urls('tcp://127.0.0.1:80', lookup), ['tcp://127.0.0.1:80']);
  assert.deepEqual(await urls('tcp6://[fe80::1%7]:80', lookup), ['tcp6://[fe80::1%7]:80']);
});

test('the scheme says which family is asked for, and others are dropped', async () => {
  const asked: (number | string)[] = [];
  const lookup: Lookup = async (name, family) => {
    asked.push(name, family);
    return ['::1', '127.0.0.1'];
  };
  assert.deepEqual(await urls('tcp://a:1', lookup), ['tcp://[::1]:1', 'tcp://127.0.0.1:1']);
  assert.deepEqual(await urls('tcp4://b:1', lookup), ['tcp4://127.0.0.1:1']);
  assert.deepEqual(await urls('tcp6://c:1', lookup), ['tcp6://[::1]:1']);
  assert.deepEqual(asked, ['a', 0, 'b', 4, 'c', 6]);
});

test('addresses alternate and keep scopes; double ones and nonsense are dropped', async () => {
  const found = [
    '::2',
    '::1',
    'nonsense',
    '::2',
    '1.1.1.1',
    'fe80::1%3',
    '2.2.2.2',
    '3.3.3.3',
    '4.4.4.4',
  ];
  assert.deepEqual(await urls('tcp://a:1', async () => found), [
    'tcp://[::2]:1',
    'tcp://1.1.1.1:1',
    'tcp://[::1]:1',
    'tcp://2.2.2.2:1',
    'tcp://[fe80::1%3]:1',
    'tcp://3.3.3.3:1',
    'tcp://4.4.4.4:1',
  ]);
});

test('a failed lookup rejects with the code of the resolver and names the address', async () => {
  const cause = Object.assign(new Error('x'), { code: 'EAI_AGAIN' });
  await assert.rejects(
    resolve(tcp('tcp://a:1'), undefined, () => Promise.reject(cause)),
    (error) => {
      assert.ok(error instanceof MillraceError);
      assert.equal(error.code, 'EAI_AGAIN');
      assert.equal(error.cause, cause);
      assert.match(error.message, /^Cannot resolve tcp:\/\/a:1: the name could not be looked up/);
      return true;
    },
  );
});

test('a name without an address of the family rejects with ENOTFOUND', async () => {
  for (const found of [[], ['127.0.0.1']]) {
    await assert.rejects(
      resolve(tcp('tcp6://a:1'), undefined, async () => found),
      {
        code: 'ENOTFOUND',
        message: 'Cannot resolve tcp6://a:1: the name has no address (ENOTFOUND)',
      },
    );
  }
});

test('an aborted signal ends a lookup that never answers, and leaves no listener', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const pending = resolve(tcp('tcp://a:1'), controller.signal, () => new Promise(() => {}));
  controller.abort(reason);
  await assert.rejects(pending, reason);
  await assert.rejects(resolve(tcp('tcp://127.0.0.1:1'), controller.signal), reason);
});

test('a lookup that fails after the abortion is not an unhandled rejection', async () => {
  const controller = new AbortController();
  let fail: (error: Error) => void = () => {};
  const answer = new Promise<string[]>((_, reject) => {
    fail = reject;
  });
  const pending = resolve(tcp('tcp://a:1'), controller.signal, () => answer);
  controller.abort();
  await assert.rejects(pending, { name: 'AbortError' });
  fail(new Error('late'));
  await new Promise((done) => setImmediate(done));
});

test('a signal that is not aborted does not disturb', async () => {
  const { signal } = new AbortController();
  const found = await resolve(tcp('tcp://a:1'), signal, async () => ['::1']);
  assert.equal(found.length, 1);
});

test('localhost has a loopback address on this host', async () => {
  const found = await resolve(tcp('tcp://localhost:1'));
  assert.ok(found.every(({ host }) => host === '::1' || host.startsWith('127.')));
  assert.ok(found.length > 0);
});

test('sortForHappyEyeballs() keeps all and each order, begins with the first, alternates', () => {
  const entries = fc.array(fc.constantFrom<4 | 6>(4, 6)).map((list) => {
    return list.map((version, index) => ({ version, index }));
  });
  fc.assert(
    fc.property(entries, (list) => {
      const sorted = sortForHappyEyeballs(list);
      assert.equal(sorted[0], list[0]);
      for (const version of [4, 6]) {
        const isOf = (entry: { version: number }) => entry.version === version;
        assert.deepEqual(sorted.filter(isOf), list.filter(isOf));
      }
      const smaller = Math.min(...[4, 6].map((v) => list.filter((e) => e.version === v).length));
      for (let i = 1; i < smaller * 2; i++) {
        assert.notEqual(sorted[i]!.version, sorted[i - 1]!.version);
      }
    }),
  );
});
