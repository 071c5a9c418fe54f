import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** What a node:http response says before its body. */
export interface Head {
  readonly status: number;
  readonly message: string;
  readonly headers: OutgoingHttpHeaders;
}

export function headOf(response: ServerResponse): Head {
  const { statusCode: status, statusMessage: message } = response;
  return { status, message, headers: { ...response.getHeaders() } };
}

export function setHead(response: ServerResponse, { status, message, headers }: Head): void {
  response.statusCode = status;
  response.statusMessage = message;
  for (const name of response.getHeaderNames()) {
    if (headers[name] === undefined) response.removeHeader(name);
  }
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && response.getHeader(name) !== value) response.setHeader(name, value);
  }
}

/** A list has names and values in turn, or in pairs, and may repeat a name. */
export function appendHeaders(response: ServerResponse, list: readonly unknown[]): void {
  const flat = Array.isArray(list[0]) ? list.flat(1) : list;
  const entries = flat.flatMap((name, i) => (i % 2 === 0 ? [[String(name), flat[i + 1]] as const] : []));
  for (const [name] of entries) response.removeHeader(name);
  for (const [name, value] of entries) response.appendHeader(name, value as string | string[]);
}

export function valuesOf(value: OutgoingHttpHeader | undefined): readonly string[] {
  return (Array.isArray(value) ? value : [value ?? '']).map(String);
}
