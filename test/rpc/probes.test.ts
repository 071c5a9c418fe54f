import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { caught } from '../support/caught.js';
import {
  startCoordinator,
  startSetup,
  type TestCoordinator,
  type TestSetup,
} from '../support/coordinator.js';
import { withoutDatabase } from '../support/outage.js';
import { until } from '../support/until.js';

let setup: TestSetup;
let plain: TestCoordinator;
let reflecting: TestCoordinator;
beforeAll(async () => {
  setup = await startSetup();
  [plain] = setup.coordinators as [TestCoordinator];
  reflecting = await startCoordinator(setup.database.url, { reflection: true });
});
afterAll(async () => {
  await reflecting.stop();
  await setup.stop();
});

const services = ['', 'onceward.v1.Coordinator', 'onceward.v1.Admin'];

async function http(coordinator: TestCoordinator, path: string): Promise<[status: number, body: string]> {
  const answer = await fetch(`http://127.0.0.1:${coordinator.server.httpPort}${path}`);
  return [answer.status, await answer.text()];
}

describe('health', () => {
  test('is SERVING for the server and each of its services, and no other', async () => {
    for (const service of services) expect(await plain.health(service)).toBe('SERVING');
    expect(await caught(plain.health('onceward.v1.Nobody'))).toMatchObject({ code: 5 });
  });
  test('over HTTP: alive and ready', async () => {
    expect(await http(plain, '/healthz')).toEqual([200, 'ok\n']);
    expect(await http(plain, '/readyz')).toEqual([200, 'ok\n']);
    expect((await http(plain, '/nothing'))[0]).toBe(404);
  });
  test('without a database: alive, but not ready and NOT_SERVING; with it again by itself', async () => {
    await withoutDatabase(setup.database, async () => {
      await until('NOT_SERVING', async () => (await plain.health('')) === 'NOT_SERVING');
      for (const service of services) expect(await plain.health(service)).toBe('NOT_SERVING');
      expect(await http(plain, '/healthz')).toEqual([200, 'ok\n']);
      expect(await http(plain, '/readyz')).toEqual([503, 'the database does not answer\n']);
    });
    await until('SERVING', async () => (await plain.health('')) === 'SERVING');
    expect(await http(plain, '/readyz')).toEqual([200, 'ok\n']);
  });
});

interface ReflectionAnswer {
  readonly list_services_response?: { readonly service: readonly { readonly name: string }[] };
  readonly file_descriptor_response?: { readonly file_descriptor_proto: readonly Buffer[] };
}

/** One question of the reflection protocol. */
function reflect(coordinator: TestCoordinator, question: object): Promise<ReflectionAnswer> {
  const folder = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const file = join(folder, 'build/proto/grpc/reflection/v1/reflection.proto');
  const definition = loadSync(file, { keepCase: true })['grpc.reflection.v1.ServerReflection'];
  if (definition === undefined || 'format' in definition) throw new Error('no reflection service');
  const { path, requestSerialize, responseDeserialize } = definition['ServerReflectionInfo']!;
  const client = new Client(coordinator.address, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    stream.on('data', (answer: ReflectionAnswer) => {
      resolve(answer);
      stream.end();
    });
    stream.on('error', reject);
    stream.on('status', () => {
      client.close();
    });
    stream.write(question);
  });
}

describe('reflection', () => {
  test('lists the services and gives their protos', async () => {
    const listed = await reflect(reflecting, { list_services: '*' });
    const names = listed.list_services_response?.service.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['onceward.v1.Coordinator', 'onceward.v1.Admin']));
    const described = await reflect(reflecting, { file_containing_symbol: 'onceward.v1.Coordinator' });
    const files = described.file_descriptor_response?.file_descriptor_proto ?? [];
    expect(Buffer.concat(files).toString('latin1')).toContain('BeginRequest');
  });
  test('is off unless asked for', async () => {
    await expect(reflect(plain, { list_services: '*' })).rejects.toMatchObject({ code: 12 });
  });
});
