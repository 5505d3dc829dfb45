/**
 * The end of a connection that spoke HTTP. A response that says `close` is to reach its peer whole: so the connection
 * is closed only when it has been sent, and where the peer may still be sending, we end our side first and drop what
 * comes, within limits, since a reset would take the response from a peer that has not read it yet (RFC 9112 9.6).
 */

import { Pace } from './pace.js';
import { ResponseOutput } from './response-output.js';

/** What follows when all was sent. */
export const STAY_OPEN = 0;
/** The peer has nothing left to say. */
export const CLOSE = 1;
/** The peer may still be sending. */
export const FINISH = 2;

export abstract class ClosingOutput extends ResponseOutput {
  readonly pace = new Pace();
  /** One of the above. */
  protected after = STAY_OPEN;
  protected isPeerDone = false;
  /** Bytes of a body that nobody wanted. */
  protected droppedBytes = 0;
  #isFinishing = false;
  #isPaused = false;

  /** Our side has ended, or is being closed: nothing is read any more. */
  get isFinishing(): boolean {
    return this.#isFinishing;
  }

  /** Makes the peer wait. */
  protected pausePeer(): void {
    if (!this.#isPaused) {
      this.#isPaused = true;
      this.connection.pause();
    }
  }

  protected unpausePeer(): void {
    if (this.#isPaused) {
      this.#isPaused = false;
      this.connection.resume();
    }
  }

  /** Closes as `after` says, once everything is with the connection. */
  protected finish(): void {
    if (this.#isFinishing || this.isOutputBlocked) {
      return;
    }
    const { connection, service } = this;
    this.#isFinishing = true;
    const isSoon = this.waitingBytes <= service.limits.outputBytesMax;
    if ((this.after === CLOSE && isSoon) || this.isPeerDone) {
      connection.close();
    } else {
      this.pace.beginDrain();
      this.droppedBytes = 0;
      connection.end();
      this.unpausePeer();
    }
  }

  /** Received after our end. */
  protected drop(byteLength: number): void {
    this.droppedBytes += byteLength;
    if (this.droppedBytes > this.service.limits.drainBytesMax) {
      this.service.stats.undrained += 1;
      this.connection.abort();
    }
  }

  /** For the next connection. */
  protected forgetEnd(): void {
    this.after = STAY_OPEN;
    this.isPeerDone = false;
    this.#isFinishing = false;
    this.#isPaused = false;
    this.pace.forget();
    this.dropOutput();
  }
}
