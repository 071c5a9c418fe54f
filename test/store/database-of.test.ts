import { expect, test } from 'vitest';
import { databaseOf } from '../../src/store/database-of.js';

test.each([
  ['postgres://me:secret@db.example/onceward', 'onceward', 'db.example', 5432],
  ['postgresql://me@[::1]:6432/shop%20keys?sslmode=require', 'shop keys', '[::1]', 6432],
  ['postgres://db', '', 'db', 5432],
  ['postgres://me@db', 'me', 'db', 5432],
  ['postgres://me@localhost/keys?host=%2Frun%2Fpostgresql&port=5433', 'keys', undefined, undefined],
  ['postgres://me@/keys?host=/run/postgresql', 'keys', undefined, undefined],
  ['postgres://me@first/keys?host=second&port=5433', 'keys', 'second', 5433],
])('%s', (url, name, address, port) => {
  expect(databaseOf(url)).toEqual({ name, address, port });
});
