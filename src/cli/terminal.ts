/**
 * Where the command line prints: lines on standard output, complaints on standard error, and on a terminal a status
 * that is drawn over itself. The only user of the process's output streams.
 */

/** What is used of process.stdout and process.stderr. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  /** Width in characters; 0 or undefined if unknown. */
  readonly columns?: number | undefined;
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

const COLUMNS_DEFAULT = 80;
/** What a terminal shows of Ctrl-C: `^C`, behind the status. */
const ECHOED_COLUMNS = 2;

export class Terminal {
  readonly #out: Output;
  readonly #errors: Output;
  /** Characters of the status that are on the screen. */
  #shown = 0;

  constructor(out: Output, errors: Output) {
    this.#out = out;
    this.#errors = errors;
    // Who reads our output may go away (`millrace echo | head -1`): that is no reason to stop serving.
    out.on('error', () => {});
    errors.on('error', () => {});
  }

  /** Whether there is somebody to look at a status. */
  get isInteractive(): boolean {
    return this.#out.isTTY === true;
  }

  print(text: string): void {
    this.clearStatus();
    this.#out.write(`${text}\n`);
  }

  complain(text: string): void {
    this.clearStatus();
    this.#errors.write(`${text}\n`);
  }

  /** Draws `text` over the last status, cut to the width of the terminal, which never wraps it. */
  showStatus(text: string): void {
    const cut = text.slice(0, this.#width());
    // Spaces rather than an escape sequence: every terminal knows them.
    this.#out.write(`\r${cut.padEnd(Math.min(this.#shown, this.#width()))}`);
    this.#shown = cut.length;
  }

  clearStatus(): void {
    if (this.#shown > 0) {
      const width = Math.min(this.#shown + ECHOED_COLUMNS, this.#width());
      this.#out.write(`\r${' '.repeat(width)}\r`);
      this.#shown = 0;
    }
  }

  /** One less than the columns: a character in the last one makes some terminals wrap. */
  #width(): number {
    const { columns } = this.#out;
    return (columns === undefined || columns <= 0 ? COLUMNS_DEFAULT : columns) - 1;
  }
}
