/** What `millrace doctor` finds: one fact of the system, judged, with what to do about it. */

/** `fail`: millrace cannot serve. `warn`: it will be felt. `note`: it will be felt by large servers. */
export type Level = 'ok' | 'note' | 'warn' | 'fail';

export interface Finding {
  readonly name: string;
  readonly level: Level;
  /** What was found. */
  readonly value: string;
  /** What it is good for, or what follows from it. */
  readonly why: string;
  /** The command, or the setting, that changes it; none where nothing needs to be done. */
  readonly remedy?: string;
}

/** Where facts are read from; a test has files of its own. Undefined: there is no such file, or it cannot be read. */
export type ReadFile = (path: string) => string | undefined;

const LEVEL_COLUMNS = 6;
const NAME_COLUMNS = 30;

/** The findings as text, each on a line; what needs attention has a second one with the reason and the remedy. */
export function formatFindings(findings: readonly Finding[]): string {
  return findings.flatMap(linesOf).join('\n');
}

function linesOf({ name, level, value, why, remedy }: Finding): string[] {
  const head = `${level.padEnd(LEVEL_COLUMNS)}${name.padEnd(NAME_COLUMNS)}${value}`;
  const indent = ' '.repeat(LEVEL_COLUMNS);
  const lines = level === 'ok' ? [head] : [head, `${indent}why: ${why}`];
  return remedy === undefined ? lines : [...lines, `${indent}do:  ${remedy}`];
}
