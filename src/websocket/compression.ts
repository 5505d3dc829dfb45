/**
 * The compression contexts of a connection, as they were agreed on: contexts of its own, which end with it, or those
 * that all connections of the thread share because they forget each message.
 */

import { Deflater } from './deflate.js';
import type { DeflateSettings } from './deflate-options.js';
import type { Decompressor } from './frame-sink.js';
import { Inflater } from './inflate.js';
import { type InflateQueue, Inflation } from './inflate-queue.js';
import type { Agreement } from './permessage-deflate.js';
import type { Receiver } from './receiver.js';

/** A context that forgets can inflate what was made with any window. */
const INFLATE_BITS = 15;

export interface Compression extends Decompressor {
  readonly deflater: Deflater;
  readonly inflater: Inflater;
  readonly thresholdBytes: number;
  /** Whether our messages refer to earlier ones: then a frame made for all cannot be sent here. */
  readonly keeps: boolean;
  readonly deflateBits: number;
  /** Receivers with this inflater that no connection needs now. */
  readonly receivers: Receiver[];
  /** The connection has ended: frees what nobody needs any more. Once for each connection. */
  end(): void;
}

/** All contexts of one listener or client on one thread. */
export class Compressions {
  readonly #settings: DeflateSettings;
  readonly #deflaters = new Map<number, Deflater>();
  readonly #shared = new Map<number, Compression>();
  readonly #queue: InflateQueue | undefined;
  #inflater: Inflater | undefined;
  /** Inflates what takes longer than a turn, of one connection at a time. */
  #lateInflater: Inflater | undefined;
  #ownContexts = 0;
  /** Connections that compress. */
  #users = 0;

  /** Without a queue each message is inflated in one go. */
  constructor(settings: DeflateSettings, queue?: InflateQueue) {
    this.#settings = settings;
    this.#queue = queue;
  }

  /** Connections that have contexts of their own. */
  get ownContexts(): number {
    return this.#ownContexts;
  }

  /** Whether one more may keep its windows. */
  get offersOwn(): boolean {
    const { contexts, ownContextsMax } = this.#settings;
    return contexts === 'own' && this.#ownContexts < ownContextsMax;
  }

  /** For one more connection, which has to call `end` of it once. */
  for(agreement: Agreement): Compression {
    const { deflateBits, deflateKeeps, inflateKeeps } = agreement;
    this.#users += 1;
    if (deflateKeeps || inflateKeeps) {
      return this.#own(agreement);
    }
    let shared = this.#shared.get(deflateBits);
    if (shared === undefined) {
      const { thresholdBytes } = this.#settings;
      const inflater = this.#sharedInflater();
      shared = {
        deflater: this.#deflater(deflateBits),
        inflater,
        ...this.#decompressor(inflater),
        thresholdBytes,
        keeps: false,
        deflateBits,
        receivers: [],
        end: () => this.#leave(),
      };
      this.#shared.set(deflateBits, shared);
    }
    return shared;
  }

  #own({ deflateBits, deflateKeeps, inflateBits, inflateKeeps }: Agreement): Compression {
    const { level, memoryLevel, ratioMax, thresholdBytes } = this.#settings;
    const deflater = deflateKeeps
      ? new Deflater(deflateBits, level, memoryLevel, true)
      : this.#deflater(deflateBits);
    const inflater = inflateKeeps
      ? new Inflater(inflateBits, true, ratioMax, this.#queue)
      : this.#sharedInflater();
    this.#ownContexts += 1;
    let hasEnded = false;
    const end = () => {
      if (!hasEnded) {
        hasEnded = true;
        this.#ownContexts -= 1;
        if (deflateKeeps) {
          deflater.end();
        }
        if (inflateKeeps) {
          inflater.end();
        }
        this.#leave();
      }
    };
    return {
      deflater,
      inflater,
      ...this.#decompressor(inflater),
      thresholdBytes,
      keeps: deflateKeeps,
      deflateBits,
      receivers: [],
      end,
    };
  }

  #deflater(bits: number): Deflater {
    let deflater = this.#deflaters.get(bits);
    if (deflater === undefined) {
      const { level, memoryLevel } = this.#settings;
      deflater = new Deflater(bits, level, memoryLevel, false);
      this.#deflaters.set(bits, deflater);
    }
    return deflater;
  }

  #sharedInflater(): Inflater {
    this.#inflater ??= this.#newInflater();
    return this.#inflater;
  }

  #newInflater(): Inflater {
    return new Inflater(INFLATE_BITS, false, this.#settings.ratioMax, this.#queue);
  }

  /** What a context that forgets has inflated in vain is inflated again, by one that nobody else needs meanwhile. */
  #decompressor(inflater: Inflater): Decompressor {
    const late = () => {
      if (inflater.keeps) {
        return inflater;
      }
      this.#lateInflater ??= this.#newInflater();
      return this.#lateInflater;
    };
    return {
      inflate: (data, bytesMax) => inflater.inflate(data, bytesMax),
      defer: (data, bytesMax, buffer, onDone) => {
        if (!inflater.keeps) {
          inflater.drop();
        }
        const kept = buffer === undefined ? Buffer.from(data) : data;
        const inflation = new Inflation(kept, buffer, bytesMax, {
          inflater: late,
          isBegun: inflater.keeps,
          onDone,
        });
        this.#queue!.add(inflation);
        return inflation;
      },
    };
  }

  /** Without connections nothing is held: there may be as many of these as a program makes clients. */
  #leave(): void {
    this.#users -= 1;
    if (this.#users === 0) {
      this.end();
    }
  }

  /** Frees the shared contexts. They are made again if a connection comes. */
  end(): void {
    for (const deflater of this.#deflaters.values()) {
      deflater.end();
    }
    this.#inflater?.end();
    this.#inflater = undefined;
    this.#lateInflater?.end();
    this.#lateInflater = undefined;
    this.#deflaters.clear();
    this.#shared.clear();
  }
}
