/** Socket options of connections: those of the profile, and warnings for what the system refuses. */

import assert from 'node:assert/strict';
import { afterEach, it } from 'node:test';

import { ENOPROTOOPT } from '../../src/base/errno.js';
import { AF_INET, AF_INET6, AF_UNIX, SO_RCVBUF, SO_SNDBUF } from '../../src/base/linux.js';
import { applyProfile, compiledFor } from '../../src/connection/descriptor-options.js';
import { Profile } from '../../src/connection/profile.js';
import type { ReactorState } from '../../src/connection/reactor-state.js';
import type { SystemError } from '../../src/errors.js';
import { LinuxRig } from '../support/reactor-rig.js';

let rig: LinuxRig | undefined;

afterEach(async () => {
  await rig?.close();
  rig = undefined;
});

it('a profile is encoded once for each family', () => {
  const profile = new Profile({}, { sendBufferBytes: 5_000 });
  const other = new Profile({}, { sendBufferBytes: 5_000 });
  const compiled = compiledFor(profile, AF_INET);
  assert.equal(compiledFor(profile, AF_INET), compiled);
  assert.equal(compiledFor(profile, AF_INET6), compiled);
  assert.notEqual(compiledFor(profile, AF_UNIX), compiled);
  assert.notEqual(compiledFor(other, AF_INET), compiled);
});

it('accepted connections have the options of their listener', async () => {
  const keepAlive = { idleSeconds: 11, intervalSeconds: 12, count: 3 };
  rig = LinuxRig.open({}, { noDelay: false, keepAlive, userTimeoutMs: 4_321, lingerSeconds: 7 });
  const { connection } = await rig.connect();
  assert.equal(connection.getOption('noDelay'), false);
  assert.deepEqual(connection.getOption('keepAlive'), keepAlive);
  assert.equal(connection.getOption('userTimeoutMs'), 4_321);
  assert.equal(connection.getOption('lingerSeconds'), 7);
  connection.setOption('lingerSeconds', null);
  assert.deepEqual(rig.warnings, []);
});

it('noDelay is on by default, and costs a Unix socket nothing', async () => {
  rig = LinuxRig.open({});
  const { connection } = await rig.connect();
  assert.equal(connection.getOption('noDelay'), true);
  assert.equal(compiledFor(rig.profile, AF_UNIX).length, 0);
});

it('an option that the system refuses is a warning, and the others are set', () => {
  const set: number[] = [];
  const warnings: unknown[] = [];
  const state = {
    driver: {
      setOption(_slot: number, _level: number, name: number) {
        set.push(name);
        return set.length === 1 ? -ENOPROTOOPT : 0;
      },
    },
    warn: (error: unknown) => warnings.push(error),
  } as unknown as ReactorState;
  const profile = new Profile({}, { sendBufferBytes: 5_000, receiveBufferBytes: 6_000 });
  applyProfile(state, 1, profile, AF_UNIX);
  assert.deepEqual(set, [SO_SNDBUF, SO_RCVBUF]);
  // TCP connections have inherited all of it: nothing is set.
  applyProfile(state, 1, profile, AF_INET);
  assert.equal(set.length, 2);
  const codes = warnings.map((warning) => (warning as SystemError).code);
  assert.deepEqual(codes, ['ENOPROTOOPT']);
});
