import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { exportJWK } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import { until } from '../../../testing/egress-rig.js';
import { errorOf, type FederationRig, openFederationRig } from '../../../testing/federation-rig.js';

const INVALID_GRANT = [400, 'invalid_grant'];
const UNAVAILABLE = [503, 'temporarily_unavailable'];

let rig: FederationRig;
beforeEach(async () => {
  rig = await openFederationRig();
  await rig.bind(rig.tenant);
  rig.issuer.asked.length = 0;
});
afterEach(() => rig.close());

const exchange = async (options: Parameters<FederationRig['issuer']['sign']>[1] = {}) =>
  rig.exchange(await rig.issuer.sign(rig.claims(), options));
const keysAsked = () => rig.issuer.asked.filter((path) => path === '/keys').length;

async function deniedBecause(): Promise<string> {
  const [row] = await rig.audits('oidc.exchange_denied');
  return row!['details'].reason;
}

describe('keys of an issuer', () => {
  it('are read once in ten minutes, by as many as come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => exchange()));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(rig.issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
    rig.clock.advance(LIMITS.jwksCacheMs - 1);
    expect((await exchange()).status).toBe(200);
    expect(keysAsked()).toBe(1);
    rig.clock.advance(1);
    expect((await exchange()).status).toBe(200);
    expect(keysAsked()).toBe(2);
  });

  it('that it has changed are read at the first token that names one', async () => {
    await exchange();
    rig.issuer.rotate();
    rig.clock.advance(LIMITS.jwksRefetchMs);
    expect((await exchange()).status).toBe(200);
    expect(keysAsked()).toBe(2);
    // And those that it took back are good for nothing.
    const former = await rig.assertion();
    rig.issuer.rotate();
    rig.clock.advance(LIMITS.jwksRefetchMs);
    await exchange();
    expect(errorOf(await rig.exchange(former))).toEqual(INVALID_GRANT);
  });

  it('X17 that nobody has make it be asked at most once in 30 s', async () => {
    await exchange();
    rig.clock.advance(LIMITS.jwksRefetchMs);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (let n = 0; n < 1_000; n++) {
      const answer = await exchange({ kid: `random-${n}`, key: privateKey as never });
      expect(errorOf(answer)).toEqual(INVALID_GRANT);
    }
    expect(keysAsked()).toBe(2);
    rig.clock.advance(LIMITS.jwksRefetchMs);
    await exchange({ kid: 'random', key: privateKey as never });
    expect(keysAsked()).toBe(3);
  });

  it('are each tenant’s own', async () => {
    await rig.bind(rig.other);
    await exchange();
    await rig.exchange(await rig.assertion({ aud: 'knoxcall:api:globex' }));
    expect(keysAsked()).toBe(2);
  });

  it('without an id serve where there is one of that algorithm', async () => {
    const signed = async (alg: string) => {
      const assertion = await rig.issuer.sign(rig.claims(), { alg, header: { kid: undefined } });
      return rig.exchange(assertion);
    };
    expect((await signed('ES256')).status).toBe(200);
    rig.clock.advance(LIMITS.jwksCacheMs);
    await rig.issuer.sign(rig.claims(), { alg: 'ES256', kid: 'second' });
    expect(errorOf(await signed('ES256'))).toEqual(INVALID_GRANT);
  });

  it('on another host than the issuer’s are read there', async () => {
    const keys = rig.issuers.at('https://keys.example.net');
    keys.answer = (_request, response) => response.end(JSON.stringify({ keys: rig.issuer.keys }));
    rig.issuer.discovery = { jwks_uri: 'https://keys.example.net/certs' };
    expect((await exchange()).status).toBe(200);
    expect(keys.asked).toEqual(['/certs']);
  });
});

describe('an issuer that is down', () => {
  const down = (_request: unknown, response: ServerResponse) => response.writeHead(500).end();

  it('has its last good keys, and is asked again every 30 s', async () => {
    await exchange();
    rig.issuer.answer = down;
    rig.clock.advance(LIMITS.jwksCacheMs);
    expect((await exchange()).status).toBe(200);
    expect((await exchange()).status).toBe(200);
    expect(rig.issuer.asked.length).toBe(3);
    rig.clock.advance(LIMITS.jwksRefetchMs);
    rig.issuer.answer = null;
    expect((await exchange()).status).toBe(200);
    expect(keysAsked()).toBe(2);
  });

  it('and of which no key is held is 503, until it is up', async () => {
    rig.issuer.answer = down;
    const assertion = await rig.assertion();
    const answer = await rig.exchange(assertion);
    expect(errorOf(answer)).toEqual(UNAVAILABLE);
    expect(answer.headers['retry-after']).toBe('5');
    expect(await deniedBecause()).toBe('The issuer answers what cannot be used: status 500');
    rig.issuer.answer = null;
    expect(errorOf(await rig.exchange(assertion))).toEqual(UNAVAILABLE);
    rig.clock.advance(5_000);
    expect((await rig.exchange(assertion)).status).toBe(200);
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['says nothing', () => {}],
    ['stops in the middle', (response) => response.writeHead(200).write('{')],
  ])('that %s is not waited for longer than 5 s', async (_name, begin) => {
    const arrived: ServerResponse[] = [];
    rig.issuer.answer = (_request, response) => {
      begin(response);
      arrived.push(response);
    };
    const answer = exchange();
    await until(() => arrived.length > 0);
    rig.clock.advance(5_000);
    expect(errorOf(await answer)).toEqual(UNAVAILABLE);
  });

  it('that trickles is not waited for longer than 5 s', async () => {
    const arrived: ServerResponse[] = [];
    rig.issuer.answer = (_request, response) => {
      response.writeHead(200).write(' ');
      arrived.push(response);
    };
    const answer = exchange();
    await until(() => arrived.length > 0);
    for (let n = 0; n < 5; n++) {
      arrived[0]!.write(' ');
      await new Promise((resolve) => setImmediate(resolve));
      rig.clock.advance(1_000);
    }
    expect(errorOf(await answer)).toEqual(UNAVAILABLE);
  });
});

