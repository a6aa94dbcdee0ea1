import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { systemIds } from '../../platform/crypto/random.js';
import {
  type AcmeReply,
  type AcmeRig,
  openAcmeRig,
  RawAcmeClient,
  type RigRole,
} from '../../testing/acme-rig.js';
import { createAcmeSigner, externalBinding } from '../../testing/acme-signer.js';
import { createAccountStore } from './account-store.js';

/** Directory, nonces, accounts and their keys, as RFC 8555 §6 and §7.1 to §7.3 have them. */
let rig: AcmeRig;
let role: RigRole;
let closed: RigRole;
beforeAll(async () => {
  rig = await openAcmeRig();
  role = await rig.role();
  closed = await rig.role({ acme_require_eab: true });
});
afterAll(() => rig.close());
// All of them come from one network.
beforeEach(() => rig.installation.clock.advance(LIMITS.acmeRequestWindowMs));

/** Status and type; of a refusal all that RFC 8555 §6.7 asks of it is looked at. */
function outcome({ status, json, headers }: AcmeReply): string {
  expect(headers.get('replay-nonce')).toMatch(/^[\w-]{48}$/);
  expect(headers.get('link')).toMatch(/\/acme\/directory>;rel="index"/);
  expect(headers.get('cache-control')).toBe('no-store');
  if (status < 400) return String(status);
  expect(headers.get('content-type')).toBe('application/problem+json');
  expect(json).toMatchObject({ status, detail: expect.stringMatching(/./) });
  return `${status} ${json.type.replace('urn:ietf:params:acme:error:', '')}`;
}

describe('a directory', () => {
  it('names what there is, and whether an account needs a key', async () => {
    const base = role.directoryUrl.replace(/\/directory$/, '');
    const answer = await fetch(role.directoryUrl);
    expect(answer.headers.get('link')).toBe(`<${role.directoryUrl}>;rel="index"`);
    expect(await answer.json()).toEqual({
      newNonce: `${base}/new-nonce`,
      newAccount: `${base}/new-account`,
      newOrder: `${base}/new-order`,
      revokeCert: `${base}/revoke-cert`,
      keyChange: `${base}/key-change`,
      meta: { externalAccountRequired: false },
    });
    const other = (await (await fetch(closed.directoryUrl)).json()) as { meta: unknown };
    expect(other.meta).toEqual({ externalAccountRequired: true });
  });

  it.each([
    ['HEAD', 200],
    ['GET', 204],
  ])('gives a nonce by %s', async (method, status) => {
    const answer = await fetch(role.directoryUrl.replace('directory', 'new-nonce'), { method });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('replay-nonce')).toMatch(/^[\w-]{48}$/);
  });

  it('is 404 where there is none: unknown, malformed, without allow_acme, of another root, at another host', async () => {
    const off = await rig.role({ allow_acme: false });
    const url = new URL(role.directoryUrl);
    const paths = [
      url.pathname.replace(role.roleId, '00000000-0000-4000-8000-000000000000'),
      url.pathname.replace(role.roleId, 'x'),
      url.pathname.replace(role.roleId, role.roleId.toUpperCase()),
      url.pathname.replace(role.rootId, closed.rootId),
      new URL(off.directoryUrl).pathname,
    ];
    for (const path of paths) {
      const answer = await fetch(rig.origin + path);
      expect(answer.status, path).toBe(404);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
    }
    for (const part of ['%00', '%0d%0a', '%e2%82%ac']) {
      const headers = { 'content-type': 'application/jose+json' };
      const url = `${rig.origin}/pki/${part}/x/y/acme/new-account`;
      const answer = await fetch(url, { method: 'POST', headers, body: '{}' });
      expect([part, answer.status, answer.headers.get('content-type')]).toEqual([
        part,
        404,
        'application/problem+json',
      ]);
    }
    for (const host of ['sandbox.localhost', 'other.localhost']) {
      const { status } = await rig.installation.call('GET', url.pathname, { host });
      expect(status, host).toBe(404);
    }
    expect((await rig.installation.call('GET', url.pathname, { host: 'api.localhost' })).json).toMatchObject({
      newNonce: expect.stringMatching(/^http:\/\/api\.localhost:\d+\/pki\//),
    });
  });

  it('refuses other methods, other paths, other bodies', async () => {
    const client = await RawAcmeClient.of(role.directoryUrl);
    const url = client.directory['newOrder']!;
    const byGet = await fetch(url);
    expect([byGet.status, byGet.headers.get('allow'), byGet.headers.get('content-type')]).toEqual([
      405,
      'POST',
      'application/problem+json',
    ]);
    expect((await fetch(`${url}s`)).status).toBe(404);
    expect(outcome(await client.send(url, '{}', 'application/json'))).toBe('415 malformed');
    expect(outcome(await client.send(url, 'x'))).toBe('400 malformed');
    expect(outcome(await client.send(url, ''))).toBe('400 malformed');
    const large = JSON.stringify({ payload: 'x'.repeat(LIMITS.acmeBodyBytesMax) });
    expect(outcome(await client.send(url, large))).toBe('413 malformed');
  });
});

