/** Handlers and options, checked and with their defaults. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { ConnectionOptions, Handler } from '../../src/api.js';
import {
  checkHandler,
  count,
  Profile,
  WHEN_FULL_CLOSE,
  WHEN_FULL_PAUSE_SOURCE,
  WHEN_FULL_REFUSE,
} from '../../src/connection/profile.js';

/** The documented defaults (src/api.ts). */
const DEFAULTS = {
  allowHalfOpen: false,
  halfOpenTimeoutMs: 30_000,
  idleTimeoutMs: 0,
  readTimeoutMs: 0,
  writeTimeoutMs: 30_000,
  lingerTimeoutMs: 5_000,
  highWaterMark: 65_536,
  lowWaterMark: 16_384,
  writeQueueMax: 1_048_576,
  readQueueMax: 1_048_576,
};

describe('a profile', () => {
  it('has the documented defaults, and what it was given instead', () => {
    const profile = new Profile({}, {});
    for (const [name, value] of Object.entries(DEFAULTS)) {
      assert.equal(profile[name as keyof typeof DEFAULTS], value, name);
      if (typeof value === 'number') {
        const given = new Profile({}, { highWaterMark: 100_000, lowWaterMark: 0, [name]: 12_345 });
        assert.equal(given[name as keyof typeof DEFAULTS], 12_345, name);
      }
    }
    assert.equal(new Profile({}, { allowHalfOpen: true }).allowHalfOpen, true);
  });

  it('has default water marks that fit a small queue', () => {
    const { highWaterMark, lowWaterMark } = new Profile({}, { writeQueueMax: 1_000 });
    assert.deepEqual([highWaterMark, lowWaterMark], [1_000, 1_000]);
    assert.equal(new Profile({}, { highWaterMark: 10 }).lowWaterMark, 10);
  });

  it('refuses numbers that are none, and marks in the wrong order', () => {
    const names = Object.keys(DEFAULTS).filter((name) => name !== 'allowHalfOpen');
    for (const name of names) {
      for (const wrong of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32, '1', null]) {
        const options = { [name]: wrong } as ConnectionOptions;
        assert.throws(() => new Profile({}, options), RangeError, `${name}: ${wrong}`);
      }
    }
    assert.throws(() => new Profile({}, { lowWaterMark: 2, highWaterMark: 1 }), RangeError);
  });

  it('refuses socket options that are wrong, before any connection has them', () => {
    assert.throws(() => new Profile({}, { noDelay: 'yes' as unknown as boolean }), TypeError);
    assert.throws(() => new Profile({}, { lingerSeconds: -1 }), RangeError);
    assert.throws(() => new Profile({}, { keepAlive: {} as unknown as boolean }), TypeError);
  });

  it('knows three things to do when a queue is full', () => {
    const answers = (['refuse', 'close', 'pause-source', undefined] as const).map(
      (whenFull) => new Profile({}, whenFull === undefined ? {} : { whenFull }).whenFull,
    );
    const { refuse, close, pause } = {
      refuse: WHEN_FULL_REFUSE,
      close: WHEN_FULL_CLOSE,
      pause: WHEN_FULL_PAUSE_SOURCE,
    };
    assert.deepEqual(answers, [refuse, close, pause, refuse]);
    for (const whenFull of ['drop', '', 'toString', '__proto__', 'constructor']) {
      assert.throws(() => new Profile({}, { whenFull: whenFull as 'refuse' }), TypeError, whenFull);
    }
  });

  it('takes the hooks out of any handler, inherited ones too', () => {
    class Echo implements Handler {
      onData(): void {}
    }
    const handler = new Echo();
    const profile = new Profile(handler, {});
    assert.deepEqual(
      [profile.handler, profile.onData, profile.isPull],
      [handler, handler.onData, false],
    );
    assert.equal(new Profile({ onReadable() {} }, {}).isPull, true);
  });
});

describe('checkHandler()', () => {
  it('refuses what is no object with functions as hooks, naming the hook', () => {
    for (const wrong of [undefined, null, 5, 'handler', () => {}]) {
      assert.throws(() => checkHandler(wrong as Handler), TypeError, String(wrong));
    }
    for (const name of [
      'onBoot',
      'onShutdown',
      'onOpen',
      'onData',
      'onReadable',
      'onDrain',
      'onEnd',
      'onClose',
      'onTick',
      'onBeforeWrite',
      'onMessage',
    ]) {
      assert.throws(() => checkHandler({ [name]: 5 } as Handler), {
        name: 'TypeError',
        message: `Expected handler.${name} to be a function, got number`,
      });
      checkHandler({ [name]: undefined } as Handler);
    }
  });

  it('refuses push and pull at once', () => {
    assert.throws(() => checkHandler({ onData() {}, onReadable() {} }), TypeError);
  });
});

describe('count()', () => {
  it('gives the fallback for what is not there, and only for that', () => {
    assert.equal(count({}, 'n', 7), 7);
    assert.equal(count({ n: undefined }, 'n', 7), 7);
    assert.equal(count({ n: 0 }, 'n', 7), 0);
    assert.equal(count({ n: 2 ** 32 - 1 }, 'n', 7), 2 ** 32 - 1);
    assert.throws(() => count({ n: null }, 'n', 7), /n to be an integer from 0/);
  });
});
