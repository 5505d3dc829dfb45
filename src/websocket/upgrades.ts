/** Connections that an HTTP server hands over, after it has read the request. */

import type { Connection, Handler } from '../api.js';
import type { Endpoint } from './endpoint.js';
import type { Agreement } from './permessage-deflate.js';
import {
  type OpeningRules,
  readAcceptance,
  startSocket,
  type UpgradeAcceptance,
} from './server-handshake.js';
import { STAGE_HOOKS } from './stage.js';
import { accept, checkUpgrade, isRefusal, type Refusal, type UpgradeValues } from './upgrade.js';

/** A request, as far as a handshake needs it: the values, or something that has them by name. */
export type UpgradeSource =
  | UpgradeValues
  | {
      /** A field's value by its name in lower case; of a field that came several times all, joined with commas. */
      header(name: string): string | undefined;
      /** Such as `/chat?room=1`. */
      readonly target?: string;
    };

/** There are as many as combinations of protocols and windows; beyond that, each connection gets its own. */
const HANDLERS_MAX = 256;

export class Upgrades {
  readonly #endpoint: Endpoint;
  readonly #rules: OpeningRules;
  /** A connection that was handed over holds its handler: those with the same terms share one. */
  readonly #handlers = new Map<string, Handler>();

  constructor(endpoint: Endpoint, rules: OpeningRules) {
    this.#endpoint = endpoint;
    this.#rules = rules;
  }

  take(
    request: UpgradeSource,
    connection: Connection,
    acceptance: UpgradeAcceptance = {},
  ): Handler | Refusal {
    const rules = this.#rules;
    const opening = checkUpgrade(valuesOf(request), rules);
    if (isRefusal(opening)) {
      this.#endpoint.counts.handshakesRefused += 1;
      return opening;
    }
    const { protocol, headers } = readAcceptance(acceptance, opening, rules);
    const { compressions } = this.#endpoint.sideOf(connection.reactor);
    const { response, agreement } = accept(opening, protocol, rules, compressions, headers);
    connection.write(response);
    return this.#handlerFor(protocol, agreement, acceptance.context);
  }

  #handlerFor(protocol: string, agreement: Agreement | undefined, context: unknown): Handler {
    const terms = `${protocol} ${JSON.stringify(agreement)}`;
    let handler = context === undefined ? this.#handlers.get(terms) : undefined;
    if (handler === undefined) {
      handler = {
        ...STAGE_HOOKS,
        onOpen: (connection) => {
          const side = this.#endpoint.sideOf(connection.reactor);
          startSocket(side, connection, protocol, agreement, context);
        },
      };
      if (context === undefined && this.#handlers.size < HANDLERS_MAX) {
        this.#handlers.set(terms, handler);
      }
    }
    return handler;
  }
}

function valuesOf(request: UpgradeSource): UpgradeValues {
  if (!('header' in request)) {
    return request;
  }
  return {
    key: request.header('sec-websocket-key'),
    version: request.header('sec-websocket-version'),
    protocol: request.header('sec-websocket-protocol'),
    extensions: request.header('sec-websocket-extensions'),
    origin: request.header('origin'),
    target: request.target,
  };
}
