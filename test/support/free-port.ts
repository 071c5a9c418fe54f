import { type AddressInfo, createServer } from 'node:net';

/** A port of 127.0.0.1 where nothing listens, for what can't be told to take a free one itself. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
