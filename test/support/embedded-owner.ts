/**
 * A process that owns an embedded Postgres, for tests that kill it. Takes options as JSON, prints one line of JSON when
 * the server runs or the start failed, stops at a line on stdin or, told `forget`, just ends.
 */
import { once } from 'node:events';
import { startEmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';

const [options, manner] = process.argv.slice(2);
let interrupts = 0;
process.on('SIGINT', () => console.log(JSON.stringify({ interrupts: ++interrupts })));

try {
  const server = await startEmbeddedPostgres(JSON.parse(options ?? '{}') as object);
  console.log(JSON.stringify({ url: server.url, version: server.version }));
  if (manner !== 'forget') {
    await once(process.stdin, 'data');
    process.stdin.destroy();
    await server.stop();
  }
} catch (error) {
  const { name, message, pid } = error as Error & { readonly pid?: number };
  console.log(JSON.stringify({ name, message, pid }));
  process.exit(1);
}
