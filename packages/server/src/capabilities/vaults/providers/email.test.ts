import fc from 'fast-check';
import { expect, it } from 'vitest';
import { systemRandom } from '../../../platform/crypto/random.js';
import { vaultFormatContract } from './contract.js';
import { emailFormat } from './email.js';

const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,30}$/);
const mail = fc
  .tuple(
    fc.string({ unit: 'grapheme', maxLength: 40 }).map((text) => `n${text.replaceAll(/[@\s\p{Cc}]/gu, '')}`),
    fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
  )
  .map(([name, domain]) => `${name}@${domain}`);

vaultFormatContract('email', {
  fitting: mail,
  refused: [
    '',
    'nobody',
    '@example.com',
    'ada@',
    'ada@b@example.com',
    'ada@example.com ',
    'ada lovelace@example.com',
    'ada\n@example.com',
    'ada\0@example.com',
    'ada@.example.com',
    'ada@example..com',
    'ada@example.com.',
    'ada@exa/mple.com',
    'ada@{{example}}.com',
    'ada@"example".com',
    `ada@${'x'.repeat(235)}`,
  ],
  token: /^[a-z2-7]{20}@[a-z0-9_.-]+$/,
});

it.each([
  ['Ada.Lovelace+tag@Example.COM', 'example.com'],
  ["o'brien@mail.example.org", 'mail.example.org'],
  ['root@localhost', 'localhost'],
  ['info@BÜCHER.example', 'bücher.example'],
  ['info@उदाहरण.भारत', 'उदाहरण.भारत'],
])('keeps the domain of %s in lower case', (value, domain) => {
  expect(emailFormat.validate(value)).toBeNull();
  const [name, at, ...more] = emailFormat.generate(value, systemRandom).split('@');
  expect([name?.length, at, more]).toEqual([20, domain, []]);
});

it('says which rule is broken', () => {
  expect(emailFormat.validate('nobody')).toBe('must be a mail address, with exactly one @');
  expect(emailFormat.validate('@example.com')).toBe('must have a name before the @');
  expect(emailFormat.validate('a b@example.com')).toBe('must not hold spaces or control characters');
  expect(emailFormat.validate('ada@')).toMatch(/^must have a domain after the @/);
  expect(emailFormat.validate(`ada@${'x'.repeat(234)}`)).toBeNull();
  // In lower case it is longer than as it was written.
  expect(emailFormat.validate(`ada@${'İ'.repeat(200)}`)).toBe('must have a domain of at most 234 characters');
});
