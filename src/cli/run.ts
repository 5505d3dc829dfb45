/** `millrace run MODULE`: serves with a handler module of the user's. */

import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { moduleUrl } from '../engine/load-handler.js';
import { CommandError, UsageError } from './failure.js';
import { readServeArguments } from './serve-flags.js';
import { serveUntilEnd } from './serve-until-end.js';
import type { Terminal } from './terminal.js';

const LISTEN_DEFAULT = ['tcp://127.0.0.1:9000'];

/** Resolves with the exit code when the server has ended. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const { options, isQuiet, positionals } = readServeArguments('run', args, LISTEN_DEFAULT);
  const [module, ...rest] = positionals;
  if (module === undefined) {
    throw new UsageError('which module? It is the path of a file that exports a handler', 'run');
  }
  if (rest.length > 0) {
    throw new UsageError(`one module is served at a time, and here is also ${rest[0]}`, 'run');
  }
  checkExists(module);
  return serveUntilEnd({ ...options, handler: module }, { terminal, isQuiet });
}

/** Before the import fails, with a message that is about us and not about the user's path. */
function checkExists(module: string): void {
  const url = moduleUrl(module);
  if (!url.startsWith('file:')) {
    return;
  }
  const path = fileURLToPath(url);
  let isFile: boolean;
  try {
    isFile = statSync(path).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CommandError(`there is no handler module ${module} (${code} for ${path})`);
  }
  if (!isFile) {
    throw new CommandError(`the handler module ${module} is not a file`);
  }
}
