import { describe, expect, it } from 'vitest';
import { createSignatureVerifier } from '../../platform/crypto/jws.js';
import { createAcmeSigner } from '../../testing/acme-signer.js';
import {
  ACME_ALGORITHMS,
  algorithmOf,
  checkSignature,
  checkUrl,
  keyNamed,
  readFlattened,
  readJson,
  verifyingKey,
} from './jws.js';
import { AcmeProblem } from './problems.js';

const WHAT = 'request';
const URL_OF_ORDERS = 'https://ca.example.com/pki/t/r/role/acme/new-order';
const signatures = createSignatureVerifier({ keysMax: 10 });

const base64Url = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function problemOf(act: () => unknown): string {
  try {
    act();
    return 'none';
  } catch (error) {
    if (!(error instanceof AcmeProblem)) throw error;
    return `${error.status} ${error.type}`;
  }
}

function verify(body: unknown): string {
  return problemOf(() => {
    const jws = readFlattened(body, WHAT);
    checkUrl(jws.header, URL_OF_ORDERS, WHAT);
    const algorithm = algorithmOf(jws.header, WHAT);
    const named = keyNamed(jws.header, WHAT);
    if (!('jwk' in named)) throw new Error('the samples hold their key');
    checkSignature(jws, algorithm, verifyingKey(named.jwk, WHAT), signatures, WHAT);
  });
}

const signer = createAcmeSigner('ES256');
const good = (header: Record<string, unknown> = {}) =>
  signer.sign({ url: URL_OF_ORDERS, nonce: 'x', jwk: signer.jwk, ...header }, { a: 1 });

describe('a flattened JWS', () => {
  it.each(ACME_ALGORITHMS)('of %s is taken, and not with another payload', (alg) => {
    const other = createAcmeSigner(alg);
    const jws = other.sign({ url: URL_OF_ORDERS, jwk: other.jwk }, { a: 1 });
    expect(verify(jws)).toBe('none');
    expect(verify({ ...jws, payload: base64Url({ a: 2 }) })).toBe('400 malformed');
    expect(verify({ ...jws, signature: base64Url('short') })).toBe('400 malformed');
    expect(verify({ ...jws, signature: '' })).toBe('400 malformed');
  });

  it.each([
    ['a list', []],
    ['a text', 'x'],
    ['null', null],
    ['nothing', undefined],
    ['an empty object', {}],
    ['a general one', { ...good(), signatures: [] }],
    ['an unprotected header', { ...good(), header: {} }],
    ['a payload that is a number', { ...good(), payload: 1 }],
    ['padding', { ...good(), payload: `${good().payload}=` }],
    ['standard base64', { ...good(), signature: '+/+/' }],
    ['a header that is a list', { ...good(), protected: base64Url([]) }],
    ['a header that is no JSON', { ...good(), protected: base64Url('x') }],
    ['a header that is not UTF-8', { ...good(), protected: Buffer.from([0xff]).toString('base64url') }],
    ['a deep header', { ...good(), protected: base64Url(`{"x":${'['.repeat(2_000)}`) }],
    ['a header with __proto__', { ...good(), protected: base64Url('{"__proto__":{"alg":"ES256"}}') }],
  ])('is refused: %s', (_name, body) => {
    expect(verify(body)).toBe('400 malformed');
  });

  it.each([
    ['crit', { crit: ['exp'], exp: 1 }, '400 malformed'],
    ['an empty crit', { crit: [] }, '400 malformed'],
    ['b64', { b64: false }, '400 malformed'],
    ['no url', { url: undefined }, '400 malformed'],
    ['a url that is none', { url: 1 }, '400 malformed'],
    ['another url', { url: `${URL_OF_ORDERS}/` }, '401 unauthorized'],
    ['another scheme', { url: URL_OF_ORDERS.replace('https', 'http') }, '401 unauthorized'],
    ['another host', { url: URL_OF_ORDERS.replace('ca.', 'cb.') }, '401 unauthorized'],
    ['neither jwk nor kid', { jwk: undefined }, '400 malformed'],
    ['both', { kid: 'x' }, '400 malformed'],
    ['a jwk that is null', { jwk: null }, '400 badPublicKey'],
    ['a private key', { jwk: { ...signer.jwk, d: 'AAAA' } }, '400 badPublicKey'],
    ['a symmetric key', { jwk: { kty: 'oct', k: 'c2VjcmV0' } }, '400 badPublicKey'],
    ['a point off the curve', { jwk: { ...signer.jwk, y: signer.jwk.x } }, '400 badPublicKey'],
    ['the key of another', { jwk: createAcmeSigner('ES256').jwk }, '400 malformed'],
    ['the key of another kind', { jwk: createAcmeSigner('EdDSA').jwk }, '400 badSignatureAlgorithm'],
  ])('is refused: %s', (_name, header, problem) => {
    expect(verify(good(header))).toBe(problem);
  });

  it.each([
    undefined,
    null,
    'none',
    'None',
    '',
    'HS256',
    'HS512',
    'PS256',
    'ES512',
    'ES256K',
    'RS512',
    'RS1',
    'es256',
    1,
    ['ES256'],
    'toString',
  ])('of the algorithm %s is refused, and told which are taken', (alg) => {
    const jws = signer.sign({ url: URL_OF_ORDERS, jwk: signer.jwk, alg }, {});
    expect(verify(jws)).toBe('400 badSignatureAlgorithm');
    try {
      algorithmOf({ alg }, WHAT);
    } catch (error) {
      expect((error as AcmeProblem).document()).toMatchObject({
        type: 'urn:ietf:params:acme:error:badSignatureAlgorithm',
        algorithms: ['ES256', 'ES384', 'RS256', 'EdDSA'],
      });
    }
  });

  it('is refused where a MAC is made with the public key', () => {
    for (const alg of ['HS256', 'ES256', 'RS256'])
      expect(verify(signer.signWithMac(alg, { url: URL_OF_ORDERS, jwk: signer.jwk }, {}))).not.toBe('none');
  });
});

describe('the body of a request', () => {
  it.each([
    ['no JSON', 'x'],
    ['not UTF-8', Buffer.from([0xff])],
    ['too deep', '['.repeat(2_000)],
    ['NUL', '{"a":"\\u0000"}'],
  ])('is refused: %s', (_name, text) => {
    expect(problemOf(() => readJson(Buffer.from(text), 'body'))).toBe('400 malformed');
  });
});
