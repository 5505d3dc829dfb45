/** The subscribers of one topic in one reactor, and what is done for those that are slow: see hub.ts. */

import type { WriteResult } from '../api.js';
import { CloseCode } from './close-code.js';
import type { Deflater } from './deflate.js';
import { RSV1 } from './frame.js';
import type { TopicOptions } from './hub.js';
import type { Publication } from './publication.js';
import { encodeFrame } from './send-frame.js';
import type { Subscription } from './socket-state.js';
import type { WebSocketConnection } from './web-socket.js';

export interface TopicCounts {
  /** Messages that a connection took. */
  delivered: number;
  /** Dropped at once, since the subscriber was slow. */
  droppedNew: number;
  /** Dropped after they had waited, for newer ones. */
  droppedOld: number;
  /** Dropped, since the connection's queue was full. */
  droppedFull: number;
  /** Subscribers that were closed for being slow. */
  closedSlow: number;
}

export function newTopicCounts(): TopicCounts {
  return { delivered: 0, droppedNew: 0, droppedOld: 0, droppedFull: 0, closedSlow: 0 };
}

/** Above this a frame that has to wait is not copied: its subscribers share one. */
const SHARED_FROM_BYTES = 512;

export class Topic implements Subscription {
  readonly #options: Required<TopicOptions>;
  readonly #sums: TopicCounts;
  readonly #onRemoved: (isEmpty: boolean) => void;
  readonly counts: TopicCounts = newTopicCounts();
  readonly #subscribers = new Set<WebSocketConnection>();
  /** For `drop-old`: frames that wait for a slow subscriber. */
  readonly #waiting = new Map<WebSocketConnection, Buffer[]>();

  constructor(
    options: Required<TopicOptions>,
    sums: TopicCounts,
    onRemoved: (isEmpty: boolean) => void,
  ) {
    this.#options = options;
    this.#sums = sums;
    this.#onRemoved = onRemoved;
  }

  get size(): number {
    return this.#subscribers.size;
  }

  has(socket: WebSocketConnection): boolean {
    return this.#subscribers.has(socket);
  }

  add(socket: WebSocketConnection): void {
    this.#subscribers.add(socket);
  }

  remove(socket: WebSocketConnection): void {
    if (this.#subscribers.delete(socket)) {
      this.#waiting.delete(socket);
      this.#onRemoved(this.#subscribers.size === 0);
    }
  }

  deliver(publication: Publication, except: WebSocketConnection | undefined): void {
    const packed = new PackedFrames(publication);
    // Subscribers may go while the set is iterated, which JavaScript allows.
    for (const socket of this.#subscribers) {
      if (socket === except) {
        continue;
      }
      if (socket.canPublish) {
        this.#offer(socket, packed.frameFor(socket));
      } else if (socket.state === 'open') {
        // In the midst of a message of fragments, within which no other may come.
        this.#count('droppedNew');
      }
    }
  }

  #offer(socket: WebSocketConnection, frame: Buffer): void {
    const { backlogBytes, whenSlow } = this.#options;
    const isSlow = this.#waiting.has(socket) || socket.queuedBytes > backlogBytes;
    if (!isSlow || whenSlow === 'queue') {
      this.#send(socket, frame);
    } else if (whenSlow === 'drop-new') {
      this.#count('droppedNew');
    } else if (whenSlow === 'close') {
      this.#count('closedSlow');
      socket.close(CloseCode.POLICY_VIOLATION, 'too slow');
    } else {
      this.#keep(socket, frame);
    }
  }

  #send(socket: WebSocketConnection, frame: Buffer): WriteResult {
    const { connection } = socket;
    const isShared = frame.length >= SHARED_FROM_BYTES && connection.queuedBytes > 0;
    const result = isShared ? connection.writeOwned(frame) : connection.write(frame);
    if (result === 'full') {
      this.#count('droppedFull');
    } else if (result !== 'closed') {
      this.#count('delivered');
    }
    return result;
  }

  #keep(socket: WebSocketConnection, frame: Buffer): void {
    const frames = this.#waiting.get(socket);
    if (frames !== undefined) {
      frames.push(frame);
      if (frames.length > this.#options.keepMax) {
        frames.shift();
        this.#count('droppedOld');
      }
      return;
    }
    this.#waiting.set(socket, [frame]);
    // When the kernel has all that waits now.
    socket.connection.receipt((handedOver) => this.#release(socket, handedOver));
  }

  #release(socket: WebSocketConnection, handedOver: boolean): void {
    const frames = this.#waiting.get(socket);
    this.#waiting.delete(socket);
    if (frames === undefined || !handedOver) {
      return;
    }
    for (const frame of frames) {
      if (socket.canPublish) {
        this.#offer(socket, frame);
      }
    }
  }

  #count(what: keyof TopicCounts): void {
    this.counts[what] += 1;
    this.#sums[what] += 1;
  }
}

/** The frame of one message in the forms that subscribers understand, each made when it is first needed. */
class PackedFrames {
  readonly #publication: Publication;
  #packed: Map<Deflater, Buffer> | undefined;

  constructor(publication: Publication) {
    this.#publication = publication;
  }

  frameFor({ compression }: WebSocketConnection): Buffer {
    const { frame, payload, first } = this.#publication;
    // Where later messages may refer to earlier ones, a frame that others get too would be missing from our window.
    if (
      compression === undefined ||
      compression.keeps ||
      payload.length < compression.thresholdBytes
    ) {
      return frame;
    }
    const { deflater } = compression;
    let packed = this.#packed?.get(deflater);
    if (packed === undefined) {
      const bytes = deflater.deflate(payload);
      const isSmaller = bytes.length < payload.length;
      packed = isSmaller ? encodeFrame(first | RSV1, bytes, undefined) : frame;
      this.#packed ??= new Map();
      this.#packed.set(deflater, packed);
    }
    return packed;
  }
}
