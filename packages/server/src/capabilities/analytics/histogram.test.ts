import { expect, it } from 'vitest';
import { Histogram } from './histogram.js';

function of(values: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

const exactly = (values: readonly number[], q: number) =>
  [...values].sort((a, b) => a - b)[Math.max(1, Math.ceil(q * values.length)) - 1]!;

it('is exact below 64 ms and off by 1/64 at most above, whatever the values', () => {
  let state = 1;
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  for (let round = 0; round < 50; round++) {
    const values = Array.from({ length: 400 }, () => Math.floor(2 ** (random() * 24)));
    for (const q of [0.5, 0.95, 0.99, 1]) {
      const [got, exact] = [of(values).quantile(q)!, exactly(values, q)];
      expect(Math.abs(got - exact), `${got} for ${exact}`).toBeLessThanOrEqual(exact < 64 ? 0 : exact / 64);
    }
  }
});

it('names each value below 2^16 within its bound', () => {
  for (let value = 0; value < 65_536; value++) {
    const got = of([value]).quantile(0.5)!;
    if (Math.abs(got - value) > (value < 64 ? 0 : value / 64)) throw new Error(`${got} for ${value}`);
  }
});

it('adds up: two together are that of all values, also through its stored form', () => {
  const [some, others] = [
    [1, 5, 70, 70, 9_000],
    [0, 64, 3_600_000, 2 ** 40, -1],
  ];
  const sum = of(some);
  sum.merge(Histogram.from(JSON.parse(JSON.stringify(of(others)))));
  expect(sum.toJSON()).toEqual(of([...some, ...others]).toJSON());
  expect(sum.total).toBe(10);
});

it('has no quantile of nothing', () => {
  expect(new Histogram().quantile(0.5)).toBeNull();
});
