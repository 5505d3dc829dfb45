/**
 * Bodies compressed as the client wishes, by Node's own zlib in its thread pool: a whole body, or a stream piece by
 * piece with back-pressure. Brotli, zstd (where Node has it: 22.15, 23.8 and later) and gzip.
 *
 * Do not compress what holds a secret next to what a client can choose (BREACH).
 */

import * as zlib from 'node:zlib';

import { type Coding, negotiateCoding } from './accept-encoding.js';
import type { BodyInput } from './body-input.js';
import type { HttpResponse } from './response.js';

export interface CompressionOptions {
  /** Shorter bodies are sent as they are. 1,024. */
  bytesMin?: number;
  /** Codings in the order in which they are preferred. Those that Node has, of zstd, br and gzip. */
  codings?: readonly Coding[];
  /** Of brotli, 0 to 11. 4. */
  brotliQuality?: number;
  /** Of gzip, 1 to 9. 6. */
  gzipLevel?: number;
  /** Of zstd, 1 to 22. 3. */
  zstdLevel?: number;
  /** Each piece of a stream is sent at once, at some cost in size. false. */
  flushesEach?: boolean;
}

type Callback = (error: Error | null, bytes: Buffer) => void;

/** What Node 20's types do not have. */
interface ZstdOfNode {
  zstdCompress?(bytes: Uint8Array, options: object, callback: Callback): void;
  createZstdCompress?(options: object): zlib.BrotliCompress;
}

const { zstdCompress, createZstdCompress } = zlib as ZstdOfNode;
/** ZSTD_c_compressionLevel. */
const ZSTD_LEVEL = 100;

/** The codings that this Node can make. */
export const CODINGS: readonly Coding[] =
  zstdCompress === undefined ? ['br', 'gzip'] : ['zstd', 'br', 'gzip'];

/**
 * Ends the response with `body`, compressed if the client takes it and it is worth it. Adds Content-Encoding and Vary.
 * Resolves when all of it was handed over, or the client is gone; rejects if the source of a stream does.
 */
export async function sendCompressed(
  response: HttpResponse,
  body: BodyInput | AsyncIterable<BodyInput>,
  options: CompressionOptions = {},
): Promise<void> {
  const { request } = response;
  const coding = negotiateCoding(
    request.header('accept-encoding'),
    (options.codings ?? CODINGS).filter((name) => CODINGS.includes(name)),
  );
  response.field('Vary', 'Accept-Encoding');
  if (typeof body === 'string' || body instanceof Uint8Array) {
    await sendWhole(response, body, coding, options);
  } else {
    await sendStream(response, body, coding, options);
  }
}

async function sendWhole(
  response: HttpResponse,
  body: BodyInput,
  coding: Coding | undefined,
  options: CompressionOptions,
): Promise<void> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  if (coding === undefined || bytes.length < (options.bytesMin ?? 1_024)) {
    response.end(bytes);
    return;
  }
  const compressed = await compress(bytes, coding, options);
  // Noise does not get shorter.
  if (compressed.length < bytes.length) {
    response.field('Content-Encoding', coding).end(compressed);
  } else {
    response.end(bytes);
  }
}

function compress(bytes: Uint8Array, coding: Coding, options: CompressionOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done: Callback = (error, compressed) =>
      error === null ? resolve(compressed) : reject(error);
    const parameters = parametersOf(coding, options, bytes.length);
    if (coding === 'br') {
      zlib.brotliCompress(bytes, parameters, done);
    } else if (coding === 'gzip') {
      zlib.gzip(bytes, parameters, done);
    } else {
      zstdCompress!(bytes, parameters, done);
    }
  });
}

function parametersOf(coding: Coding, options: CompressionOptions, byteLength?: number): object {
  switch (coding) {
    case 'br':
      return {
        params: {
          [zlib.constants.BROTLI_PARAM_QUALITY]: options.brotliQuality ?? 4,
          ...(byteLength === undefined
            ? {}
            : { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: byteLength }),
        },
      };
    case 'gzip':
      return { level: options.gzipLevel ?? 6 };
    case 'zstd':
      return { params: { [ZSTD_LEVEL]: options.zstdLevel ?? 3 } };
  }
}

async function sendStream(
  response: HttpResponse,
  body: AsyncIterable<BodyInput>,
  coding: Coding | undefined,
  options: CompressionOptions,
): Promise<void> {
  const encoder = coding === undefined ? undefined : new StreamEncoder(coding, options);
  if (coding !== undefined) {
    response.field('Content-Encoding', coding);
  }
  try {
    for await (const piece of body) {
      const bytes = encoder === undefined ? piece : await encoder.encode(piece);
      if (bytes.length > 0 && !(await response.writeAll(bytes))) {
        return;
      }
    }
    response.end(encoder === undefined ? undefined : await encoder.finish());
  } finally {
    encoder?.close();
  }
}

/** A zlib stream as a function from pieces to pieces: nothing is ahead of its consumer. */
class StreamEncoder {
  readonly #stream: zlib.Gzip | zlib.BrotliCompress;
  readonly #flushes: boolean;
  #pieces: Buffer[] = [];
  #fail: (error: Error) => void = () => {};

  constructor(coding: Coding, options: CompressionOptions) {
    const parameters = parametersOf(coding, options);
    this.#stream =
      coding === 'gzip'
        ? zlib.createGzip(parameters)
        : coding === 'br'
          ? zlib.createBrotliCompress(parameters)
          : createZstdCompress!(parameters);
    this.#flushes = options.flushesEach ?? false;
    this.#stream.on('data', (piece: Buffer) => this.#pieces.push(piece));
    this.#stream.on('error', (error) => this.#fail(error));
  }

  encode(piece: BodyInput): Promise<Buffer> {
    return this.#taken((done) => {
      this.#stream.write(piece, () => (this.#flushes ? this.#stream.flush(done) : done()));
    });
  }

  finish(): Promise<Buffer> {
    return this.#taken((done) => {
      this.#stream.once('end', done);
      this.#stream.end();
    });
  }

  /** What has come out once `work` is done. */
  #taken(work: (done: () => void) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      work(() => resolve(Buffer.concat(this.#pieces.splice(0))));
    });
  }

  close(): void {
    this.#stream.destroy();
  }
}
