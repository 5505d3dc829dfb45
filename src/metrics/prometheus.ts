/**
 * Metrics as text: Prometheus' exposition format 0.0.4, and OpenMetrics 1.0. Written by hand, since that is a page of
 * code: see docs/observability.md for the comparison with a library.
 */

import type { ServerStats } from '../connection/stats.js';
import type { Metric } from './metric.js';
import { serverMetrics } from './server-metrics.js';

export type MetricsFormat = 'prometheus' | 'openmetrics';

export interface MetricsTextOptions {
  /** What all names begin with. `millrace`. */
  prefix?: string;
  /** Labels of all samples, such as `{ service: 'chat' }`. `reactor` and `le` are ours. */
  labels?: Readonly<Record<string, string>>;
  /** `prometheus` by default. */
  format?: MetricsFormat;
  /** Metrics of the program's own, under the same prefix. */
  more?: readonly Metric[];
}

export const CONTENT_TYPES: Readonly<Record<MetricsFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * The text of all metrics of a server, to be sent with the content type of its format.
 *
 * @throws TypeError for names of metrics or labels that the format does not have, and for labels that are ours.
 */
export function metricsText(stats: ServerStats, options: MetricsTextOptions = {}): string {
  const { prefix = 'millrace', labels = {}, format = 'prometheus', more = [] } = options;
  checkName('prefix', prefix);
  for (const name of Object.keys(labels)) {
    checkName('label', name);
    if (name === 'reactor' || name === 'le') {
      throw new TypeError(`The label ${name} is given by the library`);
    }
  }
  const common = Object.entries(labels).map(([name, value]) => labelText(name, value));
  const lines: string[] = [];
  for (const metric of [...serverMetrics(stats), ...more]) {
    checkName('metric', metric.name);
    append(lines, `${prefix}_${metric.name}`, metric, common, format);
  }
  lines.push(format === 'openmetrics' ? '# EOF\n' : '');
  return lines.join('\n');
}

function append(
  lines: string[],
  name: string,
  metric: Metric,
  common: readonly string[],
  format: MetricsFormat,
): void {
  const total = metric.kind === 'counter' ? `${name}_total` : name;
  // OpenMetrics names the family without the suffix.
  const family = format === 'openmetrics' ? name : total;
  lines.push(`# HELP ${family} ${escaped(metric.help, format === 'openmetrics')}`);
  lines.push(`# TYPE ${family} ${metric.kind}`);
  if (metric.kind !== 'histogram') {
    for (const { labels, value } of metric.samples) {
      lines.push(`${total}${labelsText(common, labels)} ${numberText(value)}`);
    }
    return;
  }
  for (const { labels, buckets, sum, count } of metric.samples) {
    for (const [upTo, seen] of buckets) {
      const le = { ...labels, le: boundText(upTo, format) };
      lines.push(`${name}_bucket${labelsText(common, le)} ${numberText(seen)}`);
    }
    const all = { ...labels, le: '+Inf' };
    lines.push(`${name}_bucket${labelsText(common, all)} ${numberText(count)}`);
    lines.push(`${name}_sum${labelsText(common, labels)} ${numberText(sum)}`);
    lines.push(`${name}_count${labelsText(common, labels)} ${numberText(count)}`);
  }
}

function labelsText(common: readonly string[], labels: Readonly<Record<string, string>>): string {
  const own = Object.entries(labels).map(([name, value]) => {
    checkName('label', name);
    return labelText(name, value);
  });
  return common.length + own.length === 0 ? '' : `{${[...common, ...own].join(',')}}`;
}

function labelText(name: string, value: string): string {
  return `${name}="${escaped(String(value), true)}"`;
}

/** In labels, and everywhere in OpenMetrics, quotes are escaped, too. */
function escaped(text: string, escapesQuotes: boolean): string {
  const most = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return escapesQuotes ? most.replaceAll('"', '\\"') : most;
}

function numberText(value: number): string {
  return Number.isNaN(value)
    ? 'NaN'
    : Math.abs(value) === Number.POSITIVE_INFINITY
      ? `${value > 0 ? '+' : '-'}Inf`
      : String(value);
}

/** OpenMetrics wants bounds to look like floating-point numbers. */
function boundText(bound: number, format: MetricsFormat): string {
  return format === 'openmetrics' && Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function checkName(what: string, name: string): void {
  if (typeof name !== 'string' || !NAME.test(name)) {
    throw new TypeError(`Expected a ${what} of letters, digits and _, got ${String(name)}`);
  }
}
