import { X509Certificate } from 'node:crypto';
import * as acme from 'acme-client';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { sha256 } from '../../platform/crypto/hashing.js';
import { thumbprintOf } from '../../platform/crypto/jwk.js';
import {
  type AcmeReply,
  type AcmeRig,
  openAcmeRig,
  RawAcmeClient,
  type RigRole,
} from '../../testing/acme-rig.js';
import { type AcmeSigner, createAcmeSigner } from '../../testing/acme-signer.js';

/** Orders, authorizations, certificates and their revocation, as RFC 8555 §7.4 to §7.6 has them. */
let rig: AcmeRig;
let role: RigRole;
beforeAll(async () => {
  rig = await openAcmeRig();
  role = await rig.role();
  for (const name of ['example.com', 'a.example.com', 'b.example.com']) rig.dns.set(name, ['127.0.0.1']);
});
afterAll(() => rig.close());
// All of them come from one network.
beforeEach(() => rig.installation.clock.advance(LIMITS.acmeRequestWindowMs));

const account = (of = role) => RawAcmeClient.withAccount(of.directoryUrl);
const idle = () => rig.installation.services.jobs.idle();

function outcome({ status, json }: AcmeReply): string {
  return status < 400 ? String(status) : `${status} ${json.type.replace('urn:ietf:params:acme:error:', '')}`;
}

const keyAuthorization = (client: RawAcmeClient, token: string) =>
  `${token}.${thumbprintOf(client.signer.jwk as never)}`;

/** Puts where the challenge says what proves the name. */
function prove(client: RawAcmeClient, name: string, { type, token }: { type: string; token: string }) {
  const text = keyAuthorization(client, token);
  if (type === 'http-01') rig.pages.set(token, text);
  else rig.dns.set(`_acme-challenge.${name}`, { txt: ['other', sha256(text).toString('base64url')] });
}

type Wire = ReturnType<typeof JSON.parse>;

const challengeOf = (authorization: AcmeReply, type: string): Wire =>
  authorization.json.challenges.find((one: Wire) => one.type === type);

async function pass(client: RawAcmeClient, order: AcmeReply, type = 'http-01'): Promise<void> {
  for (const authorization of await client.authorizations(order)) {
    const challenge = challengeOf(authorization, type);
    prove(client, authorization.json.identifier.value, challenge);
    expect((await client.post(challenge.url, {})).json.status).toMatch(/^(processing|valid)$/);
  }
  await idle();
}

async function ready(client: RawAcmeClient, ...names: string[]): Promise<AcmeReply> {
  const order = await client.newOrder(...names);
  await pass(client, order);
  const after = await client.post(order.headers.get('location')!);
  expect(after.json.status).toBe('ready');
  return after;
}

async function csrOf(names: readonly string[], key?: Buffer): Promise<string> {
  const own = key ?? (await acme.crypto.createPrivateEcdsaKey());
  const [, csr] = await acme.crypto.createCsr({ altNames: [...names] }, own);
  return acme.crypto.getPemBodyAsB64u(csr);
}

async function certified(client: RawAcmeClient, names: string[], key?: Buffer) {
  const order = await ready(client, ...names);
  const done = await client.post(order.json.finalize, { csr: await csrOf(names, key) });
  expect(done.json).toMatchObject({ status: 'valid' });
  const chain = await client.post(done.json.certificate);
  const leaf = new X509Certificate(chain.text);
  return { order: done, chain, leaf, der: leaf.raw.toString('base64url') };
}

async function revocationOf(leaf: X509Certificate, of = role) {
  const path = `/v1/pki/roots/${of.root}/certs/${leaf.serialNumber.toLowerCase()}`;
  const { revoked_at, reason } = (await rig.api('GET', path)).json.data;
  return revoked_at && reason;
}

