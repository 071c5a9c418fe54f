import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { birthTimeOf, checkKeyRef, hybridKey, identityHash, identityOf, uuidV7 } from '../../src/core/key.js';
import { Violations } from '../../src/core/violations.js';
import { refusalOf } from '../support/refusal.js';

const good = { namespace: 'shop', scope: 'tenant-1', key: 'order-1' };

function refusal(more: Partial<typeof good>): string {
  return refusalOf((violations) => checkKeyRef({ ...good, ...more }, 'ref', violations));
}

describe('the grammar', () => {
  test('the bounds are inside', () => {
    expect(refusal({})).toBe('');
    expect(refusal({ namespace: 'a'.repeat(63), scope: '', key: 'k' })).toBe('');
    expect(refusal({ namespace: '0._-', scope: '~'.repeat(255), key: '!'.repeat(255) })).toBe('');
  });
  test.each([
    ['no key', { key: '' }, 'ref.key must have 1 to 255 characters, has 0'],
    ['256 characters', { key: 'k'.repeat(256) }, 'ref.key must have 1 to 255 characters, has 256'],
    ['a space', { key: 'a b' }, 'ref.key must be visible ASCII'],
    ['a NUL', { key: 'a\0' }, 'ref.key must be visible ASCII'],
    ['a line feed at the end', { key: 'a\n' }, 'ref.key must be visible ASCII'],
    ['DEL', { key: '\x7f' }, 'ref.key must be visible ASCII'],
    ['not ASCII', { key: 'schlüssel' }, 'ref.key must be visible ASCII'],
    ['undecodable', { key: '\ufffd' }, 'ref.key must be visible ASCII'],
    ['scope 256', { scope: 's'.repeat(256) }, 'ref.scope must have 0 to 255 characters, has 256'],
    ['scope with a space', { scope: ' ' }, 'ref.scope must be visible ASCII'],
    ['no namespace', { namespace: '' }, 'ref.namespace must have 1 to 63 characters, has 0'],
    ['namespace 64', { namespace: 'n'.repeat(64) }, 'ref.namespace must have 1 to 63 characters, has 64'],
    ['namespace in capitals', { namespace: 'Shop' }, 'ref.namespace must match'],
    ['namespace with a dot first', { namespace: '.shop' }, 'ref.namespace must match'],
    ['namespace with a line feed', { namespace: 'shop\n' }, 'ref.namespace must match'],
  ])('%s is refused', (_, more, expected) => {
    expect(refusal(more)).toContain(expected);
  });
  test('exactly visible ASCII is a key', () => {
    const characters = fc.integer({ min: 0, max: 0x17f }).map((code) => String.fromCodePoint(code));
    fc.assert(
      fc.property(fc.string({ unit: characters, minLength: 1, maxLength: 3 }), (key) => {
        const visible = [...key].every((character) => character > ' ' && character < '\x7f');
        expect(refusal({ key }) === '').toBe(visible);
      }),
    );
  });
  test('a bad key says KEY_INVALID, anything else REQUEST_INVALID, and neither says the value', () => {
    const reasonOf = (ref: typeof good) => {
      const violations = new Violations();
      checkKeyRef(ref, 'ref', violations);
      return () => {
        violations.throwIfAny();
      };
    };
    expect(reasonOf({ ...good, key: 'secret key' })).toThrow(
      expect.objectContaining({
        reason: 'KEY_INVALID',
        message: expect.not.stringContaining('secret') as string,
      }),
    );
    expect(reasonOf({ ...good, scope: 'secret scope' })).toThrow(
      expect.objectContaining({
        reason: 'REQUEST_INVALID',
        message: expect.not.stringContaining('secret') as string,
      }),
    );
  });
});

describe('identity', () => {
  const visible = fc.string({ unit: fc.constantFrom('a', 'b', '.', ':', '/'), maxLength: 4 });
  test('two identities never share a string', () => {
    fc.assert(
      fc.property(visible, visible, visible, visible, visible, visible, (n1, s1, k1, n2, s2, k2) => {
        const same = n1 === n2 && s1 === s2 && k1 === k2;
        const one = identityOf({ namespace: n1, scope: s1, key: k1 });
        const two = identityOf({ namespace: n2, scope: s2, key: k2 });
        expect(one === two).toBe(same);
        expect(identityHash(one) === identityHash(two)).toBe(same);
      }),
    );
  });
});

describe('minted keys', () => {
  const random = fc.uint8Array({ minLength: 10, maxLength: 10 });
  test('a UUIDv7 gives its time back, also in capitals', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), random, (time, bytes) => {
        const key = uuidV7(time, bytes);
        expect(birthTimeOf(key)).toBe(time);
        expect(birthTimeOf(key.toUpperCase())).toBe(time);
      }),
    );
  });
  test('UUIDv7s order by time, and differ by their random bytes', () => {
    expect(uuidV7(1000, Buffer.alloc(10, 255)) < uuidV7(1001, Buffer.alloc(10, 0))).toBe(true);
    expect(uuidV7(1000.9, Buffer.alloc(10))).toBe(uuidV7(1000, Buffer.alloc(10)));
    expect(uuidV7(1000, Buffer.alloc(10, 1))).not.toBe(uuidV7(1000, Buffer.alloc(10, 2)));
  });
  test.each([
    'order-1',
    '018f3c3e-7a1b-4c3d-8e4f-5a6b7c8d9e0f',
    '018f3c3e-7a1b-7c3d-ce4f-5a6b7c8d9e0f',
    '018f3c3e7a1b7c3d8e4f5a6b7c8d9e0f',
    '018f3c3e-7a1b-7c3d-8e4f-5a6b7c8d9e0f-more',
  ])('%s tells no birth', (key) => {
    expect(birthTimeOf(key)).toBeUndefined();
  });

  const secret = Buffer.alloc(32, 7);
  test('the same client id is another key in another scope, id or namespace secret, and never the id itself', () => {
    const key = hybridKey(secret, 'tenant-1', 'request-1');
    expect(hybridKey(secret, 'tenant-1', 'request-1')).toBe(key);
    expect(key).toMatch(/^h1\.[\w-]{43}$/);
    expect(key).not.toContain('request-1');
    expect(hybridKey(secret, 'tenant-2', 'request-1')).not.toBe(key);
    expect(hybridKey(secret, 'tenant-1', 'request-2')).not.toBe(key);
    expect(hybridKey(Buffer.alloc(32, 8), 'tenant-1', 'request-1')).not.toBe(key);
  });
  test('scope and id can not be shifted into each other', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii', maxLength: 5 }), fc.nat(5), (text, cut) => {
        const visible = text.replaceAll(/[^!-~]/g, '');
        const at = Math.min(cut, visible.length);
        fc.pre(at > 0);
        expect(hybridKey(secret, visible.slice(0, at), visible.slice(at))).not.toBe(
          hybridKey(secret, '', visible),
        );
      }),
    );
  });
});
