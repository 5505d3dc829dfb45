/** Numbers on the command line, checked. Each throws a `RangeError` that names the option. */

export function integer(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${option}: expected a whole number from ${min} to ${max}, got ${text}`);
  }
  return value;
}

export function seconds(option: string, text: string, min: number): number {
  const value = Number(text);
  if (!(value >= min && value <= 3_600)) {
    throw new RangeError(`${option}: expected seconds from ${min} to 3600, got ${text}`);
  }
  return value;
}
