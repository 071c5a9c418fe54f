import { describe, expect, test } from 'vitest';
import { spanContextOf } from '../../src/telemetry/trace-context.js';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

describe('a traceparent', () => {
  test.each([
    ['sampled', `00-${traceId}-${spanId}-01`, 1],
    ['not sampled', `00-${traceId}-${spanId}-00`, 0],
    ['of a later version', `01-${traceId}-${spanId}-01`, 1],
    ['of a later version, longer', `cc-${traceId}-${spanId}-01-more`, 1],
  ])('%s names a span', (_, traceparent, traceFlags) => {
    expect(spanContextOf(traceparent)).toEqual({ traceId, spanId, traceFlags, isRemote: true });
  });

  test.each([
    ['empty', ''],
    ['of the version that is none', `ff-${traceId}-${spanId}-01`],
    ['of no trace', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['of no span', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['in capitals', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['too short', `00-${traceId}-${spanId.slice(1)}-01`],
    ['longer than its version', `00-${traceId}-${spanId}-01-more`],
    ['two of them', `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`],
  ])('%s names none', (_, traceparent) => {
    expect(spanContextOf(traceparent)).toBeUndefined();
  });

  test('carries its tracestate on', () => {
    const context = spanContextOf(`00-${traceId}-${spanId}-01`, 'one=1,two=2');
    expect(context?.traceState?.serialize()).toBe('one=1,two=2');
  });
});
