/**
 * The body of a response whose content codings are undone while it is read: what comes from the connection goes through
 * streams of Node's zlib, which work in its thread pool, to the program. A program that does not read on stops these,
 * and they stop the server, so that no more than some hundred kilobytes are in memory, however far a body expands.
 */

import type { Transform } from 'node:stream';

import { BODY_DISCARDED, BODY_FLOWING } from './body-state.js';
import { refused } from './client-error.js';
import type { HttpClientResponse } from './client-response.js';
import { type ContentCoding, decoderOf } from './content-coding.js';
import type { BodyOrigin } from './request-body.js';
import type { ResponseRejectCode } from './response-rejects.js';

/** Up to so many bytes a body may have expanded in whatever ratio. */
const RATIO_FREE_BYTES = 1_048_576;

export interface DecodedLimits {
  readonly decodedBytesMax: number;
  readonly decodedRatioMax: number;
}

/** What it needs to know of its request. */
export interface DecodedContext {
  readonly limits: DecodedLimits;
  readonly signal: AbortSignal | undefined;
  /** It was refused: to be counted. */
  onReject(code: ResponseRejectCode): void;
}

export class DecodedBody implements BodyOrigin {
  readonly #encoded: HttpClientResponse;
  readonly #codings: readonly ContentCoding[];
  readonly #context: DecodedContext;
  /** What the program reads. */
  readonly response: HttpClientResponse;
  #stages: readonly Transform[] = [];
  #received = 0;
  /** What came out of the last stage. */
  #decoded = 0;
  #isOver = false;
  #isPumping = false;
  readonly #onAbort = (): void => this.#fail(this.#context.signal!.reason);

  constructor(
    encoded: HttpClientResponse,
    codings: readonly ContentCoding[],
    context: DecodedContext,
  ) {
    this.#encoded = encoded;
    this.#codings = codings;
    this.#context = context;
    this.response = encoded.withBody(this, codings);
  }

  /** The program has asked for the body. */
  startBody(): void {
    // What was received whole can still be aborted until it is read.
    this.#context.signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#encoded.receive({
      onData: (bytes) => this.#take(bytes),
      onEnd: () => this.#finish(),
      onError: (error) => this.#fail(error),
    });
  }

  /** The program wants more, or nothing any more. */
  goOn(): void {
    if (this.response.bodyState === BODY_DISCARDED) {
      this.#stop();
      this.#encoded.discard();
    } else {
      this.#pump();
    }
  }

  #take(bytes: Buffer): void {
    if (this.#isOver) {
      return;
    }
    this.#received += bytes.length;
    if (this.#stages.length === 0) {
      this.#start(bytes[0]!);
    }
    // The bytes are borrowed, and the threads are not done with them in this call.
    if (!this.#stages[0]!.write(Buffer.from(bytes))) {
      this.#encoded.pause();
    }
  }

  #start(first: number): void {
    const stages: Transform[] = [];
    for (const coding of this.#codings) {
      const before = stages.at(-1);
      const stage = decoderOf(coding, before === undefined ? first : undefined);
      stage.on('error', (error) => this.#refuse('content-coding', error));
      if (before !== undefined) {
        this.#limit(before);
        before.pipe(stage);
      }
      stages.push(stage);
    }
    stages[0]!.on('drain', () => this.#encoded.resume());
    const last = stages.at(-1)!;
    last.on('readable', () => this.#pump());
    last.on('end', () => {
      this.#stop();
      this.response.onEnd(this.#encoded.trailers);
    });
    this.#stages = stages;
  }

  /** What one coding of several makes of the body is limited as the body is. */
  #limit(stage: Transform): void {
    let decoded = 0;
    stage.on('data', (bytes: Buffer) => {
      decoded += bytes.length;
      this.#check(decoded);
    });
  }

  #finish(): void {
    const [first] = this.#stages;
    if (first !== undefined) {
      first.end();
    } else if (!this.#isOver) {
      // No byte is no coded body, but what many servers send for an empty one.
      this.#stop();
      this.response.onEnd(this.#encoded.trailers);
    }
  }

  /** Gives the program what has come out, as long as it wants it. */
  #pump(): void {
    const last = this.#stages.at(-1);
    if (last === undefined || this.#isPumping) {
      return;
    }
    this.#isPumping = true;
    while (!this.#isOver && this.response.bodyState === BODY_FLOWING) {
      const bytes = last.read() as Buffer | null;
      if (bytes === null) {
        break;
      }
      this.#decoded += bytes.length;
      if (this.#check(this.#decoded)) {
        this.#give(bytes);
      }
    }
    this.#isPumping = false;
  }

  #give(bytes: Buffer): void {
    try {
      this.response.onBody(bytes);
    } catch (error) {
      // Of the program's sink, which no hook of a connection calls here.
      this.#fail(error);
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }

  /** False if it is too much, and refused. */
  #check(decoded: number): boolean {
    const { decodedBytesMax, decodedRatioMax } = this.#context.limits;
    if (decoded > decodedBytesMax) {
      this.#refuse('decoded-length');
    } else if (
      decodedRatioMax > 0 &&
      decoded > RATIO_FREE_BYTES &&
      decoded > this.#received * decodedRatioMax
    ) {
      this.#refuse('decoded-ratio');
    }
    return !this.#isOver;
  }

  #refuse(code: ResponseRejectCode, cause?: Error): void {
    if (!this.#isOver) {
      this.#context.onReject(code);
      this.#fail(refused(code, cause));
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver) {
      return;
    }
    this.#stop();
    this.#encoded.discard();
    this.response.onFailure(error instanceof Error ? error : new Error(String(error)));
  }

  #stop(): void {
    this.#isOver = true;
    this.#context.signal?.removeEventListener('abort', this.#onAbort);
    for (const stage of this.#stages) {
      stage.destroy();
    }
    this.#stages = [];
  }
}
