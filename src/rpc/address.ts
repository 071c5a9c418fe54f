/** As in URLs and gRPC targets: an IPv6 address, which has colons of its own, is put in brackets. */
export function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
