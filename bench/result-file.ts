/** The file that a run leaves behind: when, by what command, and whatever was measured. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { RESULTS_DIRECTORY, ROOT_DIRECTORY } from './paths.js';

/**
 * Writes `json`, or bench/results/DATE-name.json when none was named, and returns its path; 'none' writes nothing.
 */
export function writeResultFile(
  name: string,
  json: string | undefined,
  content: object,
): string | undefined {
  if (json === 'none') return undefined;
  const date = new Date().toISOString();
  const minute = date.slice(0, 16).replace('T', '-').replace(':', '');
  const path = json ?? join(RESULTS_DIRECTORY, `${minute}-${name}.json`);
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
  mkdirSync(dirname(path), { recursive: true });
  const text = JSON.stringify({ date, command, ...content }, null, 1);
  // Paths of this machine are nobody's business.
  writeFileSync(path, `${text.replaceAll(`${ROOT_DIRECTORY}/`, '')}\n`);
  return path;
}
