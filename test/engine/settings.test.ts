/** What serve was asked for: checked, with the documented defaults. */

import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { describe, it } from 'node:test';

import type { ServeOptions } from '../../src/api.js';
import type { DriverChoice, DriverName } from '../../src/connection/drivers/choose.js';
import { isModule, pickConnection, readSettings } from '../../src/engine/settings.js';

const BASE: ServeOptions = { listen: 'tcp://127.0.0.1:0', handler: {} };
const MODULE = new URL('file:///handler.js');

const CHOOSE = (name: DriverName | 'auto'): DriverChoice => ({
  name: name === 'auto' ? 'epoll' : name,
  reason: 'a test',
});

const read = (options: Record<string, unknown> = {}) =>
  readSettings({ ...BASE, ...options } as ServeOptions, 1_024, CHOOSE);

describe('readSettings()', () => {
  it('fills in the defaults that api.ts tells', () => {
    const { onWarning, addresses, ...rest } = read();
    assert.equal(typeof onWarning, 'function');
    assert.equal(addresses.length, 1);
    assert.deepEqual(rest, {
      reactors: 1,
      reactor: {
        driver: { name: 'epoll', reason: 'a test' },
        connectionsMax: 1_024,
        refuseWhenMax: true,
        acceptBudget: 64,
        receiveBytes: 65_536,
        receiveBudget: 262_144,
        blockBytesMax: 268_435_456,
        guardMemory: process.env.MILLRACE_GUARD === '1',
        connection: {},
        datagram: {},
      },
      balance: 'round-robin',
      reusePort: false,
      cpus: [],
      blockedAfterMs: 1_000,
      replaceAfterMs: 0,
    });
  });

  it('takes one URL or several, and refuses none', () => {
    assert.equal(
      read({ listen: ['tcp://127.0.0.1:1', 'unix:///a', 'fd://3'] }).addresses.length,
      3,
    );
    for (const listen of [undefined, null, 5, [], {}, ['nonsense'], [5], '']) {
      assert.throws(() => read({ listen }), TypeError, String(listen));
    }
  });

  it('refuses what is no object, and options that there are not', () => {
    for (const wrong of [undefined, null, 'tcp://127.0.0.1:0']) {
      assert.throws(() => readSettings(wrong as unknown as ServeOptions, 1, CHOOSE), TypeError);
    }
    assert.throws(() => read({ idleTimeoutMS: 5 }), /Unknown option idleTimeoutMS/);
    assert.throws(() => read({ port: 80 }), TypeError);
  });

  it('keeps numbers within their bounds', () => {
    const bounds: [string, number, number][] = [
      ['connectionsMax', 1, 2 ** 21 - 2_048],
      ['acceptBudget', 1, 65_536],
      ['receiveBytes', 64, 16_777_216],
      ['receiveBudget', 1, 1_073_741_824],
    ];
    for (const [name, min, max] of bounds) {
      const settings = [min, max].map((value) => read({ [name]: value }).reactor);
      assert.deepEqual(
        settings.map((each) => each[name as 'acceptBudget']),
        [min, max],
      );
      for (const wrong of [min - 1, max + 1, 1.5, Number.NaN, '64', null]) {
        assert.throws(() => read({ [name]: wrong }), RangeError, `${name}: ${wrong}`);
      }
    }
    for (const name of ['blockedAfterMs', 'replaceAfterMs']) {
      assert.throws(() => read({ [name]: -1 }), RangeError);
    }
  });

  it('never has more connections than descriptors unless it is told to, nor more than a million', () => {
    assert.equal(readSettings(BASE, 100, CHOOSE).reactor.connectionsMax, 100);
    assert.equal(readSettings(BASE, 0x7fff_ffff, CHOOSE).reactor.connectionsMax, 1_048_576);
    assert.equal(
      readSettings({ ...BASE, connectionsMax: 200 }, 100, CHOOSE).reactor.connectionsMax,
      200,
    );
  });

  it('knows its words', () => {
    assert.equal(read({ whenConnectionsMax: 'wait' }).reactor.refuseWhenMax, false);
    for (const driver of ['epoll', 'uring'] as const) {
      assert.equal(read({ driver }).reactor.driver.name, driver);
    }
    for (const balance of [
      'round-robin',
      'least-connections',
      'source-hash',
      'descriptor-hash',
      'random',
      'power-of-two',
    ]) {
      assert.equal(read({ balance }).balance, balance);
    }
    for (const wrong of [
      { balance: 'fair' },
      { driver: 'kqueue' },
      { whenConnectionsMax: 'drop' },
    ]) {
      assert.throws(() => read(wrong), TypeError, JSON.stringify(wrong));
    }
  });

  it('allows several reactors for a module only', () => {
    assert.equal(read({ reactors: 'auto' }).reactors, 1);
    const { reactors } = read({ reactors: 'auto', handler: MODULE });
    assert.equal(reactors, Math.min(availableParallelism(), 256));
    assert.equal(read({ reactors: 256, handler: './handler.js' }).reactors, 256);
    assert.throws(() => read({ reactors: 2 }), /closure cannot cross threads/);
    for (const wrong of [0, -1, 1.5, 257, Number.NaN, '2', null]) {
      assert.throws(() => read({ reactors: wrong, handler: MODULE }), RangeError, String(wrong));
    }
  });

  it('guards onWarning: what it throws surfaces by itself, and stops nothing', async () => {
    const warnings: Error[] = [];
    const { onWarning } = read({
      onWarning(warning: Error) {
        warnings.push(warning);
        throw new Error('from the listener');
      },
    });
    const surfaced = new Promise<Error>((resolve) => {
      const others = process.listeners('uncaughtException');
      process.removeAllListeners('uncaughtException');
      process.once('uncaughtException', (error) => {
        for (const other of others) {
          process.on('uncaughtException', other);
        }
        resolve(error);
      });
    });
    onWarning(new Error('a warning'));
    assert.equal((await surfaced).message, 'from the listener');
    assert.deepEqual(
      warnings.map(({ message }) => message),
      ['a warning'],
    );
  });
});

describe('pickConnection()', () => {
  it('has the options of connections and listeners and nothing else, cloneable', () => {
    const connection = {
      idleTimeoutMs: 5,
      keepAlive: { idleSeconds: 1, intervalSeconds: 2, count: 3 },
    };
    const listener = { backlog: 7, mode: 0o600 };
    const options = {
      ...BASE,
      ...connection,
      ...listener,
      reactors: 1,
      signal: AbortSignal.abort(),
    };
    const picked = pickConnection(options);
    assert.deepEqual(picked, { ...connection, ...listener });
    assert.deepEqual(structuredClone(picked), picked);
  });
});

it('isModule() tells modules from handlers', () => {
  assert.deepEqual([isModule({}), isModule('./a.js'), isModule(MODULE)], [false, true, true]);
});
