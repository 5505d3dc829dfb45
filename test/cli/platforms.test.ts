/** Other systems, as far as a process can be told that it runs on one: a clear error, and a doctor who explains. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import type { Finding } from '../../src/cli/finding.js';
import { SpawnedProgram } from '../support/spawned-program.js';

/** Arguments of node that make the process believe to be elsewhere. */
function on(platform: string, arch: string): string[] {
  const source = `for (const [name, value] of ${JSON.stringify(Object.entries({ platform, arch }))})
    Object.defineProperty(process, name, { value });`;
  return ['--import', `data:text/javascript,${encodeURIComponent(source)}`];
}

for (const [platform, arch, message, remedy] of [
  ['win32', 'x64', 'millrace runs on Linux (epoll, io_uring); this is win32', 'WSL 2'],
  ['darwin', 'arm64', 'this is darwin', 'a Linux container'],
  ['linux', 'riscv64', 'this is riscv64', 'x64 or arm64'],
] as const) {
  describe(`${platform} ${arch}`, () => {
    it('doctor says why not, what to do, nothing that makes no sense there, and exits with 1', async (t) => {
      const args = [...on(platform, arch), 'dist/cli/main.js', 'doctor'];
      const { code, stdout, stderr } = await new SpawnedProgram(
        t,
        process.execPath,
        args,
        {},
      ).ended();
      assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
      assert.match(stdout, new RegExp(`^fail {2}platform +${platform} ${arch}`, 'm'));
      assert.ok(stdout.includes(message), stdout);
      assert.match(stdout, new RegExp(`^ {6}do: {2}use .*${remedy}`, 'm'));
      assert.match(stdout, /^millrace cannot serve here: platform$/m);
      assert.doesNotMatch(stdout, /driver epoll|echo through/);
      if (platform !== 'linux') {
        assert.doesNotMatch(stdout, /seccomp|container {2}|libc|musl/);
      }
      const json = new SpawnedProgram(t, process.execPath, [...args, '--json'], {});
      const report = JSON.parse((await json.ended()).stdout) as {
        canServe: boolean;
        findings: Finding[];
      };
      assert.equal(report.canServe, false);
      assert.equal(report.findings[0]!.level, 'fail');
    });

    it('the package loads; serve and dial reject with ERR_PLATFORM, and a command says it in a line', async (t) => {
      const script = `
        import { dial, serve } from 'millrace';
        for (const attempt of [
          () => serve({ listen: 'tcp://127.0.0.1:0', handler: {} }),
          () => serve({ listen: 'tcp://127.0.0.1:0', handler: new URL('file:///none.js'), reactors: 2 }),
          () => dial('tcp://127.0.0.1:9'),
        ]) await attempt().catch(({ name, code, message }) => console.log(name, code, message));
      `;
      const args = [...on(platform, arch), '--input-type=module', '--eval', script];
      const { code, stdout } = await new SpawnedProgram(t, process.execPath, args, {}).ended();
      assert.equal(code, 0);
      const lines = stdout.trimEnd().split('\n');
      assert.equal(lines.length, 3);
      for (const line of lines) {
        assert.ok(line.startsWith('MillraceError ERR_PLATFORM millrace runs on '), line);
        assert.ok(line.includes(message.slice(message.indexOf('this is'))), line);
        assert.match(line, /`millrace doctor` tells more$/);
      }
      const echo = new SpawnedProgram(
        t,
        process.execPath,
        [...on(platform, arch), 'dist/cli/main.js', 'echo'],
        {},
      );
      const ending = await echo.ended();
      assert.equal(ending.code, 1);
      assert.match(ending.stderr, /^millrace: millrace runs on [^\n]*\n$/);
    });
  });
}