describe('an order', () => {
  it('goes from pending over ready to valid, and its certificate is one of the role', async () => {
    const client = await account();
    const order = await client.newOrder('B.Example.com', 'a.example.com', 'a.example.com');
    expect(order.status).toBe(201);
    expect(order.json).toEqual({
      status: 'pending',
      expires: expect.stringMatching(/:\d\dZ$/),
      identifiers: [
        { type: 'dns', value: 'a.example.com' },
        { type: 'dns', value: 'b.example.com' },
      ],
      authorizations: [expect.any(String), expect.any(String)],
      finalize: `${order.headers.get('location')}/finalize`,
    });
    const [first] = await client.authorizations(order);
    expect(first!.json).toEqual({
      identifier: { type: 'dns', value: 'a.example.com' },
      status: 'pending',
      expires: order.json.expires,
      challenges: ['http-01', 'dns-01'].map((type) => ({
        type,
        url: expect.stringContaining('/challenge/'),
        status: 'pending',
        token: expect.stringMatching(/^[\w-]{43}$/),
      })),
    });
    await pass(client, order);
    const [after] = await client.authorizations(order);
    expect(after!.json).toMatchObject({
      status: 'valid',
      challenges: [{ type: 'http-01', status: 'valid', validated: expect.stringMatching(/Z$/) }],
    });
    const url = order.headers.get('location')!;
    expect((await client.post(url)).json.status).toBe('ready');
    const csr = await csrOf(['a.example.com', 'b.example.com']);
    const done = await client.post(order.json.finalize, { csr });
    expect(done.json).toMatchObject({
      status: 'valid',
      certificate: url.replace('/order/', '/certificate/'),
    });
    const chain = await client.post(done.json.certificate);
    expect(chain.headers.get('content-type')).toBe('application/pem-certificate-chain');
    const leaf = new X509Certificate(chain.text);
    const { json } = await rig.api(
      'GET',
      `/v1/pki/roots/${role.root}/certs/${leaf.serialNumber.toLowerCase()}`,
    );
    expect(json.data).toMatchObject({ san_dns: ['a.example.com', 'b.example.com'], role: role.role });
    const audit = await rig.api('GET', '/v1/audit-logs?action=pki.sign&per_page=1');
    expect(audit.json.data[0]).toMatchObject({ action: 'pki.sign', ip_address: '127.0.0.1' });
  });

  it('is by dns-01 alone for a wildcard, and only where the role lets it', async () => {
    const client = await account();
    const order = await client.newOrder('*.example.com');
    const [authorization] = await client.authorizations(order);
    expect(authorization!.json).toMatchObject({
      identifier: { value: 'example.com' },
      wildcard: true,
      challenges: [{ type: 'dns-01' }],
    });
    await pass(client, order, 'dns-01');
    expect((await client.post(order.headers.get('location')!)).json.status).toBe('ready');
    const none = await account(await rig.role({ allow_wildcards: false }));
    expect(outcome(await none.newOrder('*.example.com'))).toBe('400 rejectedIdentifier');
  });

  it('is refused with every name that the role does not certify', async () => {
    const client = await account();
    const refused = await client.newOrder('a.example.com', 'www.example.net', 'example.com.evil.test', 'x y');
    expect(outcome(refused)).toBe('400 rejectedIdentifier');
    expect(refused.json.subproblems).toHaveLength(3);
    expect(refused.json.subproblems[0]).toEqual({
      type: 'urn:ietf:params:acme:error:rejectedIdentifier',
      detail: expect.stringContaining('allowed_domains'),
      identifier: { type: 'dns', value: 'www.example.net' },
    });
    const url = client.directory['newOrder']!;
    const identifiers = [{ type: 'ip', value: '10.0.0.1' }];
    expect(outcome(await client.post(url, { identifiers }))).toBe('400 unsupportedIdentifier');
  });

  it.each([
    ['nothing', {}],
    ['no list', { identifiers: 'a.example.com' }],
    ['an empty list', { identifiers: [] }],
    ['texts', { identifiers: ['a.example.com'] }],
    ['a number', { identifiers: [{ type: 'dns', value: 1 }] }],
    ['no type', { identifiers: [{ value: 'a.example.com' }] }],
    [
      'too many',
      { identifiers: Array.from({ length: 101 }, (_, i) => ({ type: 'dns', value: `n${i}.example.com` })) },
    ],
    ['dates', { identifiers: [{ type: 'dns', value: 'a.example.com' }], notAfter: '2030-01-01T00:00:00Z' }],
  ])('is refused: %s', async (_name, payload) => {
    const client = await account();
    expect(outcome(await client.post(client.directory['newOrder']!, payload))).toBe('400 malformed');
  });

  it.each([
    '127.0.0.1',
    'a.example.com.',
    'bücher.example.com',
    '*.*.example.com',
    'a..example.com',
    '',
    '*',
  ])('is refused for %s', async (name) => {
    expect(outcome(await (await account()).newOrder(name))).toBe('400 rejectedIdentifier');
  });

  it('takes 100 names', async () => {
    const client = await account();
    const order = await client.newOrder(...Array.from({ length: 100 }, (_, i) => `n${i}.example.com`));
    expect([order.status, order.json.authorizations.length]).toEqual([201, 100]);
  });

  it('is listed, the newest first, to its account', async () => {
    const client = await account();
    const orders: string[] = [];
    for (const name of ['a.example.com', 'b.example.com']) {
      rig.installation.clock.advance(1);
      orders.unshift((await client.newOrder(name)).headers.get('location')!);
    }
    expect((await client.post(`${client.kid}/orders`)).json).toEqual({ orders });
    const last = orders[0]!.split('/').at(-1);
    expect((await client.post(`${client.kid}/orders?cursor=${last}`)).json).toEqual({
      orders: orders.slice(1),
    });
    for (const cursor of ['x', '%00', ''])
      expect(outcome(await client.post(`${client.kid}/orders?cursor=${cursor}`))).toBe('400 malformed');
  });

  it('shows nothing of itself to another account', async () => {
    const client = await account();
    const order = await ready(client, 'a.example.com');
    const url = order.headers.get('location')!;
    const [authorization] = await client.authorizations(order);
    const other = await account();
    const csr = await csrOf(['a.example.com']);
    for (const [target, payload] of [
      [url, undefined],
      [`${url}/finalize`, { csr }],
      [url.replace('/order/', '/certificate/'), undefined],
      [order.json.authorizations[0], undefined],
      [order.json.authorizations[0], { status: 'deactivated' }],
      [authorization!.json.challenges[0].url, undefined],
      [authorization!.json.challenges[0].url, {}],
      ...[url, authorization!.json.challenges[0].url, order.json.authorizations[0]].flatMap((known) =>
        ['x', '%00'].map((id) => [known.replace(/[^/]+$/, id), undefined] as const),
      ),
    ] as const)
      expect(outcome(await other.post(target, payload)), target).toBe('404 malformed');
    expect((await client.post(url)).json.status).toBe('ready');
    const elsewhere = await account(await rig.role());
    const moved = url.split('/').at(-1);
    const there = `${elsewhere.kid!.replace(/\/account\/.*/, '')}/order/${moved}`;
    expect(outcome(await elsewhere.post(there))).toBe('404 malformed');
  });

  it('runs out', async () => {
    const client = await account();
    const order = await ready(client, 'a.example.com');
    rig.installation.clock.advance(LIMITS.acmeOrderMs);
    const url = order.headers.get('location')!;
    // Its nonce has run out as well.
    expect(outcome(await client.post(url))).toBe('400 badNonce');
    expect((await client.post(url)).json.status).toBe('invalid');
    const finalize = await client.post(`${url}/finalize`, { csr: await csrOf(['a.example.com']) });
    expect(outcome(finalize)).toBe('403 orderNotReady');
  });

  it('is one of so many of an account', async () => {
    const client = await account();
    for (let i = 0; i < LIMITS.acmeOpenOrdersMax; i++)
      expect((await client.newOrder('a.example.com')).status).toBe(201);
    const refused = await client.newOrder('a.example.com');
    expect(outcome(refused)).toBe('429 rateLimited');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('of a retired root, or of a role that has lost ACME, is refused', async () => {
    const gone = await rig.role();
    const client = await account(gone);
    const { leaf, der } = await certified(client, ['a.example.com']);
    await rig.api('POST', `/v1/pki/roots/${gone.root}/retire`, {});
    expect(outcome(await client.newOrder('a.example.com'))).toBe('403 unauthorized');
    expect(outcome(await client.post(client.directory['revokeCert']!, { certificate: der }))).toBe('200');
    expect(await revocationOf(leaf, gone)).toBe('unspecified');
    await rig.api('PATCH', `/v1/pki/roots/${gone.root}/roles/${gone.role}`, { allow_acme: false });
    expect((await client.post(client.directory['newOrder']!)).status).toBe(404);
  });
});

describe('a challenge', () => {
  it('that fails says why, and ends authorization and order', async () => {
    const client = await account();
    const order = await client.newOrder('a.example.com');
    const [authorization] = await client.authorizations(order);
    const challenge = challengeOf(authorization!, 'http-01');
    rig.pages.set(challenge.token, `${challenge.token}.of-another`);
    const answer = await client.post(challenge.url, {});
    expect(answer.headers.get('link')).toContain(`<${order.json.authorizations[0]}>;rel="up"`);
    await idle();
    expect((await client.post(challenge.url)).json).toMatchObject({
      status: 'invalid',
      error: {
        type: 'urn:ietf:params:acme:error:incorrectResponse',
        detail: expect.stringMatching(/^a\.example/),
      },
    });
    expect((await client.post(order.json.authorizations[0])).json).toMatchObject({ status: 'invalid' });
    expect((await client.post(order.headers.get('location')!)).json).toMatchObject({
      status: 'invalid',
      error: { type: 'urn:ietf:params:acme:error:incorrectResponse' },
    });
    // Once decided it stays so.
    prove(client, 'a.example.com', challenge);
    expect((await client.post(challenge.url, {})).json.status).toBe('invalid');
  });

  it.each([
    ['a name that is none', 'none.example.com', null, 'dns'],
    ['a private address', 'inside.example.com', ['10.0.0.1'], 'connection'],
    ['metadata', 'meta.example.com', ['169.254.169.254'], 'connection'],
  ])('is not tried at %s', async (_name, name, addresses, type) => {
    rig.dns.set(name, addresses);
    const client = await account();
    const order = await client.newOrder(name);
    const [authorization] = await client.authorizations(order);
    const challenge = challengeOf(authorization!, 'http-01');
    prove(client, name, challenge);
    await client.post(challenge.url, {});
    await idle();
    const { error } = (await client.post(challenge.url)).json;
    expect(error.type).toBe(`urn:ietf:params:acme:error:${type}`);
    expect(error.detail).not.toMatch(/10\.0|169\.254/);
  });

  it('is read by POST-as-GET without being tried', async () => {
    const client = await account();
    const order = await client.newOrder('a.example.com');
    const [authorization] = await client.authorizations(order);
    const { url, token } = authorization!.json.challenges[0];
    expect((await client.post(url)).json.status).toBe('pending');
    await idle();
    expect(rig.asked).not.toContain(token);
  });

  it('is tried once, however often it is asked for', async () => {
    const client = await account();
    const order = await client.newOrder('a.example.com');
    const [authorization] = await client.authorizations(order);
    const challenge = challengeOf(authorization!, 'http-01');
    prove(client, 'a.example.com', challenge);
    for (let i = 0; i < 3; i++) await client.post(challenge.url, {});
    await idle();
    expect(rig.asked.filter((token) => token === challenge.token)).toHaveLength(1);
  });

  it('by the other way is of no use once one has failed', async () => {
    const client = await account();
    const order = await client.newOrder('a.example.com');
    const [authorization] = await client.authorizations(order);
    await client.post(challengeOf(authorization!, 'http-01').url, {});
    await idle();
    const other = challengeOf(authorization!, 'dns-01');
    prove(client, 'a.example.com', other);
    expect((await client.post(other.url, {})).json.status).toBe('pending');
  });

  it('fails so many times for a name, and is then put off', async () => {
    const client = await account();
    async function attempt(name: string) {
      const order = await client.newOrder(name);
      const [authorization] = await client.authorizations(order);
      const answer = await client.post(challengeOf(authorization!, 'http-01').url, {});
      await idle();
      return answer;
    }
    for (let i = 0; i < LIMITS.acmeFailuresPerNameMax; i++)
      expect(outcome(await attempt('a.example.com'))).toBe('200');
    expect(outcome(await attempt('a.example.com'))).toBe('429 rateLimited');
    expect(outcome(await attempt('b.example.com'))).toBe('200');
    rig.installation.clock.advance(LIMITS.acmeFailureWindowMs);
    expect(outcome(await attempt('a.example.com'))).toBe('200');
  });

  it('that finds no place comes back behind those that were put off before it', async () => {
    const { services } = rig.installation;
    const client = await account();
    const names = Array.from({ length: LIMITS.acmeValidationsPerTenantMax }, (_, i) => `p${i}.example.com`);
    for (const name of names) rig.dns.set(name, ['127.0.0.1']);
    let release = () => {};
    rig.held = new Promise((resolve) => {
      release = resolve;
    });
    const before = rig.asked.length;
    try {
      const order = await client.newOrder(...names);
      for (const authorization of await client.authorizations(order))
        await client.post(challengeOf(authorization, 'http-01').url, {});
      await vi.waitFor(() => expect(rig.asked.length - before).toBe(names.length));
      const [tenantId] = new URL(role.directoryUrl).pathname.split('/').slice(2) as [TenantId];
      const run = () =>
        services.acme.validations.run({ tenantId, sandbox: false }, 'any', { fence: async () => {} });
      expect([await run(), await run(), await run()]).toEqual([
        { rows: 0, againInMs: 250 },
        { rows: 0, againInMs: 270 },
        { rows: 0, againInMs: 290 },
      ]);
    } finally {
      rig.held = null;
      release();
      await idle();
    }
  });

  it('of an authorization that was given up is not tried', async () => {
    const client = await account();
    const order = await client.newOrder('a.example.com');
    const url = order.json.authorizations[0];
    const [authorization] = await client.authorizations(order);
    expect(outcome(await client.post(url, { status: 'valid' }))).toBe('400 malformed');
    expect((await client.post(url, { status: 'deactivated' })).json.status).toBe('deactivated');
    expect(outcome(await client.post(url, { status: 'deactivated' }))).toBe('400 malformed');
    const challenge = challengeOf(authorization!, 'http-01');
    prove(client, 'a.example.com', challenge);
    expect((await client.post(challenge.url, {})).json.status).toBe('pending');
    expect((await client.post(order.headers.get('location')!)).json.status).toBe('invalid');
  });
});

describe('finalize', () => {
  it.each([
    ['a further name', ['a.example.com', 'b.example.com']],
    ['another name', ['b.example.com']],
    ['a wildcard', ['*.example.com', 'a.example.com']],
    ['an address', ['a.example.com', '10.0.0.1']],
  ])('refuses a request with %s', async (_name, names) => {
    const client = await account();
    const order = await ready(client, 'a.example.com');
    expect(outcome(await client.post(order.json.finalize, { csr: await csrOf(names) }))).toBe('400 badCSR');
    expect((await client.post(order.headers.get('location')!)).json.status).toBe('ready');
  });

  it('refuses a request with fewer names, of another common name, of the key of the account, or of none', async () => {
    const client = await account();
    const order = await ready(client, 'a.example.com', 'b.example.com');
    const own = Buffer.from(client.signer.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const names = ['a.example.com', 'b.example.com'];
    const other = { commonName: 'c.example.com', altNames: names };
    const [, named] = await acme.crypto.createCsr(other, await acme.crypto.createPrivateEcdsaKey());
    const good = Buffer.from(await csrOf(names), 'base64url');
    const tampered = Buffer.from(good);
    tampered[tampered.length - 1]! ^= 1;
    for (const csr of [
      await csrOf(['a.example.com']),
      await csrOf(names, own),
      acme.crypto.getPemBodyAsB64u(named),
      tampered.toString('base64url'),
      Buffer.concat([good, Buffer.from([0])]).toString('base64url'),
      'AAAA',
    ])
      expect(outcome(await client.post(order.json.finalize, { csr }))).toBe('400 badCSR');
    for (const csr of [undefined, '', 1, 'not base64url!', `${good.toString('base64')}=`])
      expect(outcome(await client.post(order.json.finalize, { csr }))).toBe('400 malformed');
  });

  it('waits for every authorization, and makes one certificate', async () => {
    const client = await account();
    const order = await client.newOrder('a.example.com');
    const csr = await csrOf(['a.example.com']);
    expect(outcome(await client.post(order.json.finalize, { csr }))).toBe('403 orderNotReady');
    expect(
      outcome(await client.post(order.headers.get('location')!.replace('/order/', '/certificate/'))),
    ).toBe('404 malformed');
    await pass(client, order);
    const requests = await Promise.all(
      Array.from({ length: 4 }, async () =>
        client.signer.sign(
          { url: order.json.finalize, nonce: await client.freshNonce(), kid: client.kid },
          { csr },
        ),
      ),
    );
    const answers = await Promise.all(requests.map((body) => client.send(order.json.finalize, body)));
    expect(answers.map(outcome).sort()).toEqual(['200', ...Array(3).fill('403 orderNotReady')]);
    await idle();
    const { json } = await rig.api('GET', '/v1/audit-logs?action=pki.sign&per_page=100');
    const id = client.kid!.split('/').at(-1);
    const ours = json.data.filter((row: Wire) => row.details?.acme_account_id === id);
    expect(ours).toHaveLength(1);
  });

  it('ends with what the role no longer lets be certified', async () => {
    const narrowed = await rig.role();
    const client = await account(narrowed);
    const order = await ready(client, 'a.example.com');
    const path = `/v1/pki/roots/${narrowed.root}/roles/${narrowed.role}`;
    expect((await rig.api('PATCH', path, { allowed_domains: ['example.net'] })).status).toBe(200);
    const done = await client.post(order.json.finalize, { csr: await csrOf(['a.example.com']) });
    expect(done.json).toMatchObject({
      status: 'invalid',
      error: { type: 'urn:ietf:params:acme:error:rejectedIdentifier' },
    });
  });

  it('does nothing with an authorization that was given up meanwhile', async () => {
    const client = await account();
    const order = await ready(client, 'a.example.com');
    await client.post(order.json.authorizations[0], { status: 'deactivated' });
    const done = await client.post(order.json.finalize, { csr: await csrOf(['a.example.com']) });
    expect(outcome(done)).toBe('403 orderNotReady');
  });
});

describe('revocation', () => {
  const revoke = (client: RawAcmeClient, payload: object, signer?: AcmeSigner) =>
    client.post(
      client.directory['revokeCert']!,
      payload,
      signer && { signer, header: { kid: null, jwk: signer.jwk } },
    );

  it('is the account’s that ordered it, once', async () => {
    const client = await account();
    const { leaf, der } = await certified(client, ['a.example.com']);
    expect(outcome(await revoke(client, { certificate: der, reason: 4 }))).toBe('200');
    expect(await revocationOf(leaf)).toBe('superseded');
    expect(outcome(await revoke(client, { certificate: der }))).toBe('400 alreadyRevoked');
  });

  it('is the certificate’s own key’s', async () => {
    const signer = createAcmeSigner('ES256');
    const key = Buffer.from(signer.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const client = await account();
    const { leaf, der } = await certified(client, ['a.example.com'], key);
    const other = await account();
    expect(outcome(await revoke(other, { certificate: der, reason: 1 }, signer))).toBe('200');
    expect(await revocationOf(leaf)).toBe('key_compromise');
  });

  it('is an account’s that holds all of its names, as long as it does', async () => {
    const { leaf, der } = await certified(await account(), ['a.example.com', 'b.example.com']);
    const other = await account();
    await ready(other, 'a.example.com');
    expect(outcome(await revoke(other, { certificate: der }))).toBe('403 unauthorized');
    const order = await ready(other, 'b.example.com');
    await other.post(order.json.authorizations[0], { status: 'deactivated' });
    expect(outcome(await revoke(other, { certificate: der }))).toBe('403 unauthorized');
    await ready(other, 'b.example.com');
    expect(outcome(await revoke(other, { certificate: der }))).toBe('200');
    expect(await revocationOf(leaf)).toBe('unspecified');
  });

  it('is nobody else’s', async () => {
    const client = await account();
    const { leaf, der } = await certified(client, ['a.example.com']);
    const stranger = createAcmeSigner('ES256');
    expect(outcome(await revoke(await account(), { certificate: der }))).toBe('403 unauthorized');
    expect(outcome(await revoke(client, { certificate: der }, stranger))).toBe('403 unauthorized');
    // By the key of the account as a jwk: that is not the certificate's.
    expect(outcome(await revoke(client, { certificate: der }, client.signer))).toBe('403 unauthorized');
    expect(outcome(await revoke(await account(await rig.role()), { certificate: der }))).toBe(
      '404 malformed',
    );
    expect(await revocationOf(leaf)).toBeNull();
  });

  it('is refused for what is no certificate of the directory, and for other reasons', async () => {
    const client = await account();
    const { leaf, der } = await certified(client, ['a.example.com']);
    const forged = Buffer.from(leaf.raw);
    forged[forged.length - 1]! ^= 1;
    expect(outcome(await revoke(client, { certificate: forged.toString('base64url') }))).toBe(
      '404 malformed',
    );
    for (const certificate of [undefined, '', 'AAAA', 1, leaf.toString(), `${der}AA`])
      expect(outcome(await revoke(client, { certificate }))).toBe('400 malformed');
    for (const reason of [2, 6, 7, 8, 10, -1, '1', null, 1.5])
      expect(outcome(await revoke(client, { certificate: der, reason }))).toBe('400 badRevocationReason');
    expect(await revocationOf(leaf)).toBeNull();
  });
});
