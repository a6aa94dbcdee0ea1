import { X509Certificate } from 'node:crypto';
import * as acme from 'acme-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AcmeRig, openAcmeRig, type RigRole } from '../../testing/acme-rig.js';

/** A client of another maker, `acme-client`, as its users write it. */
let rig: AcmeRig;
let role: RigRole;
beforeAll(async () => {
  rig = await openAcmeRig();
  role = await rig.role({ acme_require_eab: true });
});
afterAll(() => rig.close());

/** Its waits between two looks are for the internet. */
const WAITS = { backoffMin: 20, backoffMax: 50 };

async function clientOf(accountKey: Buffer) {
  const { kid, hmacKey } = await rig.externalKey(role);
  return new acme.Client({
    directoryUrl: role.directoryUrl,
    accountKey,
    externalAccountBinding: { kid, hmacKey },
    ...WAITS,
  });
}

async function order(client: acme.Client, names: readonly string[], challengePriority: string[]) {
  const [commonName = ''] = names;
  const leafKey = await acme.crypto.createPrivateEcdsaKey();
  const [, csr] = await acme.crypto.createCsr({ commonName, altNames: [...names] }, leafKey);
  for (const name of names) rig.dns.set(name.replace('*.', ''), ['127.0.0.1']);
  const chain = await client.auto({
    csr,
    email: 'ops@example.com',
    termsOfServiceAgreed: true,
    challengePriority,
    skipChallengeVerification: true,
    async challengeCreateFn({ identifier }, { type, token }, keyAuthorization) {
      if (type === 'http-01') rig.pages.set(token, keyAuthorization);
      else rig.dns.set(`_acme-challenge.${identifier.value}`, { txt: [keyAuthorization] });
    },
    async challengeRemoveFn(_authorization, { token }) {
      rig.pages.delete(token);
    },
  });
  return { chain, leaf: new X509Certificate(chain) };
}

async function rowOf(leaf: X509Certificate) {
  const path = `/v1/pki/roots/${role.root}/certs/${leaf.serialNumber.toLowerCase()}`;
  return (await rig.api('GET', path)).json.data;
}

describe.each([
  ['P-256', () => acme.crypto.createPrivateEcdsaKey('P-256')],
  ['P-384', () => acme.crypto.createPrivateEcdsaKey('P-384')],
  ['RSA', () => acme.crypto.createPrivateRsaKey(2048)],
])('acme-client with an account key of %s', (_kind, newKey) => {
  it('gets a certificate by http-01, renews it, changes its account key and revokes', async () => {
    const client = await clientOf(await newKey());
    const first = await order(client, ['www.example.com', 'api.example.com'], ['http-01']);
    expect(first.leaf.subjectAltName).toBe('DNS:www.example.com, DNS:api.example.com');
    expect(first.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const renewed = await order(client, ['www.example.com', 'api.example.com'], ['http-01']);
    expect(renewed.leaf.serialNumber).not.toBe(first.leaf.serialNumber);

    const nextKey = await newKey();
    await client.updateAccountKey(nextKey);
    const after = await order(client, ['www.example.com'], ['http-01']);
    expect(await rowOf(after.leaf)).toMatchObject({ revoked_at: null, role: role.role });

    await client.revokeCertificate(first.leaf.toString(), { reason: 4 });
    expect(await rowOf(first.leaf)).toMatchObject({ revoked_at: expect.any(String), reason: 'superseded' });
    await expect(client.revokeCertificate(first.leaf.toString())).rejects.toThrow(/revoked before/);
  });
});

describe('acme-client', () => {
  it('gets a certificate for a wildcard by dns-01', async () => {
    const client = await clientOf(await acme.crypto.createPrivateEcdsaKey());
    const { leaf } = await order(client, ['*.example.com', 'example.com'], ['http-01', 'dns-01']);
    expect(leaf.subjectAltName).toBe('DNS:*.example.com, DNS:example.com');
    expect(leaf.checkHost('a.example.com')).toBe('*.example.com');
  });

  it('is told why a name is not certified', async () => {
    const client = await clientOf(await acme.crypto.createPrivateEcdsaKey());
    await expect(order(client, ['www.example.net'], ['http-01'])).rejects.toThrow(/allowed_domains/);
  });

  it('without a key of the management API has no account', async () => {
    const accountKey = await acme.crypto.createPrivateEcdsaKey();
    const client = new acme.Client({ directoryUrl: role.directoryUrl, accountKey, ...WAITS });
    await expect(client.createAccount({ termsOfServiceAgreed: true })).rejects.toThrow(
      /externalAccountBinding/,
    );
  });

  it('deactivates its account', async () => {
    const client = await clientOf(await acme.crypto.createPrivateEcdsaKey());
    await client.createAccount({ termsOfServiceAgreed: true });
    await client.updateAccount({ status: 'deactivated' });
    await expect(
      client.createOrder({ identifiers: [{ type: 'dns', value: 'example.com' }] }),
    ).rejects.toThrow(/deactivated/);
  });
});
