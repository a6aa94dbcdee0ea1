import { expect, it } from 'vitest';
import { builtin } from '../../testing/redaction-rules.js';
import { plansOf } from './plans.js';

const noSearch = (): never => {
  throw new Error('no rule has a regex');
};
const id = (n: number) => `route-${n}`;
const redacts = (plan: { head(status: number, raw: string[]): { rawHeaders: string[] } }) =>
  plan.head(200, ['x-a', '4111111111111111']).rawHeaders[1] === '[REDACTED]';

it('a route that no rule names has the plan of all', () => {
  const { route } = plansOf([builtin('pan')], noSearch);
  expect(route.ofRoute(id(1))).toBe(route);
});

it('a route that a rule names has one of its own, kept as long as others leave room', () => {
  const routeIds = Array.from({ length: 300 }, (_, n) => id(n));
  const { route, ephemeral } = plansOf([builtin('pan', { routeIds })], noSearch);
  const first = route.ofRoute(id(0));
  expect([redacts(first), redacts(route), redacts(ephemeral)]).toEqual([true, false, false]);
  expect(route.ofRoute(id(0))).toBe(first);
  for (const one of routeIds) expect(redacts(route.ofRoute(one))).toBe(true);
  expect(route.ofRoute(id(0))).not.toBe(first);
  expect(route.ofRoute('unheard-of')).toBe(route);
});

it('a rule whose routes are all gone applies to no call', () => {
  const { route, ephemeral } = plansOf([builtin('pan', { routeIds: [] })], noSearch);
  expect([redacts(route), redacts(route.ofRoute(id(1))), redacts(ephemeral)]).toEqual([false, false, false]);
});
