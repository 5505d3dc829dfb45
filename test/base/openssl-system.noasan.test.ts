/**
 * The system's OpenSSL beside node's own: loaded with its symbols bound to itself, which AddressSanitizer does not take
 * (RTLD_DEEPBIND), hence a file of its own.
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { it } from 'node:test';

const MODULE = JSON.stringify(new URL('../../src/base/openssl.js', import.meta.url).href);

/** Runs a script that has `loadOpenSsl`, with a choice of the library. */
function inProcess(choice: string, script: string): string {
  const code = `import(${MODULE}).then(({ loadOpenSsl }) => { ${script} })`;
  const env = { ...process.env, MILLRACE_OPENSSL: choice };
  return execFileSync(process.execPath, ['-e', code], { env, encoding: 'utf8' }).trim();
}

/** Which file, as the kernel maps it, a function lies in. */
const WHERE = `
  const { calls, version, origin } = loadOpenSsl();
  const maps = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
  console.log(JSON.stringify({ version, origin, libssl: maps.includes('libssl.so') }));
`;

it('the system’s library serves where it is asked for, bound to itself', () => {
  const found = JSON.parse(inProcess('system', WHERE)) as { version: string; origin: string };
  assert.equal(found.origin, 'libssl.so.3');
  // Its own version, which need not be node's: mixed, the two would be taken for one another.
  assert.equal(found.version.split(' ')[1], systemVersion());
});

function systemVersion(): string {
  return execFileSync('openssl', ['version'], { encoding: 'utf8' }).match(
    /Library: OpenSSL (\S+)/,
  )![1]!;
}

it('where there is none it says what was tried, by its code', () => {
  const script = `try { loadOpenSsl(); } catch ({ code, message }) { console.log(code, message); }`;
  const text = inProcess('/nowhere/libssl.so', script);
  assert.match(text, /^ERR_TLS_OPENSSL TLS needs OpenSSL 3, .*\/nowhere\/libssl\.so lacks it/);
  assert.match(inProcess('libc.so.6', script), /ERR_TLS_OPENSSL/);
});
