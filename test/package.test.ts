/** The package as it is published, and as programs elsewhere load it. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Tests are compiled to .build/test. */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Manifest {
  readonly name: string;
  readonly type: string;
  readonly types: string;
  readonly bin: Record<string, string>;
  readonly exports: Record<string, string | Record<string, string>>;
  readonly engines: Record<string, string>;
  readonly scripts: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly [other: string]: unknown;
}

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

/** A folder of a program that has the package installed. */
let program: string;

before(() => {
  program = mkdtempSync(join(tmpdir(), 'millrace-package-'));
  mkdirSync(join(program, 'node_modules'));
  symlinkSync(ROOT, join(program, 'node_modules', manifest.name));
});
after(() => rmSync(program, { recursive: true }));

/** Runs a file of the program; answers what it printed. */
function run(name: string, code: string): string {
  writeFileSync(join(program, name), code);
  const end = spawnSync(process.execPath, [name], { cwd: program, encoding: 'utf8' });
  assert.equal(end.status, 0, end.stderr);
  return end.stdout.trim();
}

describe('package.json', () => {
  it('names files that exist', () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    );
    for (const path of [...targets, manifest.types, ...Object.values(manifest.bin)]) {
      assert.ok(existsSync(join(ROOT, path)), path);
    }
    const main = readFileSync(join(ROOT, manifest.bin.millrace), 'utf8');
    assert.ok(main.startsWith('#!/usr/bin/env node\n'));
  });

  it('depends on koffi alone, in one version', () => {
    assert.deepEqual(Object.keys(manifest.dependencies), ['koffi']);
    assert.match(manifest.dependencies.koffi, /^\d+\.\d+\.\d+$/);
    for (const kind of ['optionalDependencies', 'bundleDependencies']) {
      assert.equal(manifest[kind], undefined, kind);
    }
    // What some programs use beside it is never installed because of it.
    const peers = Object.keys(manifest.peerDependencies as object);
    const meta = manifest.peerDependenciesMeta as Record<string, { optional?: boolean }>;
    assert.deepEqual(Object.keys(meta).sort(), peers.sort());
    for (const peer of peers) {
      assert.equal(meta[peer]?.optional, true, peer);
    }
  });

  it('runs nothing when it is installed', () => {
    const names = [
      'preinstall',
      'install',
      'postinstall',
      'prepublish',
      'preprepare',
      'prepare',
      'postprepare',
    ];
    for (const name of names) {
      assert.equal(manifest.scripts[name], undefined, name);
    }
    assert.ok(!existsSync(join(ROOT, 'binding.gyp')), 'npm would compile');
  });
});

describe('the lock file', () => {
  it('has no host, and the versions of package.json', () => {
    const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
    const { packages } = JSON.parse(text) as { packages: Record<string, { version: string }> };
    const withoutFunding = JSON.stringify(packages, (name, value: unknown) =>
      name === 'funding' ? undefined : value,
    );
    assert.doesNotMatch(withoutFunding, /"resolved"|:\/\//);
    assert.equal(packages['node_modules/koffi'].version, manifest.dependencies.koffi);
  });
});

describe('npm pack', () => {
  interface Packed {
    readonly files: readonly { readonly path: string }[];
  }
  let paths: string[];

  before(() => {
    const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: ROOT,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, npm_config_update_notifier: 'false' },
    });
    const [{ files }] = JSON.parse(output) as Packed[];
    paths = files.map(({ path }) => path);
  });

  it('takes what programs need, and nothing of the workshop', () => {
    const needed = [
      'package.json',
      'README.md',
      'LICENSE',
      'dist/index.js',
      'dist/index.d.ts',
      'dist/cli/main.js',
      'dist/engine/worker-main.js',
    ];
    for (const path of needed) {
      assert.ok(paths.includes(path), path);
    }
    const allowed = /^(dist|src)\/|^(package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md)$/;
    assert.deepEqual(
      paths.filter((path) => !allowed.test(path)),
      [],
    );
    assert.deepEqual(
      paths.filter((path) => /\.test\.|\.tsbuildinfo$|\.log$/.test(path)),
      [],
    );
  });

  it('has no path of the machine that built it', () => {
    const machine = new RegExp(
      `${ROOT.replace(/[.*+?^$()|[\]\\]/g, '\\$&')}|/home/\\w|/Users/\\w|/root/`,
    );
    for (const path of paths) {
      assert.doesNotMatch(readFileSync(join(ROOT, path), 'latin1'), machine, path);
    }
  });

  it('has the source of each file that a source map names', () => {
    for (const path of paths.filter((each) => each.endsWith('.map'))) {
      const { sources } = JSON.parse(readFileSync(join(ROOT, path), 'utf8')) as {
        sources: string[];
      };
      for (const source of sources) {
        const target = new URL(source, `file:///${path}`).pathname.slice(1);
        assert.ok(paths.includes(target), `${path} names ${target}`);
      }
    }
  });
});

describe('a program elsewhere', () => {
  const NAMES =
    'MillraceError SystemError adopt closeOnSignals datagram dial onDiagnostic remote serve';

  it('imports the package by its name', () => {
    const code = "import * as all from 'millrace'; console.log(Object.keys(all).sort().join(' '));";
    assert.equal(run('program.mjs', code), NAMES);
  });

  it('requires it from CommonJS', (t) => {
    if (process.features.require_module !== true) {
      t.diagnostic(`Node ${process.version} cannot require modules`);
      return;
    }
    const code =
      "console.log(Object.keys(require('millrace')).filter((name) => name !== '__esModule').sort().join(' '));";
    assert.equal(run('program.cjs', code), NAMES);
  });

  it('serves and dials with it', () => {
    const code = `import { dial, serve } from 'millrace';
      const handler = { onOpen: (c) => void c.write('hello') || 'close' };
      const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
      for await (const chunk of await dial(server.addresses[0])) console.log(String(chunk));
      await server.close();`;
    assert.equal(run('serve.mjs', code), 'hello');
  });

  it('sees the manifest and nothing else of the inside', () => {
    const code = `import { createRequire } from 'node:module';
      console.log(createRequire(import.meta.url)('millrace/package.json').name);
      await import('millrace/dist/index.js').catch(({ code }) => console.log(code));`;
    assert.equal(run('inside.mjs', code), 'millrace\nERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it('compiles against its types', () => {
    writeFileSync(
      join(program, 'program.ts'),
      `import { type Connection, dial, type Handler, serve, SystemError, type WriteResult } from 'millrace';
       const handler: Handler = { onData: (c, bytes) => void c.write(bytes) };
       const server = await serve({ listen: 'tcp://127.0.0.1:0', handler });
       const connection: Connection = await dial(server.addresses[0]!);
       const result: WriteResult = connection.write('hello');
       // @ts-expect-error There is no such result.
       if (result === 'sended') throw new SystemError('send', 1);
       await server.close();`,
    );
    const options = {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      noEmit: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      types: ['node'],
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    writeFileSync(join(program, 'package.json'), '{ "type": "module" }');
    writeFileSync(
      join(program, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['program.ts'] }),
    );
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
    const end = spawnSync(process.execPath, [compiler, '-p', program], { encoding: 'utf8' });
    assert.equal(end.stdout, '');
    assert.equal(end.status, 0);
  });
});
