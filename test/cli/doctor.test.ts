/** cli/doctor: runs here, and tells of this machine. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Finding } from '../../src/cli/finding.js';
import { runCommand, SpawnedProgram } from '../support/spawned-program.js';

test('every line has a level, and the last one says that it can serve', async (t) => {
  const { code, stdout, stderr } = await runCommand(t, ['doctor']);
  const lines = stdout.trimEnd().split('\n');
  for (const line of lines.slice(0, -1)) {
    assert.match(line, /^(ok|note|warn) {2,}\S|^ {6}(why: |do: {2})\S/);
  }
  assert.match(lines.at(-1)!, /^millrace can serve here/);
  assert.match(stdout, /^ok {4}driver epoll /m);
  assert.match(stdout, /^ok {4}echo through millrace .* bytes over loopback TCP and back in /m);
  assert.match(stdout, /descriptors \(RLIMIT_NOFILE\)/);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('it names the OpenSSL that TLS would use, or what is missing', async (t) => {
  const { stdout } = await runCommand(t, ['doctor']);
  assert.match(stdout, /^ok {4}OpenSSL, for TLS +OpenSSL 3\.\S+ .*, that node exports$/m);
  const without = { ...process.env, MILLRACE_OPENSSL: '/nowhere/libssl.so' };
  const doctor = new SpawnedProgram(t, process.execPath, ['dist/cli/main.js', 'doctor'], {
    env: without,
  });
  const { code, stdout: told } = await doctor.ended();
  assert.match(told, /^note {2}OpenSSL, for TLS +.*\/nowhere\/libssl\.so lacks it/m);
  assert.match(told, /^ {6}do: {2}take Node's own builds/m);
  assert.equal(code, 0);
});

test('--json has the same findings as data', async (t) => {
  const { code, stdout } = await runCommand(t, ['doctor', '--json']);
  const report = JSON.parse(stdout) as { canServe: boolean; findings: Finding[] };
  assert.equal(report.canServe, true);
  assert.equal(code, 0);
  for (const { name, level, value, why } of report.findings) {
    assert.ok(['ok', 'note', 'warn'].includes(level), name);
    assert.notEqual(value, '');
    assert.notEqual(why, '');
  }
});

test('without the FFI package it says so, and how to get it, and exits with 1', async (t) => {
  // A loader that does not find the package, as after an installation without optional dependencies.
  const source = `import Module from 'node:module';
    const resolve = Module._resolveFilename;
    Module._resolveFilename = (name, ...rest) => {
      if (name === 'koffi') throw new Error('Cannot find the native Koffi module');
      return resolve(name, ...rest);
    };`;
  const register = `data:text/javascript,${encodeURIComponent(source)}`;
  const args = ['--import', register, 'dist/cli/main.js'];
  const doctor = new SpawnedProgram(t, process.execPath, [...args, 'doctor'], {});
  const { code, stdout, stderr } = await doctor.ended();
  assert.match(stdout, /^fail {2}FFI \(koffi\) +Cannot find the native Koffi module/m);
  assert.match(stdout, /^ {6}do: {2}npm install --include=optional koffi/m);
  assert.match(stdout, /^millrace cannot serve here: FFI \(koffi\)\n/m);
  assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
  const echo = new SpawnedProgram(t, process.execPath, [...args, 'echo'], {});
  const failed = await echo.ended();
  assert.match(failed.stderr, /^millrace: [^\n]*Koffi[^\n]*\n$/);
  assert.equal(failed.code, 1);
});
