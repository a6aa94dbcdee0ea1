import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { base64url, compactVerify, importJWK, importSPKI, jwtVerify, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHarness, type Harness } from '../../../testing/harness.js';
import type { KeyType } from '../tables.js';

const KEYS = '/v1/crypto/keys';
const ALGORITHMS = [
  ['hmac-sha256', 'HS256'],
  ['hmac-sha512', 'HS512'],
  ['rsa-2048', 'RS256'],
  ['rsa-2048', 'PS256'],
  ['ecdsa-p256', 'ES256'],
  ['ecdsa-p384', 'ES384'],
  ['ed25519', 'EdDSA'],
] as const satisfies readonly (readonly [KeyType, string])[];

let harness: Harness;
const ids = new Map<string, string>();

const call = (name: string, operation: string, body: unknown, key = harness.tenant.live) =>
  harness.call('POST', `${KEYS}/${name}/${operation}`, { key, body });
async function jwtOf(name: string, claims: object, header_overrides?: object) {
  const answer = await call(name, 'jwt', { claims, ...(header_overrides && { header_overrides }) });
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return answer.json['data'];
}
async function judge(name: string, token: string, more: object = {}) {
  const answer = await call(name, 'jwt/verify', { token, ...more });
  expect([answer.status, answer.text]).toEqual([200, answer.text]);
  return answer.json['data'];
}
const errorOf = async (name: string, token: string, more?: object) => (await judge(name, token, more)).error;
const scope = () => harness.callerOf(harness.tenant, 'live').principal.scope;
/** A copy of what never leaves: to sign what the server would not. */
async function secretOf(name: string): Promise<Buffer> {
  const key = await harness.cryptoKeys.getNamed(scope(), name);
  return harness.cryptoKeys.use(scope(), key.id, key.currentVersion, (bytes) => Buffer.from(bytes));
}
async function privateKeyOf(name: string): Promise<KeyObject> {
  return createPrivateKey({ key: await secretOf(name), format: 'der', type: 'pkcs8' });
}
const publicKeyOf = async (name: string) =>
  (await harness.call('GET', `${KEYS}/${name}/public-key`, { key: harness.tenant.live })).json['data'];

