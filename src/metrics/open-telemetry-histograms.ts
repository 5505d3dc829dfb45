/**
 * The histograms for OpenTelemetry. Its API can observe numbers, and record single values, but not be given a histogram
 * that was counted elsewhere; its SDK can, from a `MetricProducer`, which is this: every count in its bucket, none
 * estimated, none recorded again. Only the SDK's shapes are needed here, as they are in versions 1.16 to 2.
 *
 *     new PeriodicExportingMetricReader({ exporter, metricProducers: [histogramProducer(server)] });
 */

import type { Server } from '../api.js';
import { type WallClock, wallClock } from '../base/wall-clock.js';
import type { HistogramMetric, HistogramSample } from './metric.js';
import { type ObserveOptions, openTelemetryName, unitOf } from './open-telemetry.js';
import { serverMetrics } from './server-metrics.js';

/** Seconds since 1970, and nanoseconds: the API's HrTime. */
type Time = [seconds: number, nanoseconds: number];

// Values of the SDK's enumerations, which cannot be imported without it.
/** AggregationTemporality.CUMULATIVE */
const CUMULATIVE = 1;
/** DataPointType.HISTOGRAM */
const HISTOGRAM = 0;
/** ValueType.INT and DOUBLE of the API. */
const INT = 0;
const DOUBLE = 1;

/** A point of a histogram: counts of the buckets, of which there is one more than boundaries. */
export interface HistogramPoint {
  readonly startTime: Time;
  readonly endTime: Time;
  readonly attributes: Record<string, string>;
  readonly value: {
    readonly buckets: { boundaries: number[]; counts: number[] };
    readonly sum: number;
    readonly count: number;
  };
}

/** `HistogramMetricData` of @opentelemetry/sdk-metrics. */
export interface HistogramData {
  readonly descriptor: {
    readonly name: string;
    readonly description: string;
    readonly unit: string;
    readonly valueType: typeof INT | typeof DOUBLE;
  };
  readonly aggregationTemporality: typeof CUMULATIVE;
  readonly dataPointType: typeof HISTOGRAM;
  readonly dataPoints: HistogramPoint[];
}

/** `MetricProducer` of @opentelemetry/sdk-metrics. */
export interface OpenTelemetryProducer {
  collect(): Promise<{
    /** `resource` is the reader's own: what a producer says of it is ignored. */
    resourceMetrics: {
      resource: never;
      scopeMetrics: { scope: { name: string }; metrics: HistogramData[] }[];
    };
    errors: unknown[];
  }>;
}

/**
 * A producer of the server's histograms, such as `millrace.turn.seconds`, with the reactor as an attribute: one of a
 * metric reader's `metricProducers`. Values are cumulative from the server's start; as their start the points name the
 * time of this call. Any number of readers may share it. Use `observeServer` with `histograms: false` for the rest.
 */
export function histogramProducer(
  server: Pick<Server, 'stats'>,
  { prefix = 'millrace', attributes = {} }: Omit<ObserveOptions, 'histograms'> = {},
  clock: WallClock = wallClock,
): OpenTelemetryProducer {
  const startTime = timeOf(clock());
  return {
    async collect() {
      const endTime = timeOf(clock());
      const metrics = serverMetrics(server.stats)
        .filter((metric): metric is HistogramMetric => metric.kind === 'histogram')
        .map(({ name, help, samples }): HistogramData => {
          const unit = unitOf(name);
          return {
            descriptor: {
              name: openTelemetryName(prefix, name),
              description: help,
              unit,
              valueType: unit === '1' ? INT : DOUBLE,
            },
            aggregationTemporality: CUMULATIVE,
            dataPointType: HISTOGRAM,
            dataPoints: samples.map((sample) => ({
              startTime,
              endTime,
              attributes: { ...attributes, ...sample.labels },
              value: bucketsOf(sample),
            })),
          };
        });
      const resource = {} as never;
      const scopeMetrics = [{ scope: { name: 'millrace' }, metrics }];
      return { resourceMetrics: { resource, scopeMetrics }, errors: [] };
    },
  };
}

/** From how many are at most a bound to how many are in a bucket. */
function bucketsOf({ buckets, sum, count }: HistogramSample): HistogramPoint['value'] {
  const boundaries: number[] = [];
  const counts: number[] = [];
  let before = 0;
  for (const [upTo, total] of buckets) {
    boundaries.push(upTo);
    counts.push(total - before);
    before = total;
  }
  counts.push(count - before);
  return { buckets: { boundaries, counts }, sum, count };
}

function timeOf(milliseconds: number): Time {
  const seconds = Math.floor(milliseconds / 1000);
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)];
}
