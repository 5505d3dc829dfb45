/** tools/setup.mjs: which hosts it takes, and what it tells the others. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

interface Host {
  readonly version?: string;
  readonly platform?: string;
  readonly arch?: string;
}

// The tools are plain JavaScript and not compiled; this file runs from .build/test/tools.
const setup = new URL('../../../tools/setup.mjs', import.meta.url);
const { checkHost }: { checkHost(host?: Host): void } = await import(setup.href);

test('this host, and Linux on both processors with any Node since 20.19, is supported', () => {
  checkHost();
  for (const version of ['20.19.0', '20.20.2', '22.0.0', '26.10.0', '100.0.0']) {
    for (const arch of ['x64', 'arm64']) checkHost({ version, platform: 'linux', arch });
  }
});

test('an older Node is named, with the one that is needed', () => {
  for (const version of ['18.20.8', '20.18.3', '9.11.2']) {
    assert.throws(() => checkHost({ version }), /Node [\d.]+ is too old\..* Node 20\.19 or later/);
  }
});

test('another system or processor is told what is supported and what to do', () => {
  assert.throws(() => checkHost({ platform: 'win32' }), /win32.*Linux on x64 and arm64.*WSL 2/);
  assert.throws(() => checkHost({ platform: 'darwin' }), /darwin.*Linux on x64.*container/);
  assert.throws(() => checkHost({ arch: 's390x' }), /s390x processors.*Linux on x64 and arm64/);
});