const part = (value: unknown) => base64url.encode(typeof value === 'string' ? value : JSON.stringify(value));
const kid = (name: string, version: string | number = 1) => `${ids.get(name)}:v${version}`;
/** Signed by HMAC with a good key over whatever stands there. */
async function forged(
  header: unknown,
  claims: unknown,
  name = 'hmac-sha256',
  hash = 'sha256',
): Promise<string> {
  return signedAsHmac(`${part(header)}.${part(claims)}`, await secretOf(name), hash);
}
function signedAsHmac(signed: string, secret: Buffer | string, hash = 'sha256'): string {
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

beforeAll(async () => {
  harness = await createHarness();
  for (const key_type of new Set([...ALGORITHMS.map(([type]) => type), 'aes256-gcm' as const])) {
    const { json } = await harness.call('POST', KEYS, {
      key: harness.tenant.live,
      body: { name: key_type, key_type },
    });
    ids.set(key_type, json['data'].id);
  }
});
afterAll(() => harness.close());

const seconds = () => Math.floor(harness.clock.nowMs() / 1_000);

describe.each(ALGORITHMS)('a key of type %s with %s', (name, alg) => {
  const overrides = alg === 'PS256' ? { alg } : undefined;
  const keyForJose = async () => {
    if (name.startsWith('hmac')) return secretOf(name);
    return importSPKI((await publicKeyOf(name)).pem, alg);
  };

  it('makes tokens that jose verifies', async () => {
    const claims = { sub: 'someone', exp: seconds() + 60, nested: { list: [1, 'ż', null] } };
    const { token, key_version, alg: said } = await jwtOf(name, claims, overrides);
    expect([key_version, said]).toEqual([1, alg]);
    const options = { algorithms: [alg], currentDate: new Date(harness.clock.nowMs()) };
    const { payload, protectedHeader } = await jwtVerify(token, await keyForJose(), options);
    expect(payload).toEqual(claims);
    expect(protectedHeader).toEqual({ alg, typ: 'JWT', kid: kid(name) });
    if (name.startsWith('hmac')) return;
    const { jwk } = await publicKeyOf(name);
    await compactVerify(token, await importJWK(jwk, alg));
  });

  it('verifies those that jose made', async () => {
    const claims = { iss: 'us', aud: ['a', 'b'], exp: seconds() + 60 };
    const key = name.startsWith('hmac') ? await secretOf(name) : await privateKeyOf(name);
    const token = await new SignJWT(claims).setProtectedHeader({ alg, kid: kid(name) }).sign(key);
    expect(await judge(name, token)).toEqual({ valid: true, claims, key_version: 1, alg, kid: kid(name) });
    for (const at of [0, 1, 2]) {
      const parts = token.split('.');
      const changed = Buffer.from(parts[at]!, 'base64url');
      changed[changed.length - 3]! ^= 1;
      parts[at] = changed.toString('base64url');
      expect((await judge(name, parts.join('.'))).valid).toBe(false);
    }
  });
});

describe('a token of a forger', () => {
  it.each([
    'none',
    'None',
    'NONE',
    'nOnE',
    '',
    'HS384',
    'hs256',
    'RS256',
    'ES256',
    'EdDSA',
    'dir',
    null,
    1,
    ['HS256'],
  ])('with alg %j is not taken', async (alg) => {
    const header = { alg, kid: kid('hmac-sha256') };
    expect(await errorOf('hmac-sha256', await forged(header, {}))).toBe('alg_not_allowed');
    expect(await errorOf('hmac-sha256', `${part(header)}.${part({})}.`)).toBe('alg_not_allowed');
  });

  it('without an alg, and without a signature, is not taken', async () => {
    expect(await errorOf('hmac-sha256', await forged({ kid: kid('hmac-sha256') }, {}))).toBe(
      'alg_not_allowed',
    );
    const header = { alg: 'HS256', kid: kid('hmac-sha256') };
    expect(await errorOf('hmac-sha256', `${part(header)}.${part({})}.`)).toBe('invalid_signature');
  });

  it.each(['rsa-2048', 'ecdsa-p256', 'ed25519'])(
    'that takes the public key of type %s for a secret is not taken',
    async (name) => {
      const { pem, jwk } = await publicKeyOf(name);
      const secrets = [pem, pem.trim(), JSON.stringify(jwk), Buffer.from(jwk.x ?? jwk.n, 'base64url')];
      for (const secret of secrets) {
        const signed = `${part({ alg: 'HS256', kid: kid(name) })}.${part({})}`;
        expect(await errorOf(name, signedAsHmac(signed, secret))).toBe('alg_not_allowed');
      }
    },
  );

  it('of another algorithm of the same family is not taken', async () => {
    const rsa = await privateKeyOf('rsa-2048');
    for (const alg of ['RS384', 'RS512', 'PS384', 'PS512']) {
      const token = await new SignJWT({}).setProtectedHeader({ alg, kid: kid('rsa-2048') }).sign(rsa);
      expect(await errorOf('rsa-2048', token)).toBe('alg_not_allowed');
    }
    // One padding under the name of the other.
    const { token } = await jwtOf('rsa-2048', {});
    const [, claims, signature] = token.split('.');
    const other = `${part({ alg: 'PS256', kid: kid('rsa-2048') })}.${claims}.${signature}`;
    expect(await errorOf('rsa-2048', other)).toBe('invalid_signature');
  });

  it('with a DER signature is not taken', async () => {
    const signed = `${part({ alg: 'ES256', kid: kid('ecdsa-p256') })}.${part({})}`;
    const der = sign('sha256', Buffer.from(signed), await privateKeyOf('ecdsa-p256'));
    expect(await errorOf('ecdsa-p256', `${signed}.${der.toString('base64url')}`)).toBe('invalid_signature');
  });

  it('with zeros for a signature is not taken', async () => {
    for (const [name, alg, bytes] of [
      ['ecdsa-p256', 'ES256', 64],
      ['ecdsa-p384', 'ES384', 96],
      ['ed25519', 'EdDSA', 64],
      ['rsa-2048', 'RS256', 256],
      ['hmac-sha256', 'HS256', 32],
    ] as const) {
      const signed = `${part({ alg, kid: kid(name) })}.${part({})}`;
      const zeros = Buffer.alloc(bytes).toString('base64url');
      expect([alg, await errorOf(name, `${signed}.${zeros}`)]).toEqual([alg, 'invalid_signature']);
    }
  });

  it('that names another key is not taken', async () => {
    const foreign = await harness.call('POST', KEYS, {
      key: harness.other.live,
      body: { name: 'theirs', key_type: 'hmac-sha256' },
    });
    const own = ids.get('hmac-sha256')!;
    for (const bad of [
      undefined,
      null,
      1,
      {},
      [kid('hmac-sha256')],
      '',
      'hmac-sha256',
      'hmac-sha256:v1',
      own,
      `${own}:`,
      `${own}:v`,
      kid('hmac-sha256', 0),
      kid('hmac-sha256', '01'),
      kid('hmac-sha256', '1e0'),
      kid('hmac-sha256', '1.0'),
      kid('hmac-sha256', '+1'),
      kid('hmac-sha256', '-1'),
      kid('hmac-sha256', ' 1'),
      kid('hmac-sha256', '1 '),
      kid('hmac-sha256', '1\n'),
      kid('hmac-sha256', '1\u0000'),
      kid('hmac-sha256', '0x1'),
      kid('hmac-sha256', '١'),
      kid('hmac-sha256', 2),
      kid('hmac-sha256', 999_999_999),
      kid('hmac-sha256', '99999999999999999999999999'),
      kid('hmac-sha256').toUpperCase(),
      ` ${kid('hmac-sha256')}`,
      `${kid('hmac-sha256')}:v1`,
      kid('hmac-sha512'),
      kid('ed25519'),
      `${foreign.json['data'].id}:v1`,
      '../../../../dev/null',
      `${own}:v1/../../null`,
      "' OR 1=1 --",
      '__proto__',
      'x'.repeat(50_000),
    ]) {
      const token = await forged({ alg: 'HS256', kid: bad }, {});
      expect([bad, await errorOf('hmac-sha256', token)]).toEqual([bad, 'unknown_key']);
    }
    // Made with the key that it names, and shown to another one.
    const { token } = await jwtOf('hmac-sha512', {});
    expect(await errorOf('hmac-sha256', token)).toBe('alg_not_allowed');
    expect(await judge('hmac-sha256', await forged({ alg: 'HS256', kid: 'a' }, {}))).toEqual({
      valid: false,
      error: 'unknown_key',
      kid: 'a',
    });
  });

  it('with a key in it, or with extensions, is not taken', async () => {
    const own = generateKeyPairSync('ed25519');
    const jwk = own.publicKey.export({ format: 'jwk' });
    for (const more of [
      { jwk },
      { jku: 'https://attacker.example/keys' },
      { x5u: 'https://attacker.example/chain' },
      { x5c: ['MIIB'] },
      { crit: [] },
      { crit: ['exp'], exp: 1 },
      { crit: ['b64'], b64: false },
      { b64: false },
      { b64: true },
      { crit: null },
    ]) {
      const header = { alg: 'EdDSA', kid: kid('ed25519'), ...more };
      const signed = `${part(header)}.${part({})}`;
      for (const key of [own.privateKey, await privateKeyOf('ed25519')]) {
        const signature = sign(null, Buffer.from(signed), key).toString('base64url');
        expect(await errorOf('ed25519', `${signed}.${signature}`)).toBe('unsupported_header');
      }
    }
  });

  it('of a strange form is not taken, even where its signature is good', async () => {
    const header = { alg: 'HS256', kid: kid('hmac-sha256') };
    const secret = await secretOf('hmac-sha256');
    const raw = (head: string | Buffer, body: string | Buffer) =>
      signedAsHmac(
        `${Buffer.from(head).toString('base64url')}.${Buffer.from(body).toString('base64url')}`,
        secret,
      );
    const good = raw(JSON.stringify(header), '{}');
    expect((await judge('hmac-sha256', good)).valid).toBe(true);
    const [head, body, tail] = good.split('.');
    const text = JSON.stringify(header);
    const deep = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    expect((await judge('hmac-sha256', raw(text, deep(60)))).valid).toBe(true);
    for (const [what, token] of [
      ['nothing', ''],
      ['a dot', '.'],
      ['two dots', '..'],
      ['one part', head],
      ['two parts', `${head}.${body}`],
      ['four parts', `${good}.`],
      ['five parts, as of an encrypted token', `${head}.${body}.${tail}.${tail}.${tail}`],
      ['a space before', ` ${good}`],
      ['a line end behind', `${good}\n`],
      ['padding', signedAsHmac(`${head}=.${body}`, secret)],
      ['padding of the signature', `${good}=`],
      [
        'the standard alphabet',
        signedAsHmac(
          `${head}.${Buffer.from('{"a":"???>>>"}').toString('base64').replaceAll('=', '')}`,
          secret,
        ),
      ],
      ['bits that stand for nothing', signedAsHmac(`${head}.e31`, secret)],
      ['bits of the signature that stand for nothing', `${good.slice(0, -1)}${next(good.at(-1)!)}`],
      ['a header that is a list', raw('[]', '{}')],
      ['a header that is null', raw('null', '{}')],
      ['claims that are a list', raw(text, '[]')],
      ['claims that are a text', raw(text, '"a"')],
      ['claims that are null', raw(text, 'null')],
      ['claims that are nothing', raw(text, '')],
      ['data behind the claims', raw(text, '{}{}')],
      ['a NUL behind the claims', raw(text, '{}\0')],
      ['a comma too many', raw(text, '{"a":1,}')],
      ['single quotes', raw(text, "{'a':1}")],
      ['a byte order mark', raw(text, '\ufeff{}')],
      ['no UTF-8', raw(text, Buffer.from('{"a":"\xff"}', 'latin1'))],
      ['no UTF-8 in the header', raw(Buffer.from('{"alg":"HS256\xff"}', 'latin1'), '{}')],
      ['UTF-16', raw(text, Buffer.from('{}', 'utf16le'))],
      ['alg twice', raw(`{"alg":"none","alg":"HS256","kid":"${kid('hmac-sha256')}"}`, '{}')],
      [
        'alg twice, once escaped',
        raw(`{"\\u0061lg":"none","alg":"HS256","kid":"${kid('hmac-sha256')}"}`, '{}'),
      ],
      ['a claim twice', raw(text, '{"sub":"a","sub":"b"}')],
      ['a claim twice inside', raw(text, '{"a":[{"b":{"c":1,"c":1}}]}')],
      ['__proto__ twice', raw(text, '{"__proto__":1,"__proto__":2}')],
      ['a number beyond all numbers', raw(text, '{"a":[1e999]}')],
      ['100 levels', raw(text, deep(100))],
      ['100,000 levels', raw(text, deep(50_000))],
      ['150 KiB', raw(text, `{"a":"${'x'.repeat(150 * 1024)}"}`)],
      ['500 KiB of dots', '.'.repeat(500 * 1024)],
    ] as const)
      expect([what, await judge('hmac-sha256', token!)]).toEqual([
        what,
        { valid: false, error: 'malformed' },
      ]);
    // A colon in a text is no member.
    expect((await judge('hmac-sha256', raw(text, '{"a\\":\\"b":":\\\\"}'))).valid).toBe(true);
  });
});

/** The neighbour in the alphabet: the last of 43 characters has two bits to spare, and the signature's has them zero. */
function next(character: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return alphabet[alphabet.indexOf(character) + 1]!;
}

describe('claims', () => {
  const header = () => ({ alg: 'HS256', kid: kid('hmac-sha256') });
  const errorFor = async (claims: unknown, more?: object) =>
    (await errorOf('hmac-sha256', await forged(header(), claims), more)) ?? null;

  it('are good from nbf on and until exp', async () => {
    const now = harness.clock.nowMs() / 1_000;
    const verdicts = async (claims: object, more?: object) => errorFor(claims, more);
    expect(await verdicts({ exp: now })).toBe('expired');
    expect(await verdicts({ exp: now + 0.001 })).toBe(null);
    expect(await verdicts({ exp: now - 5 }, { leeway_seconds: 5 })).toBe('expired');
    expect(await verdicts({ exp: now - 4 }, { leeway_seconds: 5 })).toBe(null);
    expect(await verdicts({ nbf: now })).toBe(null);
    expect(await verdicts({ nbf: now + 0.001 })).toBe('not_yet_valid');
    expect(await verdicts({ nbf: now + 5 }, { leeway_seconds: 5 })).toBe(null);
    expect(await verdicts({ iat: now + 1_000_000 })).toBe(null);
    for (const exp of [0, -1, -1e300]) expect(await verdicts({ exp })).toBe('expired');
    expect(await verdicts({ exp: 1e300, nbf: -1e300 })).toBe(null);
    harness.clock.advance(1_000);
    expect(await verdicts({ exp: now + 1 })).toBe('expired');
  });

  it('that are of wrong types are no claims', async () => {
    for (const name of ['exp', 'nbf', 'iat'])
      for (const bad of ['1', '9999999999', null, true, [9_999_999_999], {}])
        expect([name, bad, await errorFor({ [name]: bad })]).toEqual([name, bad, 'invalid_claims']);
    for (const name of ['iss', 'sub', 'jti'])
      for (const bad of [1, null, ['us'], {}])
        expect([name, bad, await errorFor({ [name]: bad })]).toEqual([name, bad, 'invalid_claims']);
    for (const bad of [1, null, {}, [1], ['a', null], [['a']]])
      expect([bad, await errorFor({ aud: bad })]).toEqual([bad, 'invalid_claims']);
  });

  it.each<[object, object, string | null]>([
    [{ iss: 'us' }, { iss: 'us' }, null],
    [{ iss: 'us' }, { iss: 'US' }, 'issuer_mismatch'],
    [{}, { iss: 'us' }, 'issuer_mismatch'],
    [{}, { iss: '' }, 'issuer_mismatch'],
    [{ sub: 'a' }, { sub: 'a' }, null],
    [{ sub: 'a' }, { sub: 'b' }, 'subject_mismatch'],
    [{}, { sub: 'a' }, 'subject_mismatch'],
    [{ aud: 'a' }, { aud: 'a' }, null],
    [{ aud: ['b', 'a'] }, { aud: 'a' }, null],
    [{ aud: 'ab' }, { aud: 'a' }, 'audience_mismatch'],
    [{ aud: [] }, { aud: 'a' }, 'audience_mismatch'],
    [{}, { aud: 'a' }, 'audience_mismatch'],
    [{ aud: 'c' }, { aud: ['a', 'c'] }, null],
    [{ aud: ['d', 'c'] }, { aud: ['a', 'c'] }, null],
    [{ aud: ['d'] }, { aud: ['a', 'c'] }, 'audience_mismatch'],
    [{ iss: 'us', aud: 'a', sub: 's' }, { iss: 'us', aud: 'a', sub: 's' }, null],
  ])('%j expected as %j: %j', async (claims, expected, error) => {
    expect(await errorFor(claims, { expected })).toBe(error);
  });

  it('are shown of a valid token alone', async () => {
    const token = await forged(header(), { exp: 1, sub: 'a' });
    expect(await judge('hmac-sha256', token)).toEqual({
      valid: false,
      error: 'expired',
      key_version: 1,
      alg: 'HS256',
      kid: kid('hmac-sha256'),
    });
  });

  it.each<[object, string]>([
    [{ token: 'a', expected: { jti: 'a' } }, 'expected.jti'],
    [{ token: 'a', expected: { aud: [] } }, 'expected.aud'],
    [{ token: 'a', leeway_seconds: 301 }, 'leeway_seconds'],
    [{ token: 1 }, 'token'],
    [{}, 'token'],
  ])('%j is a bad question', async (body, field) => {
    const { status, json } = await call('hmac-sha256', 'jwt/verify', body);
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, [field]]);
  });
});

