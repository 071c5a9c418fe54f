import { afterAll, beforeAll, expect, test } from 'vitest';
import { Namespaces } from '../../src/coordinator/namespaces.js';
import type { OpenStore } from '../../src/store/open-store.js';
import { createDatabase, type TestDatabase } from '../support/database.js';
import { openTestStore } from '../support/store.js';

let database: TestDatabase;
let opened: OpenStore;
beforeAll(async () => {
  database = await createDatabase();
  opened = await openTestStore(database.url);
});
afterAll(async () => {
  await opened.close();
  await database.drop();
});

test('a namespace that was found is declared, also when it changed while it was read', async () => {
  const namespaces = new Namespaces(opened.store);
  const read = namespaces.get('test');
  namespaces.drop('test');
  expect(await read).toMatchObject({ name: 'test' });
  expect(namespaces.has('test')).toBe(true);
  // What was read may be from before the change, and is not kept.
  expect(namespaces.known('test')).toBeUndefined();
});