describe('a nonce', () => {
  it('is good once, over all requests at once too', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const url = client.kid!;
    const nonce = await client.freshNonce();
    const body = client.signer.sign({ url, nonce, kid: url }, undefined);
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => client.send(url, body)));
    expect(outcomes.map(outcome).sort()).toEqual(['200', ...Array(9).fill('400 badNonce')]);
    expect(outcome(await client.send(url, body))).toBe('400 badNonce');
  });

  it('of a refusal can be used at once', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const refused = await client.post(client.kid!, undefined, { header: { nonce: 'x' } });
    expect(outcome(refused)).toBe('400 badNonce');
    const nonce = refused.headers.get('replay-nonce');
    expect(outcome(await client.post(client.kid!, undefined, { header: { nonce } }))).toBe('200');
  });

  it('of another directory, of an hour ago, or none at all is not taken', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const other = await RawAcmeClient.of(closed.directoryUrl);
    for (const nonce of [await other.freshNonce(), null, '', 1, ['x']])
      expect(outcome(await client.post(client.kid!, undefined, { header: { nonce } }))).toBe('400 badNonce');
    const old = await client.freshNonce();
    rig.installation.clock.advance(LIMITS.acmeNonceMs + 1);
    expect(outcome(await client.post(client.kid!, undefined, { header: { nonce: old } }))).toBe(
      '400 badNonce',
    );
  });

  it('is not used up by a request whose signature is not good', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const nonce = await client.freshNonce();
    const forged = { header: { nonce }, signer: createAcmeSigner('ES256') };
    expect(outcome(await client.post(client.kid!, undefined, forged))).toBe('400 malformed');
    expect(outcome(await client.post(client.kid!, undefined, { header: { nonce } }))).toBe('200');
  });
});