describe('tokens that are asked for', () => {
  it('have the members that were given, and none of their own', async () => {
    const { token } = await jwtOf(
      'ed25519',
      {},
      { typ: 'at+jwt', cty: 'json', 'x5t#S256': 'abc', mine: { a: 1 } },
    );
    const [head, body] = token.split('.').map((each: string) => Buffer.from(each, 'base64url').toString());
    expect(JSON.parse(head)).toEqual({
      alg: 'EdDSA',
      kid: kid('ed25519'),
      typ: 'at+jwt',
      cty: 'json',
      'x5t#S256': 'abc',
      mine: { a: 1 },
    });
    expect(body).toBe('{}');
    expect((await judge('ed25519', token)).valid).toBe(true);
  });

  it('follow the key, whose former versions verify until they are destroyed', async () => {
    const live = harness.tenant.live;
    const { id } = (
      await harness.call('POST', KEYS, { key: live, body: { name: 'rotated', key_type: 'ed25519' } })
    ).json['data'];
    const first = await jwtOf('rotated', { n: 1 });
    await call('rotated', 'rotate', {});
    const second = await jwtOf('rotated', { n: 2 });
    expect((await judge('rotated', first.token)).claims).toEqual({ n: 1 });
    expect((await judge('rotated', second.token)).kid).toBe(`${id}:v2`);
    await harness.call('PATCH', `${KEYS}/rotated`, { key: live, body: { deletion_allowed: true } });
    harness.clock.advance(1_000);
    await harness.call('DELETE', `${KEYS}/rotated/versions/1`, { key: live });
    expect(await judge('rotated', first.token)).toEqual({
      valid: false,
      error: 'key_version_destroyed',
      key_version: 1,
      alg: 'EdDSA',
      kid: `${id}:v1`,
    });
    expect((await judge('rotated', second.token)).valid).toBe(true);
  });

  it('leave a row without their claims', async () => {
    await jwtOf('ecdsa-p256', { secret: 'canary' });
    const { json } = await harness.call('GET', '/v1/audit-logs?action=crypto.jwt', {
      key: harness.tenant.live,
    });
    const [row] = json['data'];
    expect(row.details).toEqual({ key: 'ecdsa-p256', version: 1, alg: 'ES256', sandbox: false });
  });

  it.each<[string, object, string]>([
    ['ed25519', { claims: {}, header_overrides: { alg: 'none' } }, 'header_overrides.alg'],
    ['ed25519', { claims: {}, header_overrides: { alg: 'ES256' } }, 'header_overrides.alg'],
    ['ecdsa-p256', { claims: {}, header_overrides: { alg: 'ES384' } }, 'header_overrides.alg'],
    ['hmac-sha512', { claims: {}, header_overrides: { alg: 'HS256' } }, 'header_overrides.alg'],
    ['rsa-2048', { claims: {}, header_overrides: { alg: 'RS512' } }, 'header_overrides.alg'],
    ['rsa-2048', { claims: {}, header_overrides: { alg: 'HS256' } }, 'header_overrides.alg'],
    ['rsa-2048', { claims: {}, header_overrides: { alg: null } }, 'header_overrides.alg'],
    ...['kid', 'crit', 'b64', 'jwk', 'jku', 'x5u', 'x5c', 'enc', 'zip'].map(
      (member): [string, object, string] => [
        'ed25519',
        { claims: {}, header_overrides: { [member]: 'a' } },
        `header_overrides.${member}`,
      ],
    ),
    ['ed25519', { claims: {}, header_overrides: { typ: 1 } }, 'header_overrides.typ'],
    ['ed25519', { claims: {}, header_overrides: { cty: '' } }, 'header_overrides.cty'],
    ['ed25519', { claims: {}, header_overrides: { a: 'x'.repeat(4_096) } }, 'header_overrides'],
    ['ed25519', { claims: { a: 'x'.repeat(65_536) } }, 'claims'],
    ['ed25519', { claims: { exp: '1' } }, 'claims.exp'],
    ['ed25519', { claims: { nbf: null } }, 'claims.nbf'],
    ['ed25519', { claims: { aud: [1] } }, 'claims.aud'],
    ['ed25519', { claims: { sub: 1 } }, 'claims.sub'],
    ['ed25519', { claims: { big: [{ n: 2 ** 53 }] } }, 'claims.big'],
    ['ed25519', { claims: [] }, 'claims'],
    ['ed25519', { claims: 'a' }, 'claims'],
    ['ed25519', {}, 'claims'],
    ['aes256-gcm', { claims: {} }, 'name'],
  ])('of a key of type %s are refused for %j', async (name, body, field) => {
    const { status, json } = await call(name, 'jwt', body);
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, [field]]);
  });

  it('are refused for a number that is none here', async () => {
    const payload = '{"claims":{"n":1e999}}';
    const { status, json } = await harness.call('POST', `${KEYS}/ed25519/jwt`, {
      key: harness.tenant.live,
      payload,
    });
    expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, ['claims.n']]);
  });
});
