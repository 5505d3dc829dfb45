/**
 * What the main thread and a reactor's thread tell each other by postMessage: the control plane. Bytes and descriptors
 * go through the mailboxes.
 */

import type { ListenAddress } from '../base/datagram-address.js';
import { MillraceError, SystemError } from '../errors.js';
import type { ReactorSettings } from './settings.js';

/** workerData of a reactor's thread. */
export interface WorkerSetup {
  readonly index: number;
  readonly count: number;
  readonly handlerUrl: string;
  readonly data: unknown;
  readonly settings: ReactorSettings;
  readonly mailboxes: readonly SharedArrayBuffer[];
  readonly pending: SharedArrayBuffer;
  readonly wakeDescriptors: readonly number[];
  readonly stats: SharedArrayBuffer;
  readonly watch: SharedArrayBuffer;
  /** The main thread's eventfd, by which a thread that starts to work asks for the watchdog. */
  readonly watchDescriptor: number;
  readonly descriptors: SharedArrayBuffer;
  readonly regions: SharedArrayBuffer;
  readonly natives: SharedArrayBuffer;
  /** Addresses that this reactor listens on itself: with SO_REUSEPORT where others do, too. */
  readonly listen: readonly ListenAddress[];
  readonly cpu: number;
}

export type ToWorker =
  | { readonly type: 'drain'; readonly deadlineMs: number }
  | {
      readonly type: 'execute';
      readonly call: number;
      readonly task: string;
      readonly argument: unknown;
    };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly leakedBlocks: number }
  | { readonly type: 'failed'; readonly error: ErrorRecord }
  | { readonly type: 'warning'; readonly error: ErrorRecord }
  | { readonly type: 'shutdown' }
  | { readonly type: 'result'; readonly call: number; readonly value: unknown }
  | { readonly type: 'thrown'; readonly call: number; readonly error: ErrorRecord };

/** An error as it crosses threads: a structured clone would lose its code. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  readonly errno: number | undefined;
  readonly syscall: string | undefined;
  readonly address: string | undefined;
}

export function recordOf(thrown: unknown): ErrorRecord {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { name, message, stack, code, errno, syscall, address } = error as Error &
    Partial<SystemError>;
  return {
    name: plain(name) ?? 'Error',
    message: plain(message) ?? '',
    stack: plain(stack),
    code: plain(code),
    errno: plain(errno),
    syscall: plain(syscall),
    address: plain(address),
  };
}

/** Programs hang anything on their errors: what is no text and no number may not be cloneable, and is left out. */
function plain<Value>(value: Value): Value | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}

export function errorOf(record: ErrorRecord): Error {
  const { name, message, stack, code, errno, syscall, address } = record;
  let error: Error;
  if (syscall !== undefined && errno !== undefined) {
    error = new SystemError(syscall, errno, address);
  } else if (code !== undefined) {
    error = new MillraceError(code, message);
  } else {
    error = name === 'TypeError' ? new TypeError(message) : new Error(message);
  }
  error.message = message;
  error.name = name;
  if (stack !== undefined) {
    error.stack = stack;
  }
  return error;
}
