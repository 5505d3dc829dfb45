/**
 * Certificates for tests, made by the openssl program when a test file starts, as node has no generator: two CAs that
 * do not know each other, and what they signed. Elliptic curves, but for one of RSA: generating those takes long.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

export interface Identity {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

interface Wanted {
  readonly name: string;
  readonly subject: string;
  readonly names?: string;
  readonly issuer?: Identity;
  readonly rsa?: boolean;
  readonly extensions?: readonly string[];
}

export class TestCertificates {
  readonly folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
  readonly ca = this.#make({ name: 'ca', subject: '/CN=millrace test CA', extensions: CA });
  readonly otherCa = this.#make({ name: 'other-ca', subject: '/CN=another CA', extensions: CA });
  /** For localhost and 127.0.0.1. */
  readonly server = this.issue('server', 'DNS:localhost,IP:127.0.0.1,IP:::1');
  readonly client = this.issue('client', 'DNS:client.test');
  /** Of the CA that nobody trusts. */
  readonly stranger = this.issue('stranger', 'DNS:localhost,IP:127.0.0.1', {
    issuer: this.otherCa,
  });

  constructor() {
    after(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** A certificate for `names`, in openssl's notation such as `DNS:a.test,IP:127.0.0.1`. */
  issue(name: string, names: string, options: Partial<Wanted> = {}): Identity {
    return this.#make({ name, subject: `/CN=${name}`, names, issuer: this.ca, ...options });
  }

  /** Writes a file into the folder. */
  write(name: string, text: string | Uint8Array): string {
    const path = join(this.folder, name);
    writeFileSync(path, text);
    return path;
  }

  /** For `openssl req` knows no validity in the past, `openssl ca` does. */
  issueExpired(names: string): Identity {
    const identity = this.issue('expired', names);
    const request = join(this.folder, 'expired.csr');
    const settings = this.write(
      'ca.conf',
      `[ca]\ndefault_ca=d\n[d]\nnew_certs_dir=${this.folder}\ndatabase=${this.write('db', '')}\n` +
        'default_md=sha256\npolicy=p\nrand_serial=yes\nx509_extensions=x\n' +
        `[p]\ncommonName=supplied\n[x]\nsubjectAltName=${names}\n`,
    );
    const { certFile, keyFile } = identity;
    openssl('req', '-new', '-key', keyFile, '-subj', '/CN=expired', '-out', request);
    openssl(
      ...['ca', '-batch', '-notext', '-config', settings, '-in', request, '-out', certFile],
      ...['-cert', this.ca.certFile, '-keyfile', this.ca.keyFile],
      ...['-startdate', '20200101000000Z', '-enddate', '20200102000000Z'],
    );
    return { ...identity, cert: readFileSync(certFile, 'utf8') };
  }

  #make(wanted: Wanted): Identity {
    const { name, subject, names, issuer, rsa = false, extensions = [] } = wanted;
    const certFile = join(this.folder, `${name}.pem`);
    const keyFile = join(this.folder, `${name}.key`);
    const algorithm = rsa ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    const signer = issuer === undefined ? [] : ['-CA', issuer.certFile, '-CAkey', issuer.keyFile];
    const allExtensions = [
      ...(names === undefined ? [] : [`subjectAltName=${names}`]),
      ...(extensions.length > 0 ? extensions : ['basicConstraints=critical,CA:FALSE']),
    ];
    openssl(
      ...['req', '-x509', '-nodes', '-newkey', ...algorithm, '-days', '30', '-subj', subject],
      ...['-keyout', keyFile, '-out', certFile, ...signer],
      ...allExtensions.flatMap((extension) => ['-addext', extension]),
    );
    return {
      certFile,
      keyFile,
      cert: readFileSync(certFile, 'utf8'),
      key: readFileSync(keyFile, 'utf8'),
    };
  }
}

const CA = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
