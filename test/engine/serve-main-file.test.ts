/** engine/serve: a program that is its own handler module, as the documentation says, on any number of reactors. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { NetClient } from '../support/net-client.js';
import { ROOT, SpawnedProgram } from '../support/spawned-program.js';

const PROGRAM = `
  import { isMainThread } from 'node:worker_threads';
  import { closeOnSignals, serve } from '${pathToFileURL(`${ROOT}dist/index.js`)}';
  export const handler = { onData(connection, bytes) { connection.write(bytes); } };
  if (isMainThread) {
    const server = await serve({
      listen: 'tcp://127.0.0.1:0',
      handler: new URL(import.meta.url),
      reactors: Number(process.argv[2]),
    });
    console.log('listening on ' + server.addresses);
    closeOnSignals(server);
  }
`;

const folder = mkdtempSync(join(tmpdir(), 'millrace-main-'));
writeFileSync(join(folder, 'program.mjs'), PROGRAM);
symlinkSync('program.mjs', join(folder, 'link.mjs'));
after(() => rmSync(folder, { recursive: true, force: true }));

for (const [name, reactors] of [
  ['program.mjs', '1'],
  ['program.mjs', '2'],
  ['link.mjs', '1'],
] as const) {
  test(`${name} serves itself while its top level waits for that, reactors: ${reactors}`, async (t) => {
    const args = [join(folder, name), reactors];
    const program = new SpawnedProgram(t, process.execPath, args, {});
    const [url] = await program.addresses();
    const client = await NetClient.connect(t, url!);
    client.write('hello');
    await client.receives('hello');
    client.socket.end();
    await client.closes();
    program.signal('SIGINT');
    const { code, stderr } = await program.ended();
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  });
}
