/**
 * llhttp, Node's HTTP parser, as WebAssembly: the build inside of the npm package undici, driven as a parser of
 * requests or of responses. It gives the same log as event-log.ts, so that the two can be compared line by line.
 */

import { createRequire } from 'node:module';

import { quote } from './event-log.js';

interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer };
  llhttp_alloc(type: number): number;
  llhttp_free(parser: number): void;
  malloc(byteLength: number): number;
  free(address: number): void;
  llhttp_execute(parser: number, address: number, byteLength: number): number;
  llhttp_get_method(parser: number): number;
  llhttp_get_http_minor(parser: number): number;
  llhttp_get_upgrade(parser: number): number;
  llhttp_method_name(method: number): number;
  llhttp_get_error_reason(parser: number): number;
}

/** What WebAssembly has, of which Node's own types say nothing without those of a browser. */
interface WebAssemblyLike {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Llhttp };
}

const REQUEST = 1;
const RESPONSE = 2;
/** HPE_PAUSED_UPGRADE: what follows an upgrade belongs to another protocol. */
const PAUSED_UPGRADE = 22;

class Log {
  lines: string[] = [];
  url = '';
  name = '';
  value = '';
  hasValue = false;
  fields: [string, string][] = [];
  body = '';
  isInTrailers = false;

  beginMessage(): void {
    this.url = '';
    this.body = '';
    this.fields = [];
    this.name = '';
    this.isInTrailers = false;
  }

  endField(): void {
    if (this.name !== '') {
      this.fields.push([this.name.toLowerCase(), this.value.replace(/[ \t]+$/, '')]);
      this.name = '';
      this.value = '';
    }
  }

  endHead(method: string, minor: number): void {
    this.endField();
    this.lines.push(`${method} ${quote(this.url)} 1.${minor}`);
    this.lines.push(...joined(this.fields, '  '));
    this.fields = [];
    this.isInTrailers = true;
  }

  endResponseHead(status: number, minor: number): void {
    this.endField();
    this.lines.push(`${status} 1.${minor}`);
    this.lines.push(...joined(this.fields, '  '));
    this.fields = [];
    this.isInTrailers = true;
  }

  endBody(): void {
    if (this.body !== '') {
      this.lines.push(`body ${quote(this.body)}`);
      this.body = '';
    }
  }

  endMessage(): void {
    this.endBody();
    this.endField();
    this.lines.push(...joined(this.fields, 'trailer '), 'end');
  }
}

/** Fields of one name as one, as the reader under test gives them. */
function joined(fields: readonly [string, string][], prefix: string): string[] {
  const map = new Map<string, string>();
  for (const [name, value] of fields) {
    const before = map.get(name);
    const separator = name === 'cookie' ? '; ' : ', ';
    map.set(name, before === undefined ? value : before + separator + value);
  }
  return [...map].map(([name, value]) => `${prefix}${name}: ${quote(value)}`);
}

let exported: Llhttp | undefined;
let log = new Log();
let type = REQUEST;
/** The response is to a HEAD. */
let isHead = false;

function load(): Llhttp {
  if (exported !== undefined) {
    return exported;
  }
  const wasm: Buffer = createRequire(import.meta.url)('undici/lib/llhttp/llhttp-wasm.js');
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyLike })
    .WebAssembly;
  const text = (at: number, n: number) =>
    Buffer.from(exported!.memory.buffer, at, n).toString('latin1');
  const env = {
    wasm_on_message_begin: () => {
      log.beginMessage();
      return 0;
    },
    wasm_on_url: (_: number, at: number, n: number) => {
      log.url += text(at, n);
      return 0;
    },
    wasm_on_status: () => 0,
    wasm_on_header_field: (_: number, at: number, n: number) => {
      if (log.hasValue) {
        log.endField();
        log.hasValue = false;
      }
      log.name += text(at, n);
      return 0;
    },
    wasm_on_header_value: (_: number, at: number, n: number) => {
      log.hasValue = true;
      log.value += text(at, n);
      return 0;
    },
    wasm_on_headers_complete: (parser: number, status: number) => {
      if (type === RESPONSE) {
        log.endResponseHead(status, exported!.llhttp_get_http_minor(parser));
        log.hasValue = false;
        // That these have no body is for its embedder to say.
        return isHead || status === 304 ? 1 : 0;
      }
      const name = exported!.llhttp_method_name(exported!.llhttp_get_method(parser));
      log.endHead(cString(name), exported!.llhttp_get_http_minor(parser));
      log.hasValue = false;
      return 0;
    },
    wasm_on_body: (_: number, at: number, n: number) => {
      log.body += text(at, n);
      return 0;
    },
    wasm_on_message_complete: () => {
      log.endMessage();
      return 0;
    },
  };
  exported = new Instance(new Module(wasm), { env }).exports;
  return exported;
}

function cString(address: number): string {
  const bytes = Buffer.from(exported!.memory.buffer);
  return bytes.toString('latin1', address, bytes.indexOf(0, address));
}

/** Its log of responses to a method. What ends with the connection has no `end`. */
export function llhttpResponseLog(
  bytes: Buffer,
  method: string,
  cuts: readonly number[] = [],
): string[] {
  type = RESPONSE;
  isHead = method === 'HEAD';
  try {
    return llhttpLog(bytes, cuts);
  } finally {
    type = REQUEST;
  }
}

/** The log of llhttp, fed in pieces that end at the given cuts. */
export function llhttpLog(bytes: Buffer, cuts: readonly number[] = []): string[] {
  const llhttp = load();
  log = new Log();
  const parser = llhttp.llhttp_alloc(type);
  let from = 0;
  try {
    for (const cut of [...cuts, bytes.byteLength]) {
      const piece = bytes.subarray(from, cut);
      from = cut;
      const address = llhttp.malloc(piece.byteLength + 1);
      Buffer.from(llhttp.memory.buffer).set(piece, address);
      const error = llhttp.llhttp_execute(parser, address, piece.byteLength);
      llhttp.free(address);
      if (error === PAUSED_UPGRADE) {
        return [...log.lines, 'upgrade'];
      }
      if (error !== 0) {
        log.endBody();
        return [...log.lines, `reject ${cString(llhttp.llhttp_get_error_reason(parser))}`];
      }
    }
    log.endBody();
    return log.lines;
  } finally {
    llhttp.llhttp_free(parser);
  }
}
