/**
 * What the simulator reports when the code under test did something that a real kernel might have let pass: memory
 * used after its release, a descriptor closed twice. It is a bug of that code and never an expected outcome.
 */

export class SimViolation extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SimViolation';
  }
}

/** The violations of one world. Those that throw are noted too, since a handler's catch might swallow them. */
export class ViolationLog {
  readonly messages: string[] = [];

  /** Notes a violation and goes on: the caller answers with the errno that Linux would give. */
  note(message: string): void {
    if (this.messages.length < 100) this.messages.push(message);
  }

  /** Notes a violation and throws it: Linux would have corrupted memory. */
  fail(message: string): never {
    this.note(message);
    throw new SimViolation(message);
  }

  /** Returns what was noted and forgets it. */
  take(): string[] {
    return this.messages.splice(0);
  }

  /** Throws if anything was noted. */
  check(): void {
    if (this.messages.length > 0) throw new SimViolation(this.messages.join('\n'));
  }
}
