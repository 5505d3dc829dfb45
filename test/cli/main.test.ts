/** cli/main: the program as a whole, from outside: what it prints where, and its exit code. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { HELP } from '../../src/cli/help.js';
import { NetClient } from '../support/net-client.js';
import { COMMAND_LINE, ROOT, runCommand, startCommand } from '../support/spawned-program.js';

const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('the program is what package.json installs, and starts with its interpreter', () => {
  const { bin } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  assert.deepEqual(bin, { millrace: COMMAND_LINE });
  assert.ok(existsSync(`${ROOT}${COMMAND_LINE}`));
  assert.match(readFileSync(`${ROOT}${COMMAND_LINE}`, 'utf8'), /^#!\/usr\/bin\/env node\n/);
});

test('help is printed for the program and for each command', async (t) => {
  const cases: readonly (readonly [string[], string])[] = [
    [['--help'], HELP.millrace],
    [['-h'], HELP.millrace],
    [['help'], HELP.millrace],
    [['help', 'doctor'], HELP.doctor],
    [['echo', '--help'], HELP.echo],
    [['run', '-h'], HELP.run],
    [['echo', '--bogus', '--help'], HELP.echo],
  ];
  for (const [args, text] of cases) {
    const { code, stdout, stderr } = await runCommand(t, args);
    assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${text}\n`, stderr: '' });
  }
});

test('the version is that of the package', async (t) => {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'));
  const { code, stdout } = await runCommand(t, ['--version']);
  assert.deepEqual({ code, stdout }, { code: 0, stdout: `${version}\n` });
});

test('without a command the overview goes to the error output, and the exit code is 2', async (t) => {
  const { code, stdout, stderr } = await runCommand(t, []);
  assert.deepEqual({ code, stdout, stderr }, { code: 2, stdout: '', stderr: `${HELP.millrace}\n` });
});

const WRONG_CALLS: readonly (readonly [string[], RegExp])[] = [
  [['frobnicate'], /no command frobnicate.*echo,.* run, demo, doctor.*try millrace --help/],
  [['--bogus'], /unknown option --bogus.*try millrace --help/],
  [['help', 'frobnicate'], /no command frobnicate/],
  [['echo', '--bogus'], /'--bogus'; try millrace echo --help/],
  [['echo', '--listen', 'tcp://127.0.0.1'], /the port is missing.*try millrace echo --help/],
  [['echo', 'extra'], /'extra'; try millrace echo --help/],
  [['run'], /which module.*try millrace run --help/],
  [['run', 'a.mjs', 'b.mjs'], /b\.mjs; try millrace run --help/],
  [['doctor', '--bogus'], /'--bogus'; try millrace doctor --help/],
];

for (const [args, expected] of WRONG_CALLS) {
  test(`millrace ${args.join(' ')}: one line, exit code 2`, async (t) => {
    const { code, stdout, stderr } = await runCommand(t, args);
    assert.match(stderr, /^millrace: [^\n]+\n$/);
    assert.match(stderr, expected);
    assert.deepEqual({ code, stdout }, { code: 2, stdout: '' });
  });
}

test('a port that is taken: one line, exit code 1, with one reactor and with two', async (t) => {
  const first = startCommand(t, ['echo', '--listen', 'tcp://127.0.0.1:0']);
  const [url] = await first.addresses();
  for (const reactors of ['1', '2']) {
    const args = ['echo', '--listen', url!, '--reactors', reactors];
    const { code, stdout, stderr } = await runCommand(t, args);
    assert.match(
      stderr,
      /^millrace: Cannot bind tcp:\/\/127\.0\.0\.1:\d+: [^\n]*EADDRINUSE[^\n]*\n$/,
    );
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  }
  const client = await NetClient.connect(t, url!);
  client.write('still there');
  await client.receives('still there');
});

test('a Unix socket that is taken stays; one that cannot be made is told', async (t) => {
  const path = join(folder, 'taken.sock');
  const first = startCommand(t, ['echo', '--listen', `unix://${path}`]);
  await first.addresses();
  const taken = await runCommand(t, ['echo', '--listen', `unix://${path}`]);
  assert.match(taken.stderr, /^millrace: Cannot bind unix:[^\n]+EADDRINUSE[^\n]+\n$/);
  assert.equal(taken.code, 1);
  const client = await NetClient.connect(t, `unix://${path}`);
  client.write('still there');
  await client.receives('still there');
  const missing = await runCommand(t, ['echo', '--listen', `unix://${folder}/no/such.sock`]);
  assert.match(missing.stderr, /^millrace: Cannot bind unix:[^\n]+ENOENT[^\n]*\n$/);
  assert.equal(missing.code, 1);
});

test('MILLRACE_DEBUG=1 adds the stack to an error', async (t) => {
  const args = ['echo', '--listen', `unix://${folder}/no/such.sock`];
  const { code, stderr } = await runCommand(t, args, { env: { MILLRACE_DEBUG: '1' } });
  assert.match(stderr, /ENOENT.*\n {4}at /s);
  assert.equal(code, 1);
});
