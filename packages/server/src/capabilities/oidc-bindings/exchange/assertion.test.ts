import { describe, expect, it } from 'vitest';
import { AssertionRefused, readAssertion } from './assertion.js';

const HEADER = '{"alg":"ES256","kid":"one"}';
const CLAIMS = '{"iss":"https://ci.example","sub":"a","aud":"knoxcall:api","iat":1,"exp":2}';
const part = (text: string) => Buffer.from(text).toString('base64url');
const written = (header: string, claims: string) => `${part(header)}.${part(claims)}.${part('signature')}`;
const withTwice = (text: string, member: string) => text.replace('{', `{${member},`);

function checkOf(text: string): string | undefined {
  try {
    readAssertion(text);
  } catch (error) {
    if (error instanceof AssertionRefused) return error.check;
    throw error;
  }
  return undefined;
}

describe('readAssertion', () => {
  it('takes apart what is written once', () => {
    expect(checkOf(written(HEADER, CLAIMS))).toBeUndefined();
  });

  it.each([
    ['a claim', HEADER, withTwice(CLAIMS, '"sub":"b"')],
    ['a claim, once escaped', HEADER, withTwice(CLAIMS, '"\\u0073ub":"b"')],
    ['a member within a claim', HEADER, withTwice(CLAIMS, '"x":[{"a":1,"a":2}]')],
    ['a member of the header', withTwice(HEADER, '"alg":"none"'), CLAIMS],
  ])('refuses %s that stands there twice, of which others may read the first', (_name, header, claims) => {
    expect(checkOf(written(header, claims))).toBe('form');
  });

  it.each([
    ['a number beyond all numbers', '"x":1e999'],
    ['65 levels', `"x":${'['.repeat(64)}${']'.repeat(64)}`],
  ])('refuses %s', (_name, member) => {
    expect(checkOf(written(HEADER, withTwice(CLAIMS, member)))).toBe('form');
  });
});
