import { describe, expect, test } from 'vitest';
import { codecFingerprinter, descriptorFingerprinter } from '../../src/client/canonical.js';
import { methodDescriptor, readDescriptors } from '../../src/client/method-policy.js';
import { shopDescriptors } from '../support/shop-descriptors.js';
import { shopMethod, type ChargeRequest } from '../support/shop-service.js';

const { requestSerialize, requestDeserialize } = shopMethod('Charge');
const { input } = methodDescriptor(readDescriptors(shopDescriptors()), '/shop.v1.Shop/Charge')!;

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

type Bytes = ChargeRequest | Buffer;
function bytesOf(request: Bytes): Buffer {
  return Buffer.isBuffer(request) ? request : requestSerialize(request);
}

const withDescriptor = (request: Bytes, exclude: readonly string[] = [], version = 1) => {
  const { digest } = descriptorFingerprinter(input, exclude, version)(bytesOf(request), undefined);
  return hex(digest);
};
const withCodec = (request: Bytes) => {
  const serialize = requestSerialize as (value: unknown) => Buffer;
  const bytes = bytesOf(request);
  return hex(codecFingerprinter(serialize, 1)(bytes, requestDeserialize(bytes)).digest);
};

/** Field order, map order and default values are an encoder's choice; these are written by hand. */
const order = Buffer.from('0a016f', 'hex'); // order: "o"
const cents = Buffer.from('1005', 'hex'); // cents: 5
const priceA = Buffer.from('2a080a01611203' + '0a0178', 'hex'); // prices: {a: {sku: "x"}}
const priceB = Buffer.from('2a080a01621203' + '0a0179', 'hex'); // prices: {b: {sku: "y"}}

describe.each([
  ['by its descriptor', withDescriptor],
  ['by its codec', withCodec],
])('the fingerprint of a message, %s,', (_, fingerprint) => {
  test('does not depend on the order of fields and maps', () => {
    const one = fingerprint(Buffer.concat([order, cents, priceA, priceB]));
    expect(fingerprint(Buffer.concat([priceB, cents, priceA, order]))).toBe(one);
    expect(fingerprint(Buffer.concat([order, cents, priceA]))).not.toBe(one);
  });

  test('depends on every value', () => {
    const base: ChargeRequest = { order: 'o', cents: 5, lines: [{ sku: 'a' }, { sku: 'b' }] };
    const variants: ChargeRequest[] = [
      base,
      { ...base, order: 'p' },
      { ...base, cents: 6 },
      { ...base, note: 'n' },
      { ...base, lines: [{ sku: 'b' }, { sku: 'a' }] },
      { ...base, lines: [{ sku: 'a' }, { comment: 'b' }] },
      { ...base, prices: { a: { sku: 'x' } } },
      { ...base, coupon: 'c' },
    ];
    expect(new Set(variants.map((request) => fingerprint(request))).size).toBe(variants.length);
  });

  test('tells an absent optional field from an empty one', () => {
    expect(fingerprint({ order: 'o', coupon: '' })).not.toBe(fingerprint({ order: 'o' }));
  });
});

describe('a fingerprint leaves out', () => {
  const request: ChargeRequest = {
    order: 'o',
    note: 'n',
    lines: [{ sku: 'a', comment: 'x' }, { sku: 'b' }],
    prices: { p: { sku: 'c', comment: 'y' } },
    coupon: 'k',
  };

  test.each<[string, ChargeRequest]>([
    ['note', { ...request, note: 'other' }],
    ['coupon', { ...request, coupon: 'other' }],
    ['lines.comment', { ...request, lines: [{ sku: 'a' }, { sku: 'b', comment: 'z' }] }],
    ['prices.comment', { ...request, prices: { p: { sku: 'c' } } }],
    ['lines', { ...request, lines: [] }],
    ['prices', { ...request, prices: {} }],
  ])('%s', (path, other) => {
    expect(withDescriptor(other, [path])).toBe(withDescriptor(request, [path]));
    expect(withDescriptor(other)).not.toBe(withDescriptor(request));
    expect(withDescriptor({ ...request, order: 'p' }, [path])).not.toBe(withDescriptor(request, [path]));
  });

  test.each(['nothing', 'lines.nothing', 'order.sku', ''])('no field that is not there: %j', (path) => {
    expect(() => descriptorFingerprinter(input, [path], 1)).toThrow(
      `fingerprintExclude: shop.v1.ChargeRequest has no field ${path}`,
    );
  });
});

test('a field that only a newer caller knows counts', () => {
  const unknown = Buffer.from('7a0178', 'hex');
  expect(withDescriptor(Buffer.concat([order, unknown]))).not.toBe(withDescriptor(order));
});