describe('a request', () => {
  it('is of the account that kid names, of this directory alone', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const other = await RawAcmeClient.withAccount(role.directoryUrl);
    const elsewhere = await RawAcmeClient.withAccount((await rig.role()).directoryUrl);
    const unknown = client.kid!.replace(/[^/]+$/, '00000000-0000-4000-8000-000000000000');
    const url = client.directory['newOrder']!;
    const moved = elsewhere.kid!.split('/').at(-1)!;
    for (const kid of [
      unknown,
      elsewhere.kid,
      client.kid!.replace(/[^/]+$/, moved),
      client.kid!.slice(0, -1),
    ])
      expect(outcome(await client.post(url, {}, { header: { kid } }))).toBe('400 accountDoesNotExist');
    expect(outcome(await client.post(url, {}, { header: { kid: other.kid } }))).toBe('400 malformed');
    for (const kid of [null, 1, `${client.kid}?`, ''])
      expect((await client.post(url, {}, { header: { kid } })).status).toBe(400);
  });

  it('is for the URL that it was sent to', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    for (const url of [
      `${client.kid}/`,
      `${client.kid}?x`,
      client.kid!.replace('127.0.0.1', 'localhost'),
      'x',
    ])
      expect(outcome(await client.post(client.kid!, undefined, { header: { url } }))).toBe(
        '401 unauthorized',
      );
    expect(outcome(await client.post(client.kid!, undefined, { header: { url: null } }))).toBe(
      '400 malformed',
    );
  });

  it('is refused with no algorithm, a MAC, both keys or neither', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const url = client.kid!;
    const header = async () => ({ url, nonce: await client.freshNonce(), kid: url });
    for (const alg of ['none', 'HS256', 'PS256'])
      expect(outcome(await client.post(url, undefined, { header: { alg } }))).toBe(
        '400 badSignatureAlgorithm',
      );
    const mac = client.signer.signWithMac('HS256', await header(), undefined);
    expect(outcome(await client.send(url, mac))).toBe('400 badSignatureAlgorithm');
    const confused = client.signer.signWithMac('ES256', await header(), undefined);
    expect(outcome(await client.send(url, confused))).toBe('400 malformed');
    const other = { header: { alg: 'RS256' } };
    expect(outcome(await client.post(url, undefined, other))).toBe('400 badSignatureAlgorithm');
    for (const changes of [{ jwk: client.signer.jwk }, { kid: null }, { kid: null, jwk: client.signer.jwk }])
      expect(outcome(await client.post(url, undefined, { header: changes }))).toBe('400 malformed');
  });

  it('of one network is counted', async () => {
    const path = new URL(role.directoryUrl).pathname.replace('directory', 'new-order');
    const call = { payload: 'x', headers: { 'content-type': 'application/jose+json' }, ip: '203.0.113.9' };
    const send = () => rig.installation.call('POST', path, call);
    for (let i = 0; i < LIMITS.acmeRequestsPerNetworkMax; i++) expect((await send()).status).toBe(400);
    const refused = await send();
    expect(refused.status).toBe(429);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await rig.installation.call('POST', path, { ...call, ip: '203.0.113.10' })).status).toBe(400);
    rig.installation.clock.advance(LIMITS.acmeRequestWindowMs);
    expect((await send()).status).toBe(400);
  });
});

