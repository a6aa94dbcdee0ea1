import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fuzz } from '../../../testing/fuzz.js';
import type { OidcBinding } from '../store.js';
import { anchorsFor, anchorsOf } from './anchors.js';
import { bindingMatches, mostSpecific } from './matching.js';

const ISSUER = 'https://idp.example.net';

function binding(more: Partial<OidcBinding>): OidcBinding {
  return {
    id: 'b',
    name: 'b',
    provider: 'custom',
    issuer: ISSUER,
    audiences: [],
    subject: null,
    claims: {},
    access: { scopes: [] },
    ttlSeconds: 60,
    enabled: true,
    lastUsedAtMs: null,
    createdAtMs: 1,
    updatedAtMs: 1,
    ...more,
  };
}
const presented = (payload: Record<string, unknown>, subject = 'a:b') => ({
  issuer: ISSUER,
  subject,
  payload,
});

describe('claims', () => {
  it('are compared to the letter, with one value or one of a list', () => {
    const one = binding({ claims: { repository: ['acme/shop'], ref: ['main', 'next'] } });
    expect(bindingMatches(one, presented({ repository: 'acme/shop', ref: 'next' }))).toBe(true);
    expect(bindingMatches(one, presented({ repository: 'acme/shop', ref: 'Next' }))).toBe(false);
    expect(bindingMatches(one, presented({ repository: 'acme/shop' }))).toBe(false);
    expect(bindingMatches(one, presented({ repository: ['acme/shop'], ref: 'main' }))).toBe(false);
  });

  it('of numbers and booleans are compared as JSON writes them, all else matches nothing', () => {
    const one = (value: string) => binding({ claims: { c: [value] } });
    expect(bindingMatches(one('74'), presented({ c: 74 }))).toBe(true);
    expect(bindingMatches(one('true'), presented({ c: true }))).toBe(true);
    for (const c of [null, {}, [], 1.5, undefined])
      expect(bindingMatches(one(String(c)), presented({ c }))).toBe(false);
  });

  it('are the assertion’s own, not what every object has', () => {
    const one = binding({ claims: { constructor: [String(Object)] } });
    expect(bindingMatches(one, presented({}))).toBe(false);
  });

  it('of another issuer match nothing', () => {
    expect(
      bindingMatches(binding({ claims: { c: ['1'] } }), {
        ...presented({ c: '1' }),
        issuer: 'https://b.example',
      }),
    ).toBe(false);
  });
});

describe('the most specific binding', () => {
  it('has the subject to the letter, then with most text, then none; then most claims; then it is the older', () => {
    const inOrder = [
      binding({ id: 'exact', subject: 'repo:acme/shop' }),
      binding({ id: 'long', subject: 'repo:acme/sho*' }),
      binding({ id: 'short with a claim', subject: 'repo:acme/s*', claims: { a: ['1'] } }),
      binding({ id: 'short', subject: 'repo:acme/s*' }),
      binding({ id: 'two claims', claims: { a: ['1'], b: ['1'] } }),
      binding({ id: 'one claim', claims: { a: ['1'] } }),
      binding({ id: 'younger', claims: { b: ['1'] }, createdAtMs: 2 }),
    ];
    for (let first = 0; first < inOrder.length; first++)
      expect(mostSpecific(inOrder.slice(first).reverse())?.id).toBe(inOrder[first]!.id);
    expect(mostSpecific([])).toBeUndefined();
  });
});

describe('anchors', () => {
  const part = fc.constantFrom('a', 'b', 'ab', '*', 'a*', '*b', '');
  const subject = fc
    .array(part, { minLength: 1, maxLength: 4 })
    .chain((parts) =>
      fc
        .array(fc.constantFrom(':', '/'), { minLength: parts.length, maxLength: parts.length })
        .map((separators) =>
          parts.map((text, at) => text + (at < parts.length - 1 ? separators[at] : '')).join(''),
        ),
    );
  const value = fc.constantFrom('1', '2', 'true');

  it('of a binding that matches are among those of the assertion', () => {
    fc.assert(
      fc.property(
        fc.option(subject),
        fc.dictionary(fc.constantFrom('c', 'd'), fc.uniqueArray(value, { minLength: 1 }), { minKeys: 1 }),
        subject,
        fc.record({ c: fc.constantFrom('1', '2', 1, true), d: value }),
        (asked, claims, given, payload) => {
          const one = binding({ subject: asked, claims });
          const shown = presented(payload, given.replaceAll('*', 'x'));
          if (!bindingMatches(one, shown)) return;
          const shownAnchors = anchorsFor(shown).map((anchor) => anchor.toString('hex'));
          expect(anchorsOf(one).some((anchor) => shownAnchors.includes(anchor.toString('hex')))).toBe(true);
        },
      ),
      fuzz(2_000),
    );
  });
});
