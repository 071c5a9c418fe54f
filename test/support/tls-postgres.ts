import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/store/embedded/embedded-postgres.js';
import { freePort } from './free-port.js';
import { until } from './until.js';

/** A Postgres that takes TLS connections over TCP, and no others. */
export interface TlsPostgres {
  readonly port: number;
  /** The self-signed certificate, which is its own CA; it names `localhost`. */
  readonly certificate: string;
  stop(): Promise<void>;
}

/**
 * The embedded launcher serves Unix sockets only, where there is no TLS: it makes the cluster, and the same binary then
 * serves it over TCP.
 */
export async function startTlsPostgres(): Promise<TlsPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-tls-'));
  // As root the server runs as another user, who must be able to pass.
  await chmod(folder, 0o711);
  const embedded = await startEmbeddedPostgres({ dataFolder: join(folder, 'postgres') });
  const postgres = await binaryOf(embedded.url);
  await embedded.stop();
  const cluster = join(embedded.dataFolder, 'data');
  const certificate = join(folder, 'server.crt');
  const { uid, gid } = await stat(cluster);
  await makeCertificate(certificate, join(cluster, 'server.key'), uid, gid);
  await writeFile(join(cluster, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 trust\n');
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: '',
    ssl: 'on',
    ssl_cert_file: certificate,
    ssl_key_file: 'server.key',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(postgres, ['-D', cluster, ...flags], {
    cwd: cluster,
    stdio: 'ignore',
    ...(process.getuid?.() === 0 ? { uid, gid } : {}),
  });
  const stop = async () => {
    if (server.exitCode === null) {
      const exit = once(server, 'exit');
      server.kill('SIGINT');
      await exit;
    }
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until('the TLS server answers', async () => {
      const client = new pg.Client({
        host: '127.0.0.1',
        port,
        user: 'onceward',
        database: 'onceward',
        ssl: { rejectUnauthorized: false },
      });
      await client.connect();
      await client.end();
      return true;
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, certificate, stop };
}

/** The program of a running server. */
async function binaryOf(url: string): Promise<string> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ folder: string }>(
      "SELECT setting AS folder FROM pg_config WHERE name = 'BINDIR'",
    );
    return join(rows[0]?.folder ?? '', 'postgres');
  } finally {
    await client.end();
  }
}

async function makeCertificate(certificate: string, key: string, uid: number, gid: number): Promise<void> {
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...subject,
    ...['-keyout', key, '-out', certificate],
  ]);
  // Postgres refuses a key that others can read.
  await chmod(key, 0o600);
  await chown(key, uid, gid);
  await chmod(certificate, 0o644);
}