describe('an account', () => {
  it.each(['ES256', 'ES384', 'RS256', 'EdDSA'])(
    'of a key of %s is made once and found again',
    async (alg) => {
      const client = await RawAcmeClient.of(role.directoryUrl, alg);
      const made = await client.newAccount({ contact: ['mailto:ops@example.com'] });
      expect(outcome(made)).toBe('201');
      expect(made.json).toEqual({
        status: 'valid',
        contact: ['mailto:ops@example.com'],
        termsOfServiceAgreed: true,
        orders: `${client.kid}/orders`,
      });
      const { kid } = client;
      client.kid = null;
      const again = await client.newAccount({ onlyReturnExisting: true });
      expect([outcome(again), client.kid]).toEqual(['200', kid]);
      expect(outcome(await client.post(kid!))).toBe('200');
    },
  );

  it('is one where its client asks several times at once', async () => {
    const client = await RawAcmeClient.of(role.directoryUrl);
    const url = client.directory['newAccount']!;
    const bodies = await Promise.all(
      Array.from({ length: 5 }, async () =>
        client.signer.sign({ url, nonce: await client.freshNonce(), jwk: client.signer.jwk }, {}),
      ),
    );
    const answers = await Promise.all(bodies.map((body) => client.send(url, body)));
    expect(answers.map(outcome).sort()).toEqual(['200', '200', '200', '200', '201']);
    expect(new Set(answers.map(({ headers }) => headers.get('location'))).size).toBe(1);
  });

  it('is not made where only an existing one was asked for', async () => {
    const client = await RawAcmeClient.of(role.directoryUrl);
    expect(outcome(await client.newAccount({ onlyReturnExisting: true }))).toBe('400 accountDoesNotExist');
  });

  it.each([
    ['no list', 'mailto:a@example.com', '400 malformed'],
    ['too many', Array(11).fill('mailto:a@example.com'), '400 malformed'],
    ['a number', [1], '400 malformed'],
    ['a telephone', ['tel:+1'], '400 unsupportedContact'],
    ['header fields', ['mailto:a@example.com?subject=x'], '400 invalidContact'],
    ['two addresses', ['mailto:a@example.com,b@example.com'], '400 invalidContact'],
    ['no address', ['mailto:a'], '400 invalidContact'],
    ['a line break', ['mailto:a@example.com\r\nx: y'], '400 invalidContact'],
  ])('refuses contacts: %s', async (_name, contact, expected) => {
    const client = await RawAcmeClient.of(role.directoryUrl);
    expect(outcome(await client.newAccount({ contact }))).toBe(expected);
    await client.newAccount();
    expect(outcome(await client.post(client.kid!, { contact }))).toBe(expected);
  });

  it('changes its contacts and nothing else that it sends', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const sent = {
      contact: ['mailto:b@example.com'],
      orders: 'x',
      termsOfServiceAgreed: false,
      status: 'valid',
    };
    expect((await client.post(client.kid!, sent)).json).toMatchObject({ contact: ['mailto:b@example.com'] });
    expect((await client.post(client.kid!)).json).toMatchObject({
      contact: ['mailto:b@example.com'],
      orders: `${client.kid}/orders`,
      termsOfServiceAgreed: true,
    });
    expect(outcome(await client.post(client.kid!, { status: 'revoked' }))).toBe('400 malformed');
  });

  it('shows nothing of itself to another', async () => {
    const [client, other] = [
      await RawAcmeClient.withAccount(role.directoryUrl),
      await RawAcmeClient.withAccount(role.directoryUrl),
    ];
    for (const path of ['', '/orders'])
      expect(outcome(await other.post(client.kid! + path))).toBe('404 malformed');
    expect(outcome(await other.post(client.kid!, { status: 'deactivated' }))).toBe('404 malformed');
    expect(outcome(await client.post(client.kid!))).toBe('200');
  });

  it('that is deactivated does nothing any longer, and what it had begun ends', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const order = await client.newOrder('a.example.com');
    expect((await client.post(client.kid!, { status: 'deactivated' })).json.status).toBe('deactivated');
    for (const url of [client.kid!, client.directory['newOrder']!, order.headers.get('location')!])
      expect(outcome(await client.post(url))).toBe('401 unauthorized');
    client.kid = null;
    for (const payload of [{}, { onlyReturnExisting: true }])
      expect(outcome(await client.newAccount(payload))).toBe('401 unauthorized');
    const id = order.headers.get('location')!.split('/').at(-1)!;
    expect(await statusOfOrder(id)).toBe('invalid');
  });

  it('of one network is counted', async () => {
    const limited = await rig.role();
    const client = await RawAcmeClient.of(limited.directoryUrl);
    for (let i = 0; i < LIMITS.acmeAccountsPerNetworkMax; i++) {
      client.signer = createAcmeSigner('EdDSA');
      client.kid = null;
      expect((await client.newAccount()).status).toBe(201);
    }
    expect((await client.newAccount()).status).toBe(400);
    client.kid = null;
    expect(outcome(await client.newAccount())).toBe('200');
    client.signer = createAcmeSigner('EdDSA');
    client.kid = null;
    expect(outcome(await client.newAccount())).toBe('429 rateLimited');
  });
});

async function statusOfOrder(id: string) {
  const { acmeTables } = await import('./tables.js');
  const row = await rig.db
    .view(acmeTables)
    .system('retention')
    .selectFrom('acme_orders')
    .select('status')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return row.status;
}

