import { expect, test } from 'vitest';
import { Flights } from '../../src/coordinator/flights.js';

test('a flight is there from its start to its landing, however many came and went meanwhile', () => {
  const flights = new Flights<number>();
  flights.add('long', -1);
  for (let i = 0; i < 10_000; i += 1) {
    flights.add(`${i}`, i);
    expect(flights.get(`${i}`)).toBe(i);
    expect(flights.get('long')).toBe(-1);
    flights.remove(`${i}`);
    expect(flights.get(`${i}`)).toBeUndefined();
  }
  flights.remove('long');
  expect(flights.get('long')).toBeUndefined();
  flights.add('long', 2);
  expect(flights.get('long')).toBe(2);
});
