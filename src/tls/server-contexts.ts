/** The certificates of a server: which context a ClientHello gets. Made anew, as a whole, when they are reloaded. */

import type { ServerContextOptions, TlsOptions } from './options.js';
import type { TicketSettings } from './secure-context.js';
import { SecureContext } from './secure-context.js';
import { ServerNames } from './server-names.js';

export class ServerContexts {
  readonly fallback: SecureContext;
  readonly names = new ServerNames<SecureContext>();

  /** Throws, leaving nothing behind, if one of them cannot be made. */
  constructor(options: TlsOptions, tickets: TicketSettings) {
    this.fallback = SecureContext.server(options, tickets);
    try {
      for (const [name, own] of Object.entries(options.serverNames ?? {})) {
        const context = SecureContext.server(withDefaults(options, own), tickets);
        try {
          this.names.add(name, context);
        } catch (error) {
          context.close();
          throw error;
        }
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.fallback.close();
    for (const context of this.names.entries()) {
      context.close();
    }
  }
}

/** What a name's options leave out is as for all; but a certificate goes with its own key and OCSP response. */
function withDefaults(
  options: TlsOptions,
  own: Partial<ServerContextOptions>,
): ServerContextOptions {
  const { serverNames, ocspResponse, ...rest } = options;
  const staple = own.cert === undefined && ocspResponse !== undefined ? { ocspResponse } : {};
  return { ...rest, ...staple, ...own };
}