describe('what an issuer must not answer', () => {
  it.each<[string, (response: ServerResponse) => void]>([
    ['a redirect', (response) => response.writeHead(302, { location: 'https://keys.example.net/' }).end()],
    ['no JSON', (response) => response.end('<html>')],
    ['a text', (response) => response.end('"x"')],
    ['null', (response) => response.end('null')],
    ['more than 256 KiB', (response) => response.end(`"${'x'.repeat(LIMITS.jwksBytesMax)}"`)],
    ['deep nesting', (response) => response.end('['.repeat(200_000))],
    [
      'compressed JSON',
      (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(randomBytes(64)),
    ],
    ['201', (response) => response.writeHead(201).end('{}')],
  ])('%s: none of it is taken', async (_name, write) => {
    rig.issuer.answer = (_request, response) => write(response);
    expect(errorOf(await exchange())).toEqual(UNAVAILABLE);
    expect(rig.issuers.at('https://keys.example.net').asked).toEqual([]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['another issuer', { issuer: 'https://evil.example' }],
    ['no keys', { jwks_uri: undefined }],
    ['keys over http', { jwks_uri: 'http://keys.example.net/' }],
    ['keys at an address', { jwks_uri: 'https://169.254.169.254/' }],
    ['keys at a database', { jwks_uri: 'https://keys.example.net:5432/' }],
    ['keys with a password', { jwks_uri: 'https://a:b@keys.example.net/' }],
  ])('a discovery document with %s', async (_name, discovery) => {
    rig.issuer.discovery = discovery;
    expect(errorOf(await exchange())).toEqual(UNAVAILABLE);
    expect(rig.issuers.at('https://keys.example.net').asked).toEqual([]);
  });

  it('a certificate of nobody, and a host that is off the tenant’s allowlist', async () => {
    rig.issuers.dns.set('wrong.example.net', ['127.0.0.1']);
    const wrong = rig.issuers.at('https://wrong.example.net');
    await rig.bind(rig.tenant, { issuer: wrong.issuer });
    const ofWrong = () => wrong.sign(rig.claims({ iss: wrong.issuer }));
    expect(errorOf(await rig.exchange(await ofWrong()))).toEqual(UNAVAILABLE);
    expect(await deniedBecause()).toMatch(/certificate is for another name/);
    await rig.call('PUT', '/v1/egress/allowlist', {
      key: rig.tenant.live,
      body: { hosts: ['other.example.net'] },
    });
    expect(errorOf(await exchange())).toEqual(UNAVAILABLE);
    expect(await deniedBecause()).toBe('The host is not on the egress allowlist');
    expect(rig.issuer.asked).toEqual([]);
  });
});

describe('a hostile key set', () => {
  const rsa = (bits: number, publicExponent = 65_537) =>
    generateKeyPairSync('rsa', { modulusLength: bits, publicExponent });

  async function publish(pair: { publicKey: unknown; privateKey: unknown }, more: object = {}) {
    rig.issuer.keys.push({ ...(await exportJWK(pair.publicKey as never)), kid: 'bad', ...more });
    return exchange({ alg: 'RS256', kid: 'bad', key: pair.privateKey as never });
  }

  it('X39 with an RSA key of 8192 bits: the key is not taken', async () => {
    const n = Buffer.concat([Buffer.from([0xff]), randomBytes(1_023)]).toString('base64url');
    rig.issuer.keys.push({ kty: 'RSA', n, e: 'AQAB', kid: 'bad' });
    expect(
      errorOf(await exchange({ alg: 'RS256', kid: 'bad', key: rsa(2_048).privateKey as never })),
    ).toEqual(INVALID_GRANT);
  });

  it('X39 with e = 3: the key is not taken', async () => {
    expect(errorOf(await publish(rsa(2_048, 3)))).toEqual(INVALID_GRANT);
  });

  it.each<[string, object]>([
    ['for encryption', { use: 'enc' }],
    ['for other operations', { key_ops: ['sign'] }],
    ['of another algorithm', { alg: 'RS512' }],
    ['that is private', { d: 'AQAB' }],
    ['whose id is no text', { kid: 7 }],
  ])('with a key %s: the key is not taken', async (_name, more) => {
    expect(errorOf(await publish(rsa(2_048), more))).toEqual(INVALID_GRANT);
  });

  it('leaves the good keys of the set good', async () => {
    const junk = [
      null,
      7,
      'x',
      [],
      {},
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
      { kty: 'oct', k: 'AAAA' },
    ];
    rig.issuer.keys.push(...(junk as never[]));
    expect((await exchange()).status).toBe(200);
  });

  it('of more than 100 keys is not taken', async () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = await exportJWK(publicKey as never);
    for (let n = 0; n < LIMITS.jwksKeysMax; n++) rig.issuer.keys.push({ ...jwk, kid: String(n) });
    expect(errorOf(await exchange())).toEqual(UNAVAILABLE);
  });
});