describe('a key change', () => {
  async function change(client: RawAcmeClient, changes: Parts = {}) {
    const url = client.directory['keyChange']!;
    const next = changes.next ?? createAcmeSigner('ES256');
    const payload = { account: client.kid, oldKey: client.signer.jwk, ...changes.payload };
    const inner = next.sign({ url, jwk: next.jwk, ...changes.header }, payload);
    return { answer: await client.post(url, { ...inner, ...changes.inner }), next };
  }
  interface Parts {
    readonly next?: ReturnType<typeof createAcmeSigner>;
    readonly header?: Record<string, unknown>;
    readonly payload?: Record<string, unknown>;
    readonly inner?: Record<string, unknown>;
  }

  it('puts the new key in the place of the old one', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const { answer, next } = await change(client);
    expect([outcome(answer), answer.headers.get('location')]).toEqual(['200', client.kid]);
    expect(outcome(await client.post(client.kid!))).toBe('400 malformed');
    client.signer = next;
    expect(outcome(await client.post(client.kid!))).toBe('200');
  });

  it.each([
    [
      'the account of another',
      async () => ({ payload: { account: (await RawAcmeClient.withAccount(role.directoryUrl)).kid } }),
    ],
    ['no account', async () => ({ payload: { account: undefined } })],
    [
      'the key of another as the old one',
      async () => ({ payload: { oldKey: createAcmeSigner('ES256').jwk } }),
    ],
    ['no old key', async () => ({ payload: { oldKey: undefined } })],
    ['a kid within', async () => ({ header: { jwk: undefined, kid: 'x' } })],
    ['another URL within', async () => ({ header: { url: 'https://evil.example/key-change' } })],
    ['the key of another within', async () => ({ header: { jwk: createAcmeSigner('ES256').jwk } })],
    ['a MAC within', async () => ({ header: { alg: 'HS256' } })],
    ['no signature within', async () => ({ inner: { signature: '' } })],
    ['an unprotected header within', async () => ({ inner: { header: {} } })],
  ])('is refused: %s', async (_name, changes) => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    expect((await change(client, await changes())).answer.status).toBeGreaterThanOrEqual(400);
    expect(outcome(await client.post(client.kid!))).toBe('200');
  });

  it('is refused where another account has the key, and says which', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const other = await RawAcmeClient.withAccount(role.directoryUrl);
    const { answer } = await change(client, { next: other.signer });
    expect([outcome(answer), answer.headers.get('location')]).toEqual(['409 malformed', other.kid]);
  });

  it('of several at once takes one', async () => {
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const changes = await Promise.all(Array.from({ length: 4 }, () => change(client)));
    expect(changes.filter(({ answer }) => answer.status === 200)).toHaveLength(1);
  });

  it('of one network is counted, and what is refused is not', async () => {
    const limited = await rig.role();
    const client = await RawAcmeClient.withAccount(limited.directoryUrl);
    const other = await RawAcmeClient.withAccount(limited.directoryUrl);
    for (let i = 0; i < LIMITS.acmeKeyChangesPerNetworkMax; i++) {
      if (i === 1)
        expect(outcome((await change(client, { next: other.signer })).answer)).toBe('409 malformed');
      const { answer, next } = await change(client);
      expect(outcome(answer)).toBe('200');
      client.signer = next;
    }
    for (const one of [client, other]) expect(outcome((await change(one)).answer)).toBe('429 rateLimited');
    expect(outcome(await client.post(client.kid!))).toBe('200');
  });
});

