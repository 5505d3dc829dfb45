/** The line that tells once a second what a server does: drawn in place, by the thread that called `serve`. */

import type { Alarm, Kernel } from '../base/kernel.js';
import type { Server, ServerStats } from '../index.js';
import { formatBytes, formatNoun } from './figures.js';
import type { Terminal } from './terminal.js';

const INTERVAL_MS = 1_000;

export class StatusLine {
  readonly #server: Pick<Server, 'stats'>;
  readonly #terminal: Terminal;
  readonly #kernel: Pick<Kernel, 'now'>;
  readonly #alarm: Alarm;
  #lastAt = 0;
  #lastReceives = 0;

  constructor(
    server: Pick<Server, 'stats'>,
    terminal: Terminal,
    kernel: Pick<Kernel, 'now' | 'alarm'>,
  ) {
    this.#server = server;
    this.#terminal = terminal;
    this.#kernel = kernel;
    this.#alarm = kernel.alarm(() => this.#tick());
  }

  start(): void {
    this.#lastAt = this.#kernel.now();
    this.#lastReceives = this.#server.stats.totals.receives;
    this.#alarm.set(INTERVAL_MS);
  }

  stop(): void {
    this.#alarm.clear();
    this.#terminal.clearStatus();
  }

  #tick(): void {
    const { totals } = this.#server.stats;
    const now = this.#kernel.now();
    const seconds = (now - this.#lastAt) / 1_000;
    const perSecond = seconds > 0 ? (totals.receives - this.#lastReceives) / seconds : 0;
    this.#lastAt = now;
    this.#lastReceives = totals.receives;
    this.#terminal.showStatus(describeStatus(totals, perSecond, process.memoryUsage.rss()));
    this.#alarm.set(INTERVAL_MS);
  }
}

/** What matters most comes first: a narrow terminal cuts the rest. */
export function describeStatus(
  totals: Pick<ServerStats['totals'], 'connections' | 'receives' | 'bytesReceived' | 'bytesSent'>,
  messagesPerSecond: number,
  residentBytes: number,
): string {
  return [
    formatNoun(totals.connections, 'connection'),
    `${formatNoun(Math.round(messagesPerSecond), 'message')}/s`,
    formatNoun(totals.receives, 'message'),
    `${formatBytes(totals.bytesReceived)} in`,
    `${formatBytes(totals.bytesSent)} out`,
    `${formatBytes(residentBytes)} memory`,
  ].join(' | ');
}
