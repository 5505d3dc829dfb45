/**
 * The trace of one world: every kernel call and every step, folded into a rolling hash, and if asked for the last
 * lines as text. Equal seeds must give equal hashes; where they do not, something outside of the world took part.
 */

export class SimTrace {
  #high = 0x243f6a88;
  #low = 0x85a308d3;
  #lines: string[] | undefined;
  #next = 0;
  readonly #linesMax: number;
  /** Kernel calls and steps so far. */
  count = 0;

  /** `linesMax` is the number of text lines kept; 0 keeps none and costs nothing. */
  constructor(linesMax: number) {
    this.#linesMax = linesMax;
    this.#lines = linesMax > 0 ? [] : undefined;
  }

  get hash(): string {
    const high = (this.#high >>> 0).toString(16).padStart(8, '0');
    const low = (this.#low >>> 0).toString(16).padStart(8, '0');
    return high + low;
  }

  /** One kernel call. `first` and `second` are its arguments, as far as they are numbers. */
  call(
    thread: number,
    name: string,
    first: number,
    second: number,
    result: number,
    detail = '',
  ): number {
    this.count++;
    this.mix(
      (thread << 16) ^ (name.charCodeAt(0) << 8) ^ name.length ^ name.charCodeAt(name.length - 1),
    );
    this.mix(first);
    this.mix(second);
    this.mix(result);
    if (this.#lines !== undefined) {
      const tail = detail === '' ? '' : ` ${detail}`;
      this.write(`${thread} ${name}(${first}, ${second})${tail} = ${result}`);
    }
    return result;
  }

  /** One step of the scheduler at virtual time `now`. */
  step(kind: string, index: number, now: number): void {
    this.count++;
    this.mix((kind.charCodeAt(0) << 8) ^ kind.charCodeAt(1) ^ (index << 16));
    this.mix(now * 1024);
    if (this.#lines !== undefined) this.write(`-- ${kind} ${index} at ${now.toFixed(3)} ms`);
  }

  /** A line of the test's own. */
  note(text: string): void {
    if (this.#lines !== undefined) this.write(text);
  }

  /** The kept lines, oldest first. */
  text(): string {
    if (this.#lines === undefined) return '';
    const at = this.#lines.length < this.#linesMax ? 0 : this.#next;
    return [...this.#lines.slice(at), ...this.#lines.slice(0, at)].join('\n');
  }

  private write(line: string): void {
    this.#lines![this.#next] = line;
    this.#next = (this.#next + 1) % this.#linesMax;
  }

  /** Folds one number in; the bits above the 32nd count too, which `|` alone would drop. */
  private mix(value: number): void {
    const low = value | 0;
    const high = (value / 0x100000000) | 0;
    this.#high = Math.imul(this.#high ^ low, 0x9e3779b1);
    this.#high = (this.#high << 13) | (this.#high >>> 19);
    this.#low = Math.imul(this.#low ^ this.#high ^ high, 0x85ebca6b);
    this.#low = (this.#low << 11) | (this.#low >>> 21);
  }
}
