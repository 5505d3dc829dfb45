/**
 * Publish and subscribe: what is published on a topic goes to all WebSockets that subscribed to it, in all reactors of
 * the server. A message becomes a frame once, whatever the number of its subscribers; between reactors the frame
 * travels through shared memory (`Reactor.post`).
 *
 * Each thread has a hub of its own, made by the module of the handler and given to `webSocketServer`. What becomes of a
 * message for somebody who does not read fast enough is the topic's policy, and is counted.
 */

import type { Reactor } from '../api.js';
import type { WebSocket } from './api.js';
import {
  decodePublication,
  encodePublication,
  type Publication,
  TOPIC_BYTES_MAX,
} from './publication.js';
import { integer } from './settings.js';
import { newTopicCounts, Topic, type TopicCounts } from './topic.js';
import { WebSocketConnection } from './web-socket.js';

/** What a handler asks of a hub. */
export interface HubLink {
  join(reactor: Reactor): void;
  leave(reactor: Reactor): void;
  /** Whether the message was the hub's. */
  receive(reactor: Reactor, bytes: Buffer, from: number): boolean;
}

/**
 * What is done for a subscriber of whom more than `backlogBytes` wait to be sent:
 * - `queue`: the message waits too, up to the connection's `writeQueueMax`; what does not fit is dropped.
 * - `drop-new`: the message is dropped. (Also for all in the midst of `sendFragment`.)
 * - `drop-old`: the last `keepMax` messages wait apart, and replace older ones.
 * - `close`: the WebSocket is closed with 1008.
 */
export type SlowPolicy = 'queue' | 'drop-new' | 'drop-old' | 'close';

export interface TopicOptions {
  /** `queue`. */
  readonly whenSlow?: SlowPolicy;
  /** 65,536. */
  readonly backlogBytes?: number;
  /** For `drop-old`: 1, which is to say the newest only. */
  readonly keepMax?: number;
}

export interface HubOptions extends TopicOptions {
  /** Options of single topics, by name; asked when a topic gets its first subscriber. */
  readonly topic?: (name: string) => TopicOptions | undefined;
  /** The most topics with subscribers in one reactor. 100,000. */
  readonly topicsMax?: number;
  /** The most topics that one WebSocket is subscribed to. 1,000. */
  readonly subscriptionsMax?: number;
}

export interface PublishOptions {
  /** Binary or text; strings are text, bytes are binary, unless this says otherwise. Text must be UTF-8. */
  readonly isBinary?: boolean;
  /** Not to this one, such as the WebSocket that the message came from. */
  readonly except?: WebSocket;
}

export interface HubStats extends TopicCounts {
  readonly topics: number;
  readonly subscriptions: number;
  /** Messages published here. */
  readonly published: number;
  /** Messages that another reactor's mailbox had no room for. */
  readonly postsLost: number;
}

const POLICIES: readonly string[] = ['queue', 'drop-new', 'drop-old', 'close'];

export class WebSocketHub implements HubLink {
  readonly #options: HubOptions;
  readonly #defaults: Required<TopicOptions>;
  readonly #topicsMax: number;
  readonly #subscriptionsMax: number;
  readonly #topics = new Map<string, Topic>();
  readonly #counts = newTopicCounts();
  /** Those of this thread: several servers may share a hub. */
  readonly #reactors = new Set<Reactor>();
  #subscriptions = 0;
  #published = 0;
  #postsLost = 0;

