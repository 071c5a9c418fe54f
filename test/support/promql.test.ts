import { expect, test } from 'vitest';
import { selectorsOf } from './promql.js';

test.each([
  ['up', ['up']],
  ['sum by (job) (rate(up{job="a, b} (c)",x!=""}[5m])) / 2', ['up{job="a, b} (c)",x!=""}']],
  ['max(a) > 1.5 * max(a offset 1d) and on (x) b > 1e9', ['a', 'a', 'b']],
  ['(sum(increase(a{b=~"c|d"}[15m])) or vector(0)) == 0', ['a{b=~"c|d"}']],
  ['histogram_quantile(0.99, sum by (le) (rate(a_bucket[5m])))', ['a_bucket']],
])('%s reads %j', (expression, selectors) => {
  expect(selectorsOf(expression).map(({ text }) => text)).toEqual(selectors);
});
