/**
 * Failures as a user of the command line sees them: one line that says what went wrong and, where there is a usual
 * cure, what to do. The stack is shown only to who asks for it (MILLRACE_DEBUG=1).
 */

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { MillraceError, SystemError } from '../errors.js';
import type { CommandName } from './help.js';

/** The program was called wrongly: exit code 2. */
export class UsageError extends Error {
  /** Whose help to point to. */
  readonly command: CommandName | undefined;

  constructor(message: string, command?: CommandName) {
    super(message);
    this.name = 'UsageError';
    this.command = command;
  }
}

/** It was called rightly, and what the message says is in the way: exit code 1. */
export class CommandError extends Error {}

export function exitCodeOf(error: unknown): number {
  return error instanceof UsageError ? 2 : 1;
}

/** One line, without the program's name in front; with `debug`, the stack instead. */
export function describeFailure(thrown: unknown, debug: boolean): string {
  const error = thrown instanceof Error ? thrown : new Error(`Thrown: ${String(thrown)}`);
  if (debug) {
    return stackOf(error);
  }
  if (error instanceof UsageError) {
    const command = error.command === undefined ? 'millrace' : `millrace ${error.command}`;
    return `${oneLine(error.message)}; try ${command} --help`;
  }
  if (error instanceof SystemError) {
    return oneLine(error.message) + cureOf(error);
  }
  return isExpected(error) ? oneLine(error.message) : describeUnexpected(error);
}

/** A warning in one line: `TypeError: x is not a function (app/handler.mjs:12:5)`. */
export function describeWarning(error: Error): string {
  return isExpected(error) ? oneLine(error.message) : describeUnexpected(error);
}

/** The text without line breaks and other control characters, which could change what a terminal shows. */
export function oneLine(text: string): string {
  return text.replace(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
}

/** Node adds to "Unknown option '--x'." how to pass it as a positional, which nobody wants here. */
export function firstSentence(text: string): string {
  return text.split(/\.(?:\s|$)/)[0].replace(/ This command does not take.*$/, '');
}

/** Ours: the message says all. An Error that crossed threads keeps its name only. */
function isExpected(error: Error): boolean {
  return (
    error instanceof MillraceError || error instanceof SystemError || error instanceof CommandError
  );
}

/** An error of the handler's, or a defect of ours: with its kind, and the place where it was made. */
function describeUnexpected(error: Error): string {
  const message = oneLine(error.message);
  const text = error.name === 'Error' ? message : `${error.name}: ${message}`;
  const place = placeOf(error.stack ?? '');
  return place === undefined ? text : `${text} (${place})`;
}

/** File, line and column of the first frame that is not Node's own. */
function placeOf(stack: string): string | undefined {
  for (const line of stack.split('\n')) {
    const frame = /^\s+at (?:.*\()?((?:file:\/\/)?\/[^()]*):(\d+:\d+)\)?$/.exec(line);
    if (frame !== null) {
      const path = frame[1].startsWith('file:') ? fileURLToPath(frame[1]) : frame[1];
      const near = relative(process.cwd(), path);
      return `${near.startsWith('..') ? path : near}:${frame[2]}`;
    }
  }
  return undefined;
}

function stackOf(error: Error): string {
  const stack = error.stack ?? error.message;
  return error.cause instanceof Error ? `${stack}\ncaused by: ${stackOf(error.cause)}` : stack;
}

/** What usually helps, by the system's code. */
function cureOf({ code, syscall, address = '' }: SystemError): string {
  if (syscall !== 'bind' && syscall !== 'listen') {
    return '';
  }
  const isUnix = address.startsWith('unix');
  switch (code) {
    case 'EADDRINUSE':
      return isUnix
        ? '; another program listens there: end it, or choose another path with --listen'
        : '; end the program that listens there (`ss -ltnp` names it), or choose another port with --listen';
    case 'EACCES':
      return isUnix
        ? '; choose a folder that this user may write to'
        : '; ports below 1024 need the capability CAP_NET_BIND_SERVICE: choose one from 1024 on';
    case 'EADDRNOTAVAIL':
      return '; `ip address` lists them';
    default:
      return '';
  }
}
