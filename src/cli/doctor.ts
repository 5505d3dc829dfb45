/** `millrace doctor`: can this machine serve, how much, and what would help. */

import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

import { firstSentence, UsageError } from './failure.js';
import { type Finding, formatFindings } from './finding.js';
import { containerHints, examineSurroundings } from './surroundings.js';
import { examineLimits } from './system-limits.js';
import type { Terminal } from './terminal.js';
import { tryAll } from './trials.js';

/** Resolves with the exit code: 0 if millrace can serve here. */
export async function doctor(args: readonly string[], terminal: Terminal): Promise<number> {
  const { json } = parse(args);
  const environment = process.env;
  const machine = { cpus: availableParallelism(), memoryBytes: totalmem(), environment };
  const findings = [
    ...(await tryAll(readFile)),
    ...examineLimits(readFile, containerHints(readFile, environment).length > 0),
    // Elsewhere there is nothing that could be read, and nothing to be done about it.
    ...(process.platform === 'linux' ? examineSurroundings(readFile, machine) : []),
  ];
  const failed = findings.filter(({ level }) => level === 'fail');
  const canServe = failed.length === 0;
  terminal.print(
    json
      ? JSON.stringify({ canServe, findings }, undefined, 2)
      : `${formatFindings(findings)}\n${conclude(findings, failed)}`,
  );
  return canServe ? 0 : 1;
}

function parse(args: readonly string[]): { json: boolean } {
  try {
    const { values } = parseArgs({ args: [...args], options: { json: { type: 'boolean' } } });
    return { json: values.json === true };
  } catch (error) {
    throw new UsageError(firstSentence((error as Error).message), 'doctor');
  }
}

function conclude(findings: readonly Finding[], failed: readonly Finding[]): string {
  if (failed.length > 0) {
    return `millrace cannot serve here: ${failed.map(({ name }) => name).join(', ')}`;
  }
  const count = findings.filter(({ level }) => level !== 'ok').length;
  return count === 0
    ? 'millrace can serve here'
    : `millrace can serve here; ${count} ${count === 1 ? 'line is' : 'lines are'} worth a look`;
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
