/**
 * The counters as observable instruments of an OpenTelemetry meter. Only the API's shape is needed here, and only what
 * of it has been stable since 1.3: `@opentelemetry/api` is an optional peer, and any meter of it fits.
 *
 *     import { metrics } from '@opentelemetry/api';
 *     const stop = observeServer(server, metrics.getMeter('millrace'));
 */

import type { Server } from '../api.js';
import type { Metric } from './metric.js';
import { serverMetrics } from './server-metrics.js';

/** An instrument of the API, as far as it matters here. */
export type ObservableInstrument = object;

interface InstrumentOptions {
  readonly description?: string;
  readonly unit?: string;
}

/** What a batch callback of the API is given. */
export interface InstrumentObserver {
  observe(instrument: never, value: number, attributes?: Readonly<Record<string, string>>): void;
}

/** `Meter` of @opentelemetry/api. */
export interface OpenTelemetryMeter {
  createObservableCounter(name: string, options?: InstrumentOptions): ObservableInstrument;
  createObservableUpDownCounter(name: string, options?: InstrumentOptions): ObservableInstrument;
  addBatchObservableCallback(
    callback: (observer: InstrumentObserver) => void,
    instruments: never[],
  ): void;
  removeBatchObservableCallback(
    callback: (observer: InstrumentObserver) => void,
    instruments: never[],
  ): void;
}

export interface ObserveOptions {
  /** What all names begin with. `millrace`. */
  prefix?: string;
  /** Attributes of everything that is observed. */
  attributes?: Readonly<Record<string, string>>;
  /** False: without the histograms, for who has them from `histogramProducer`. true. */
  histograms?: boolean;
}

/**
 * Creates the instruments, such as `millrace.received.bytes`, with the reactor as an attribute; they are read when the
 * meter's reader collects. A histogram, which the API cannot observe, is three of them: `.bucket`, how many values were
 * at most the attribute `le`, `.sum` and `.count`; `histogramProducer` gives the SDK real ones. Returns a function that
 * ends it.
 */
export function observeServer(
  server: Pick<Server, 'stats'>,
  meter: OpenTelemetryMeter,
  options: ObserveOptions = {},
): () => void {
  if (typeof meter?.addBatchObservableCallback !== 'function') {
    throw new TypeError('Expected a meter of @opentelemetry/api 1.3 or later');
  }
  const { prefix = 'millrace', attributes = {}, histograms = true } = options;
  const instruments = new Map<string, ObservableInstrument>();
  const wanted = () =>
    serverMetrics(server.stats).filter(({ kind }) => histograms || kind !== 'histogram');
  for (const metric of wanted()) {
    create(instruments, meter, prefix, metric);
  }
  const callback = (observer: InstrumentObserver): void => {
    const observe = (name: string, value: number, labels: Readonly<Record<string, string>>) => {
      observer.observe(instruments.get(name) as never, value, { ...attributes, ...labels });
    };
    for (const metric of wanted()) {
      if (metric.kind === 'histogram') {
        for (const { labels, buckets, sum, count } of metric.samples) {
          for (const [upTo, total] of buckets) {
            observe(`${metric.name}_bucket`, total, { ...labels, le: String(upTo) });
          }
          observe(`${metric.name}_bucket`, count, { ...labels, le: '+Inf' });
          observe(`${metric.name}_sum`, sum, labels);
          observe(`${metric.name}_count`, count, labels);
        }
      } else {
        for (const { labels, value } of metric.samples) {
          observe(metric.name, value, labels);
        }
      }
    }
  };
  const all = [...instruments.values()] as never[];
  meter.addBatchObservableCallback(callback, all);
  return () => meter.removeBatchObservableCallback(callback, all);
}

function create(
  instruments: Map<string, ObservableInstrument>,
  meter: OpenTelemetryMeter,
  prefix: string,
  { name, help, kind }: Metric,
): void {
  const nameOf = (own: string) => openTelemetryName(prefix, own);
  const unit = unitOf(name);
  if (kind === 'histogram') {
    const bucket = { description: `${help} How many were at most the attribute le.`, unit: '1' };
    const sum = { description: `${help} Their sum.`, unit };
    const count = { description: `${help} Their number.`, unit: '1' };
    const buckets = `${name}_bucket`;
    instruments.set(buckets, meter.createObservableCounter(nameOf(buckets), bucket));
    instruments.set(`${name}_sum`, meter.createObservableCounter(nameOf(`${name}_sum`), sum));
    instruments.set(`${name}_count`, meter.createObservableCounter(nameOf(`${name}_count`), count));
    return;
  }
  const described = { description: help, unit };
  const instrument =
    kind === 'gauge'
      ? meter.createObservableUpDownCounter(nameOf(name), described)
      : meter.createObservableCounter(nameOf(name), described);
  instruments.set(name, instrument);
}

/** `received_bytes` is `millrace.received.bytes` there. */
export function openTelemetryName(prefix: string, name: string): string {
  return `${prefix}.${name.replaceAll('_', '.')}`;
}

/** A metric's unit by its name, in the code that OpenTelemetry has for it (UCUM). */
export function unitOf(name: string): string {
  return name.endsWith('bytes') ? 'By' : name.endsWith('seconds') ? 's' : '1';
}