  constructor(options: HubOptions = {}) {
    this.#options = options;
    this.#defaults = readTopicOptions(options, {
      whenSlow: 'queue',
      backlogBytes: 65_536,
      keepMax: 1,
    });
    this.#topicsMax = integer(options, 'topicsMax', 100_000, 1, 2 ** 24);
    this.#subscriptionsMax = integer(options, 'subscriptionsMax', 1_000, 1, 2 ** 24);
  }

  /** Internal: the handler's onBoot. */
  join(reactor: Reactor): void {
    this.#reactors.add(reactor);
  }

  /** Internal: the handler's onShutdown. */
  leave(reactor: Reactor): void {
    // Its WebSockets have closed, and with that left their topics.
    this.#reactors.delete(reactor);
  }

  /**
   * Subscribes until `unsubscribe` or the close. False, and nothing done, if the WebSocket is not open or a limit is
   * reached. A second call changes nothing.
   *
   * @throws TypeError for a topic that is no string of 1 to 256 bytes, or a WebSocket of a client.
   */
  subscribe(socket: WebSocket, name: string): boolean {
    checkTopic(name);
    const connection = ownSocket(socket);
    if (connection.state !== 'open') {
      return false;
    }
    let topic = this.#topics.get(name);
    if (topic?.has(connection) === true) {
      return true;
    }
    const own = connection.subscriptions?.length ?? 0;
    if (
      own >= this.#subscriptionsMax ||
      (topic === undefined && this.#topics.size >= this.#topicsMax)
    ) {
      return false;
    }
    if (topic === undefined) {
      topic = this.#makeTopic(name);
      this.#topics.set(name, topic);
    }
    topic.add(connection);
    this.#subscriptions += 1;
    connection.subscriptions ??= [];
    connection.subscriptions.push(topic);
    return true;
  }

  #makeTopic(name: string): Topic {
    const options = readTopicOptions(this.#options.topic?.(name) ?? {}, this.#defaults);
    return new Topic(options, this.#counts, (isEmpty) => {
      this.#subscriptions -= 1;
      if (isEmpty) {
        this.#topics.delete(name);
      }
    });
  }

  /** Whether it was subscribed. */
  unsubscribe(socket: WebSocket, name: string): boolean {
    const connection = ownSocket(socket);
    const topic = this.#topics.get(name);
    const at = topic === undefined ? -1 : (connection.subscriptions?.indexOf(topic) ?? -1);
    if (topic === undefined || at < 0) {
      return false;
    }
    connection.subscriptions!.splice(at, 1);
    topic.remove(connection);
    return true;
  }

  /** Subscribers in this reactor. */
  subscriberCount(name: string): number {
    return this.#topics.get(name)?.size ?? 0;
  }

  /** What happened to the messages of one topic in this reactor, since it got its first subscriber. */
  topicStats(name: string): TopicCounts | undefined {
    const topic = this.#topics.get(name);
    return topic && { ...topic.counts };
  }

  /**
   * Sends to all subscribers, here at once. False if the mailbox of another reactor was full: its subscribers do not
   * get the message, and it is counted.
   */
  publish(name: string, data: string | Uint8Array, options: PublishOptions = {}): boolean {
    const letter = encodePublication(name, data, options);
    this.#published += 1;
    const publication = decodePublication(letter)!;
    const except = options.except === undefined ? undefined : ownSocket(options.except);
    this.#topics.get(name)?.deliver(publication, except);
    let isComplete = true;
    for (const reactor of this.#reactors) {
      isComplete = this.#post(reactor, letter) && isComplete;
    }
    return isComplete;
  }

  /** To the other reactors of the same server. */
  #post(reactor: Reactor, letter: Buffer): boolean {
    let isComplete = true;
    for (let i = 0; i < reactor.count; i += 1) {
      if (i !== reactor.index && !reactor.post(i, letter)) {
        this.#postsLost += 1;
        isComplete = false;
      }
    }
    return isComplete;
  }

  /** Internal: the handler's onMessage. */
  receive(_reactor: Reactor, bytes: Buffer, _from: number): boolean {
    const publication: Publication | undefined = decodePublication(bytes);
    if (publication === undefined) {
      return false;
    }
    this.#topics.get(publication.topic)?.deliver(publication, undefined);
    return true;
  }

  get stats(): HubStats {
    return {
      ...this.#counts,
      topics: this.#topics.size,
      subscriptions: this.#subscriptions,
      published: this.#published,
      postsLost: this.#postsLost,
    };
  }
}

function ownSocket(socket: WebSocket): WebSocketConnection {
  if (!(socket instanceof WebSocketConnection) || socket.isClient) {
    throw new TypeError('Expected a WebSocket of a server');
  }
  return socket;
}

function checkTopic(name: string): void {
  if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > TOPIC_BYTES_MAX) {
    throw new TypeError(`Expected a topic of 1 to ${TOPIC_BYTES_MAX} bytes, got ${String(name)}`);
  }
}

function readTopicOptions(
  options: TopicOptions,
  defaults: Required<TopicOptions>,
): Required<TopicOptions> {
  const whenSlow = options.whenSlow ?? defaults.whenSlow;
  if (!POLICIES.includes(whenSlow)) {
    throw new TypeError(
      `Expected whenSlow to be one of ${POLICIES.join(', ')}, got ${String(whenSlow)}`,
    );
  }
  return {
    whenSlow,
    backlogBytes: integer(options, 'backlogBytes', defaults.backlogBytes, 0, 0xffff_ffff),
    keepMax: integer(options, 'keepMax', defaults.keepMax, 1, 1_000),
  };
}
