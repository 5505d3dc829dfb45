/** Checks of what programs give to the methods of a connection, over whichever transport. They throw TypeError. */

/** That it is bytes: strings have been seen to before. */
export function checkBytes(method: string, data: unknown): void {
  if (!(data instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot ${method}: expected a Uint8Array or a string, got ${typeName(data)}`,
    );
  }
}

export function checkCallback(method: string, callback: unknown): void {
  if (typeof callback !== 'function') {
    throw new TypeError(
      `Cannot ${method}: expected a function to call back, got ${typeName(callback)}`,
    );
  }
}

function typeName(value: unknown): string {
  return value === null
    ? 'null'
    : typeof value === 'object'
      ? value.constructor.name
      : typeof value;
}

export function checkTimeout(milliseconds: number): number {
  if (!Number.isInteger(milliseconds) || milliseconds < 0 || milliseconds > 0xffff_ffff) {
    throw new RangeError(
      `Expected a timeout of 0 to 4294967295 whole milliseconds, got ${String(milliseconds)}`,
    );
  }
  return milliseconds;
}
