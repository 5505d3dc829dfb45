/**
 * Handler modules: a module's default export, or its export `handler`, is the handler, or a function that makes one
 * from the server's `data`.
 */

import { realpathSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isMainThread } from 'node:worker_threads';

import type { Handler } from '../api.js';
import { checkHandler } from '../connection/profile.js';
import { MillraceError } from '../errors.js';

/** The module's URL: a path is relative to the working directory. */
export function moduleUrl(module: URL | string): string {
  if (module instanceof URL) {
    return module.href;
  }
  return /^(file|data|node):/.test(module) ? module : pathToFileURL(resolvePath(module)).href;
}

/**
 * Whether the module is the file that the program was started with. While that waits for `serve` at its top level, an
 * import of it in this thread would wait for it in turn: Node gives up with exit code 13.
 */
export function isMainFile(url: string): boolean {
  const path = process.argv[1];
  if (!isMainThread || path === undefined) {
    return false;
  }
  try {
    return pathToFileURL(realpathSync(path)).href === url;
  } catch {
    return false;
  }
}

export async function loadHandler(url: string, data: unknown): Promise<Handler> {
  let exports: { default?: unknown; handler?: unknown };
  try {
    exports = await import(url);
  } catch (error) {
    throw new MillraceError(
      'ERR_HANDLER_MODULE',
      `Cannot load the handler module ${url}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const exported = exports.default ?? exports.handler;
  if (exported === undefined) {
    throw new MillraceError(
      'ERR_HANDLER_MODULE',
      `The module ${url} exports no handler: expected a default export or one named handler`,
    );
  }
  const handler = typeof exported === 'function' ? await exported(data) : exported;
  checkHandler(handler as Handler);
  return handler as Handler;
}
