import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type NameRule, readName, refusedName } from './names.js';

const rule = (allowedDomains: readonly string[], more: Partial<NameRule> = {}): NameRule => ({
  allowedDomains,
  allowSubdomains: false,
  allowWildcards: false,
  ...more,
});
const DEEP = { allowSubdomains: true };
const STARS = { allowWildcards: true };

describe('a name', () => {
  it.each([
    ['API.Internal', 'api.internal'],
    ['api.internal.', 'api.internal'],
    ['localhost', 'localhost'],
    ['*.Example.com.', '*.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example', 'xn--bcher-kva.example'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['XN--BCHER-KVA.example', 'xn--bcher-kva.example'],
    ['a。b', 'a.b'],
    ['1.example', '1.example'],
    [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`],
  ])('%j is kept as %j', (text, name) => expect(readName(text)).toEqual({ name }));

  it.each([
    ['', 'must not be empty'],
    ['.', 'must not be empty'],
    ['*.', 'must not be empty'],
    ['*', 'only in place of the whole first label'],
    ['a..b', 'empty label'],
    ['.a', 'empty label'],
    ['a.b..', 'empty label'],
    ['*.*.b', 'only in place of the whole first label'],
    ['a.*.b', 'only in place of the whole first label'],
    ['a*.b', 'only in place of the whole first label'],
    ['-a.b', 'no hyphen first or last'],
    ['a-.b', 'no hyphen first or last'],
    ['a_b.c', 'letters, digits, hyphens and dots'],
    ['a b.c', 'letters, digits, hyphens and dots'],
    [' a.b', 'letters, digits, hyphens and dots'],
    ['a.b\n', 'letters, digits, hyphens and dots'],
    ['a.b\0c', 'letters, digits, hyphens and dots'],
    ['https://a.b', 'letters, digits, hyphens and dots'],
    ['a.b:443', 'letters, digits, hyphens and dots'],
    ['user@a.b', 'letters, digits, hyphens and dots'],
    ['a%2eb', 'letters, digits, hyphens and dots'],
    ['ä%2eb', 'letters, digits, hyphens and dots'],
    ['10.0.0.1', 'ends in a number'],
    ['１０.0.0.1', 'ends in a number'],
    ['0x7f.0x1', 'ends in a number'],
    ['a.1', 'ends in a number'],
    ['::1', 'letters, digits, hyphens and dots'],
    ['xn--a', 'no internationalised domain name'],
    ['xn--a-', 'no internationalised domain name'],
    ['xn--', 'no internationalised domain name'],
    ['xn--zzzzzz999999.example', 'no internationalised domain name'],
    ['\u{fdd0}.example', 'no internationalised domain name'],
    [`${'a'.repeat(64)}.b`, 'at most 63 characters in a label'],
    [`${'a'.repeat(63)}.`.repeat(4), 'at most 253 characters'],
    [`*.${'abcdefghi.'.repeat(25)}ab`, 'at most 253 characters'],
    ['ü'.repeat(60_000), 'at most 253 characters'],
  ])('%j is none', (text, problem) =>
    expect(readName(text)).toEqual({ problem: expect.stringContaining(problem) }),
  );
});

describe('a role', () => {
  it.each<[NameRule, string[], string[]]>([
    [rule(['a.b']), ['a.b', 'A.B', 'a.b.'], ['x.a.b', 'xa.b', 'b', 'a.b.c', '*.a.b']],
    [rule(['a.b'], DEEP), ['a.b', 'x.a.b', 'y.x.a.b'], ['xa.b', 'b', '*.a.b']],
    [rule(['*.a.b']), ['x.a.b'], ['a.b', 'y.x.a.b', 'xa.b', '*.a.b']],
    [rule(['*.a.b'], DEEP), ['x.a.b', 'y.x.a.b'], ['a.b', 'xa.b', '*.a.b']],
    [rule(['a.b'], STARS), ['a.b'], ['*.a.b', '*.b']],
    [rule(['a.b'], { ...DEEP, ...STARS }), ['*.a.b', '*.x.a.b', 'a.b'], ['*.b', '*.xa.b']],
    [rule(['*.a.b'], STARS), ['*.a.b', 'x.a.b'], ['*.x.a.b', '*.b', 'a.b']],
    [rule(['*.a.b'], { ...DEEP, ...STARS }), ['*.a.b', '*.x.a.b'], ['*.b', 'a.b']],
    // A star is no certain label, whatever the entries are.
    [rule(['x.a.b', 'a.a.b'], STARS), ['x.a.b'], ['*.a.b']],
    [rule(['xn--bcher-kva.example'], DEEP), ['bücher.example', 'A.BÜCHER.example'], ['bucher.example']],
    [rule(['com'], DEEP), ['com', 'a.com'], ['acom', 'com.a']],
    [rule([], { ...DEEP, ...STARS }), [], ['a.b', 'localhost', '*.a']],
  ])('%j certifies %j and not %j', (one, taken, refused) => {
    for (const name of taken) expect([name, refusedName(one, name)]).toEqual([name, null]);
    for (const name of refused) expect([name, refusedName(one, name)]).toEqual([name, expect.any(String)]);
  });

  it.each<[NameRule, string, string]>([
    [rule(['a.b']), 'Evil.com', '"Evil.com" is matched by no entry of allowed_domains of the role'],
    [rule([]), 'a.b', '"a.b" is refused: allowed_domains of the role is empty'],
    [rule(['a.b']), '*.a.b', '"*.a.b" is a wildcard, and the role has allow_wildcards off'],
    [
      rule(['a.b']),
      'x.a.b',
      '"x.a.b" lies below a.b of allowed_domains, and the role has allow_subdomains off',
    ],
    [
      rule(['*.a.b']),
      'y.x.a.b',
      '"y.x.a.b" lies below *.a.b of allowed_domains, and the role has allow_subdomains off',
    ],
    [rule(['*.a.b']), 'a.b', '"a.b" is not matched by *.a.b of allowed_domains, which has one label more'],
    [rule(['a.b']), 'a b', '"a b" is no DNS name: it may have letters, digits, hyphens and dots'],
  ])('%j says of %j: %s', (one, name, reason) => expect(refusedName(one, name)).toBe(reason));

  it('shows the beginning of what is long', () => {
    expect(refusedName(rule(['a.b']), `💳${'x'.repeat(1_000)}`)!.length).toBeLessThan(250);
  });
});

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/).filter((text) => !/^..--/.test(text));
const topLabel = fc.stringMatching(/^[a-z]{1,6}$/);
const host = fc
  .tuple(fc.array(label, { maxLength: 3 }), topLabel)
  .map(([labels, top]) => [...labels, top].join('.'));
const domain = fc.tuple(fc.boolean(), host).map(([isGlob, name]) => (isGlob ? `*.${name}` : name));
const roles = fc.record({
  allowedDomains: fc.array(domain, { maxLength: 4 }),
  allowSubdomains: fc.boolean(),
  allowWildcards: fc.boolean(),
});
/** Near the entries more often than chance would have it. */
const near = (names: fc.Arbitrary<string>) =>
  roles.chain((one) =>
    fc.record({
      one: fc.constant(one),
      name: fc.oneof(
        names,
        ...one.allowedDomains.map((entry) => {
          const base = entry.replace('*.', '');
          return fc.oneof(
            fc.constant(base),
            label.map((text) => `${text}.${base}`),
            label.map((text) => `${text}${base}`),
            fc.tuple(label, label).map(([a, b]) => `${a}.${b}.${base}`),
          );
        }),
      ),
    }),
  );
/** As the contract has it, said another way: label by label from the right. */
function isAllowed({ allowedDomains, allowSubdomains }: NameRule, name: string): boolean {
  return allowedDomains.some((entry) => {
    const isGlob = entry.startsWith('*.');
    const wanted = entry.replace('*.', '').split('.').reverse();
    const given = name.split('.').reverse();
    if (!wanted.every((text, i) => given[i] === text)) return false;
    const more = given.length - wanted.length;
    if (isGlob) return allowSubdomains ? more >= 1 : more === 1;
    return allowSubdomains || more === 0;
  });
}

describe('matching', () => {
  it('is total, and names what it refuses', () => {
    fc.assert(
      fc.property(roles, fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (one, text) => {
        const refused = refusedName(one, text);
        expect(refused === null || refused.startsWith('"')).toBe(true);
      }),
    );
  });

  it('is what the contract says, label by label', () => {
    fc.assert(
      fc.property(near(host), ({ one, name }) => {
        expect(refusedName(one, name) === null).toBe(isAllowed(one, name));
      }),
    );
  });

  it('sees no difference in case, a dot at the end and the spelling of labels', () => {
    fc.assert(
      fc.property(near(host), ({ one, name }) => {
        const plain = refusedName(one, name) === null;
        expect(refusedName(one, `${name.toUpperCase()}.`) === null).toBe(plain);
        const [wide] = [[...name].map((c) => (/[a-z]/.test(c) ? fullWidth(c) : c)).join('')];
        expect(readName(wide)).toEqual(readName(name));
      }),
    );
  });

  it('takes a wildcard only where it takes every name that the wildcard stands for', () => {
    fc.assert(
      fc.property(near(host), label, ({ one, name }, first) => {
        if (refusedName(one, `*.${name}`) !== null) return;
        expect(one.allowWildcards).toBe(true);
        expect(refusedName(one, `${first}.${name}`)).toBeNull();
      }),
    );
  });

  it('keeps what it has read as it is', () => {
    fc.assert(
      fc.property(fc.oneof(domain, fc.domain(), fc.string()), (text) => {
        const reading = readName(text);
        if ('name' in reading) expect(readName(reading.name)).toEqual(reading);
      }),
    );
  });

  it('never takes more names when an entry or a flag is taken away', () => {
    fc.assert(
      fc.property(near(host), ({ one, name }) => {
        if (refusedName(one, name) === null) return;
        const less = { ...one, allowedDomains: one.allowedDomains.slice(1) };
        for (const narrower of [less, { ...one, allowSubdomains: false }, { ...one, allowWildcards: false }])
          if (narrower.allowSubdomains || !one.allowedDomains.some((entry) => entry.startsWith('*.')))
            expect(refusedName(narrower, name)).not.toBeNull();
      }),
    );
  });
});

function fullWidth(letter: string): string {
  return String.fromCodePoint(letter.codePointAt(0)! + 0xfee0);
}
