/** Status codes (RFC 9110 15 and the IANA registry) and the status lines made of them. */

const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  511: 'Network Authentication Required',
};

/** By status, with the line's end. */
const LINES: string[] = [];
for (let status = 100; status < 1_000; status += 1) {
  LINES[status] = `HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\n`;
}

export function reasonOf(status: number): string {
  return REASONS[status] ?? '';
}

/** `HTTP/1.1 200 OK` and CRLF. `status` must be one that `checkStatus` took. */
export function statusLine(status: number): string {
  return LINES[status]!;
}

/** Throws RangeError for what is no final status; 101 has its own way, and so have other interim responses. */
export function checkStatus(status: number): number {
  if (!Number.isInteger(status) || status < 200 || status > 999) {
    throw new RangeError(`Expected a status from 200 to 999, got ${String(status)}`);
  }
  return status;
}

/** Whether a response of that status never has a body (RFC 9110 6.4.1). */
export function isBodyless(status: number): boolean {
  return status === 204 || status === 304;
}
