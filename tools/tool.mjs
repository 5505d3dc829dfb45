/**
 * What all tools share: the root of the checkout, the frame that turns a failure into one line, and running a compiled
 * program. Nothing here may import a package: the tools run before anything is installed.
 */
// @ts-check

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** The checkout, as an absolute path. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** A failure whose message is all that the user needs: printed without a stack. */
export class ToolError extends Error {}

/**
 * The frame of a tool: runs `main` in the root of the checkout; a ToolError becomes one line and exit code 1.
 *
 * @param {() => void | Promise<void>} main
 */
export async function runTool(main) {
  try {
    process.chdir(ROOT);
    await main();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    note(error.message);
    process.exitCode = 1;
  }
}

/**
 * Runs a compiled program in this process, as if Node had been started with it: signals and the exit code are its own.
 * A child process would get a terminal's Ctrl-C twice, from the terminal and from us.
 *
 * @param {string} path From the root.
 * @param {readonly string[]} args
 */
export async function runProgram(path, args) {
  const file = join(ROOT, path);
  if (!existsSync(file))
    throw new ToolError(`There is no ${path}: this checkout lacks its source.`);
  process.setSourceMapsEnabled(true);
  process.argv = [process.argv[0] ?? 'node', file, ...args];
  await import(pathToFileURL(file).href);
}

/**
 * One line of progress, on standard error so that the output of a tool can be piped.
 *
 * @param {string} message
 */
export function note(message) {
  console.error(`millrace: ${message}`);
}

/**
 * How a child process ended, in words.
 *
 * @param {{ status: number | null, signal: NodeJS.Signals | null }} child
 */
export function describeEnd({ status, signal }) {
  return signal === null ? `exit code ${status}` : `killed by ${signal}`;
}

/**
 * The files below a folder, as sorted paths from the root. None if there is no such folder.
 *
 * @param {string} folder From the root.
 * @returns {string[]}
 */
export function listFiles(folder) {
  if (!existsSync(join(ROOT, folder))) return [];
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}
