/**
 * Values of socket options, between the public face and the bytes of setsockopt and getsockopt, with the checks that
 * say what is wrong with a value. Called by `socket-options.ts`, which knows the options.
 */

import { LINGER_ON, LINGER_SECONDS, LINGER_SIZE } from '../base/layout.js';

export const INT_BYTES = 4;
export const INT_MAX = 0x7fff_ffff;
/** IFNAMSIZ, with the NUL. */
export const DEVICE_BYTES = 16;

/** An `int` in the machine's order, which is little-endian. */
export function encodeInteger(n: number): Uint8Array {
  const value = new Uint8Array(INT_BYTES);
  new DataView(value.buffer).setInt32(0, n, true);
  return value;
}

export function decodeInteger(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getInt32(0, true);
}

export function encodeFlag(option: string, value: unknown): Uint8Array {
  if (typeof value !== 'boolean') {
    throw new TypeError(`${option} is ${describeValue(value)}; expected true or false`);
  }
  return encodeInteger(value ? 1 : 0);
}

/** `struct linger`: seconds, or null for off. */
export function encodeLinger(option: string, value: unknown): Uint8Array {
  const seconds = value === null ? 0 : checkInteger(option, value, 0, INT_MAX, ' or null');
  const bytes = new Uint8Array(LINGER_SIZE);
  const view = new DataView(bytes.buffer);
  view.setInt32(LINGER_ON, value === null ? 0 : 1, true);
  view.setInt32(LINGER_SECONDS, seconds, true);
  return bytes;
}

export function decodeLinger(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getInt32(LINGER_ON, true) === 0 ? null : view.getInt32(LINGER_SECONDS, true);
}

/** The name with its NUL; the empty name alone takes the binding away. */
export function encodeDevice(option: string, value: unknown): Uint8Array {
  if (typeof value !== 'string') {
    throw new TypeError(`${option} is ${describeValue(value)}; expected the name of an interface`);
  }
  const bytes = Buffer.from(value);
  if (bytes.length >= DEVICE_BYTES) {
    throw new RangeError(
      `${option} is ${bytes.length} bytes long; expected at most ${DEVICE_BYTES - 1}`,
    );
  }
  if (/[\s/:\0]/.test(value)) {
    throw new TypeError(`${option} is ${describeValue(value)}; expected the name of an interface`);
  }
  const encoded = new Uint8Array(bytes.length + 1);
  encoded.set(bytes);
  return encoded;
}

/** The name up to its NUL, of the first `length` bytes. */
export function decodeDevice(value: Uint8Array, length: number): string {
  const text = Buffer.from(value.subarray(0, length)).toString();
  const nul = text.indexOf('\0');
  return nul < 0 ? text : text.slice(0, nul);
}

/** An integer from `min` to `max`, or TypeError or RangeError that names the option. */
export function checkInteger(
  option: string,
  value: unknown,
  min: number,
  max: number,
  others = '',
): number {
  const expected = `an integer from ${min} to ${max}${others}`;
  if (typeof value !== 'number') {
    throw new TypeError(`${option} is ${describeValue(value)}; expected ${expected}`);
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${option} is ${value}; expected ${expected}`);
  }
  return value;
}

/** A value for an error's message. */
export function describeValue(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