describe('an external account', () => {
  it('is needed where the role says so, shown in the account, and seen by who made the key', async () => {
    const client = await RawAcmeClient.of(closed.directoryUrl);
    expect(outcome(await client.newAccount())).toBe('403 externalAccountRequired');
    const key = await rig.externalKey(closed);
    const made = await client.newAccount({}, key);
    expect(outcome(made)).toBe('201');
    const binding = made.json.externalAccountBinding;
    expect(JSON.parse(Buffer.from(binding.protected, 'base64url').toString())).toMatchObject({
      alg: 'HS256',
      kid: key.kid,
    });
    const { json } = await rig.api('GET', closed.keysPath);
    const id = client.kid!.split('/').at(-1);
    expect(json.data.find((row: { kid: string }) => row.kid === key.kid)).toMatchObject({
      account_id: id,
      bound_at: expect.any(String),
    });
  });

  it('is good for one account, whoever is first', async () => {
    const key = await rig.externalKey(closed);
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawAcmeClient.of(closed.directoryUrl)));
    const answers = await Promise.all(clients.map((client) => client.newAccount({}, key)));
    expect(answers.map(outcome).sort()).toEqual(['201', ...Array(3).fill('403 unauthorized')]);
    const late = await RawAcmeClient.of(closed.directoryUrl);
    expect(outcome(await late.newAccount({}, key))).toBe('403 unauthorized');
  });

  it('is taken where none is needed too, and must be good there as well', async () => {
    const client = await RawAcmeClient.of(role.directoryUrl);
    const wrong = { ...(await rig.externalKey(role)), hmacKey: 'AAAA' };
    expect(outcome(await client.newAccount({}, wrong))).toBe('403 unauthorized');
    expect(outcome(await client.newAccount({}, await rig.externalKey(role)))).toBe('201');
  });

  it.each([
    ['a wrong MAC', { hmacKey: Buffer.alloc(32).toString('base64url') }, {}, '403 unauthorized'],
    ['an unknown key', { kid: '00000000-0000-4000-8000-000000000000' }, {}, '403 unauthorized'],
    ['another algorithm', {}, { alg: 'HS512' }, '400 badSignatureAlgorithm'],
    ['none', {}, { alg: 'none' }, '400 badSignatureAlgorithm'],
    ['a nonce', {}, { nonce: 'x' }, '400 malformed'],
    ['another URL', {}, { url: 'https://evil.example/new-account' }, '401 unauthorized'],
    ['crit', {}, { crit: ['x'] }, '400 malformed'],
  ])('is refused with %s', async (_name, changes, header, expected) => {
    const client = await RawAcmeClient.of(closed.directoryUrl);
    const key = { ...(await rig.externalKey(closed)), ...changes };
    const url = client.directory['newAccount']!;
    const externalAccountBinding = externalBinding(key, url, client.signer.jwk, header);
    expect(outcome(await client.newAccount({ externalAccountBinding }))).toBe(expected);
  });

  it('is refused for another key than that of the request, and with a key of another role', async () => {
    const client = await RawAcmeClient.of(closed.directoryUrl);
    const url = client.directory['newAccount']!;
    const key = await rig.externalKey(closed);
    const externalAccountBinding = externalBinding(key, url, createAcmeSigner('ES256').jwk);
    expect(outcome(await client.newAccount({ externalAccountBinding }))).toBe('400 malformed');
    expect(outcome(await client.newAccount({}, await rig.externalKey(role)))).toBe('403 unauthorized');
    for (const value of [null, 'x', [], {}])
      expect(outcome(await client.newAccount({ externalAccountBinding: value }))).toBe('400 malformed');
  });

  it('ends with its key', async () => {
    const client = await RawAcmeClient.of(closed.directoryUrl);
    const key = await rig.externalKey(closed);
    await client.newAccount({}, key);
    const path = `${closed.keysPath}/${key.kid}`;
    expect((await rig.api('DELETE', path)).json.data).toEqual({ deleted: true });
    expect((await client.post(client.kid!)).json).toMatchObject({
      detail: 'The account is revoked',
      status: 401,
    });
    expect((await rig.api('DELETE', path)).status).toBe(404);
    const unused = await rig.externalKey(closed);
    await rig.api('DELETE', `${closed.keysPath}/${unused.kid}`);
    const late = await RawAcmeClient.of(closed.directoryUrl);
    expect(outcome(await late.newAccount({}, unused))).toBe('403 unauthorized');
  });

  it('that come at once from one network are counted too', async () => {
    const limited = await rig.role();
    const clients = [];
    for (let i = 0; i < LIMITS.acmeAccountsPerNetworkMax + 5; i++) {
      const client = await RawAcmeClient.of(limited.directoryUrl, 'EdDSA');
      // Strangers stand in a line, so that these would not all come through at once.
      if (i < LIMITS.acmeAccountsPerNetworkMax - 5) await client.newAccount();
      else clients.push(client);
    }
    const answers = await Promise.all(clients.map((client) => client.newAccount()));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(5);
  });

  it('of strangers, however many there are, keep out nobody who has a key', async () => {
    const full = await rig.role();
    const store = createAccountStore(rig.db);
    const tenantId = new URL(full.directoryUrl).pathname.split('/')[2] as TenantId;
    const { jwk } = createAcmeSigner('EdDSA');
    await rig.db.transaction(async (tx) => {
      for (let i = 0; i < LIMITS.acmeAccountsPerRoleMax; i++)
        await store.insertAccount(
          tx,
          { tenantId, sandbox: false },
          {
            id: systemIds.uuid(),
            rootId: full.rootId,
            roleId: full.roleId,
            status: 'valid',
            jwk: jwk as never,
            thumbprint: `stranger ${i}`,
            contacts: [],
            termsAgreed: true,
            externalBinding: null,
            createdAtMs: 0,
          },
        );
    });
    const client = await RawAcmeClient.of(full.directoryUrl);
    expect(outcome(await client.newAccount())).toBe('429 rateLimited');
    expect(outcome(await client.newAccount({}, await rig.externalKey(full)))).toBe('201');
  });
});
