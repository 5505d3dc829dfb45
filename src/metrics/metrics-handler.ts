/** An endpoint for Prometheus: a handler that answers GET /metrics, for a server of its own. */

import type { Server } from '../api.js';
import { type HttpHandler, httpHandler } from '../http/index.js';
import type { Metric } from './metric.js';
import {
  CONTENT_TYPES,
  type MetricsFormat,
  type MetricsTextOptions,
  metricsText,
} from './prometheus.js';

export interface MetricsHandlerOptions extends Omit<MetricsTextOptions, 'format' | 'more'> {
  /** Where the metrics are. `/metrics`. */
  path?: string;
  /** Metrics of the program's own, asked for with each request. */
  more?: () => readonly Metric[];
}

/**
 * A handler for `serve` that tells of `server`, in the format that the client asks for: Prometheus' or OpenMetrics.
 * Give it an address that only those can reach who may know, such as `tcp://127.0.0.1:9464`.
 *
 * @throws TypeError for options that no text can be made of.
 */
export function metricsHandler(
  server: Pick<Server, 'stats'>,
  options: MetricsHandlerOptions = {},
): HttpHandler {
  const { path = '/metrics', more, ...rest } = options;
  const textOf = (format: MetricsFormat) =>
    metricsText(server.stats, { ...rest, format, more: more?.() ?? [] });
  // Wrong options are to be told now, not with the first request.
  textOf('prometheus');
  return httpHandler({
    onRequest(request, response) {
      if (request.path !== path) {
        response.status = 404;
        response.end(`see ${path}\n`);
        return;
      }
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.status = 405;
        response.field('Allow', 'GET, HEAD');
        response.end();
        return;
      }
      const format = formatFor(request.header('accept') ?? '');
      response.field('Content-Type', CONTENT_TYPES[format]);
      response.end(textOf(format));
    },
  });
}

/** Prometheus names OpenMetrics when it can read it, and prefers it. */
function formatFor(accept: string): MetricsFormat {
  return /application\/openmetrics-text(?!.*q=0(?:\.0*)?(?:,|$))/i.test(accept)
    ? 'openmetrics'
    : 'prometheus';
}
