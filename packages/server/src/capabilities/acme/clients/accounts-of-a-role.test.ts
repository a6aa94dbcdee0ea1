import * as acme from 'acme-client';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { LIMITS } from '../../../kernel/limits.js';
import { thumbprintOf } from '../../../platform/crypto/jwk.js';
import {
  type AcmeReply,
  type AcmeRig,
  openAcmeRig,
  RawAcmeClient,
  type RigRole,
} from '../../../testing/acme-rig.js';
import { createAcmeSigner, externalBinding } from '../../../testing/acme-signer.js';

/** What a tenant sees of the accounts of its roles, and does about them. */
let rig: AcmeRig;
beforeAll(async () => {
  rig = await openAcmeRig();
  rig.dns.set('a.example.com', ['127.0.0.1']);
});
afterAll(() => rig.close());
beforeEach(() => rig.installation.clock.advance(LIMITS.acmeRequestWindowMs));

const accountsPath = ({ root, role }: RigRole) => `/v1/pki/roots/${root}/roles/${role}/acme-accounts`;
const idOf = ({ kid }: RawAcmeClient) => kid!.split('/').at(-1)!;
const thumbprint = ({ signer }: RawAcmeClient) => thumbprintOf(signer.jwk as never);

function outcome({ status, json }: AcmeReply): string {
  return status < 400 ? String(status) : `${status} ${json.type.replace('urn:ietf:params:acme:error:', '')}`;
}

async function audited(id: string): Promise<Record<string, unknown>[]> {
  const { json } = await rig.api('GET', '/v1/audit-logs?action=pki.acme.account&per_page=50');
  return json.data.filter((row: { resource_id: string }) => row.resource_id === id);
}

async function bound(role: RigRole) {
  const client = await RawAcmeClient.of(role.directoryUrl);
  const key = await rig.externalKey(role);
  await client.newAccount({ contact: ['mailto:ops@example.com'] }, key);
  return { client, kid: key.kid };
}

/** Whose name is proven. */
async function ready(client: RawAcmeClient): Promise<AcmeReply> {
  const order = await client.newOrder('a.example.com');
  const [authorization] = await client.authorizations(order);
  const { url, token } = authorization!.json.challenges[0];
  rig.pages.set(token, `${token}.${thumbprint(client)}`);
  await client.post(url, {});
  await rig.installation.services.jobs.idle();
  return order;
}

async function csr(): Promise<string> {
  const key = await acme.crypto.createPrivateEcdsaKey();
  const [, request] = await acme.crypto.createCsr({ altNames: ['a.example.com'] }, key);
  return acme.crypto.getPemBodyAsB64u(request);
}

it('are listed by page and status, with the key that vouched for them', async () => {
  const [role, other] = [await rig.role(), await rig.role()];
  await RawAcmeClient.withAccount(other.directoryUrl);
  const first = await RawAcmeClient.withAccount(role.directoryUrl);
  rig.installation.clock.advance(1_000);
  const { client: second, kid } = await bound(role);
  const rows = (await rig.api('GET', accountsPath(role))).json;
  expect(rows.meta).toMatchObject({ total: 2, page: 1 });
  expect(rows.data).toEqual([
    {
      id: idOf(second),
      status: 'valid',
      thumbprint: thumbprint(second),
      contacts: ['mailto:ops@example.com'],
      kid,
      created_at: expect.stringMatching(/Z$/),
      ended_at: null,
    },
    expect.objectContaining({ id: idOf(first), thumbprint: thumbprint(first), contacts: [], kid: null }),
  ]);
  const idsOf = async (query: string) =>
    (await rig.api('GET', `${accountsPath(role)}?${query}`)).json.data.map(({ id }: { id: string }) => id);
  expect(await idsOf('order=asc&per_page=1')).toEqual([idOf(first)]);
  expect(await idsOf('order=asc&per_page=1&page=2')).toEqual([idOf(second)]);
  await first.post(first.kid!, { status: 'deactivated' });
  expect(await idsOf('status=valid')).toEqual([idOf(second)]);
  expect(await idsOf('status=deactivated')).toEqual([idOf(first)]);
  expect(await idsOf('status=revoked')).toEqual([]);
  expect((await rig.api('GET', `${accountsPath(role)}?status=x`)).status).toBe(400);
});

it('are revoked with what they have begun, once, and audited', async () => {
  const [role, other] = [await rig.role(), await rig.role()];
  const client = await RawAcmeClient.withAccount(role.directoryUrl);
  const order = await ready(client);
  const path = `${accountsPath(role)}/${idOf(client)}/revoke`;
  for (const wrong of [
    `${accountsPath(other)}/${idOf(client)}/revoke`,
    `${accountsPath(role)}/00000000-0000-4000-8000-00000000dead/revoke`,
    `${accountsPath(role)}/x/revoke`,
  ])
    expect((await rig.api('POST', wrong, {})).status, wrong).toBe(404);
  const revoked = await rig.api('POST', path, {});
  expect([revoked.status, revoked.json.data.status]).toEqual([200, 'revoked']);
  rig.installation.clock.advance(1_000);
  expect((await rig.api('POST', path, {})).json.data).toEqual(revoked.json.data);
  for (const url of [client.kid!, client.directory['newOrder']!, order.headers.get('location')!])
    expect(outcome(await client.post(url))).toBe('401 unauthorized');
  expect(await audited(idOf(client))).toMatchObject([
    { resource_type: 'acme_account', details: { change: 'revoked' } },
    { resource_type: 'acme_account', details: { change: 'opened' } },
  ]);
});

it('are audited when they are opened, get another key and end, by whoever does it', async () => {
  const role = await rig.role();
  const { client, kid } = await bound(role);
  const old = thumbprint(client);
  const next = createAcmeSigner('ES256');
  const url = client.directory['keyChange']!;
  const inner = next.sign({ url, jwk: next.jwk }, { account: client.kid, oldKey: client.signer.jwk });
  expect((await client.post(url, inner)).status).toBe(200);
  client.signer = next;
  await client.post(client.kid!, { contact: [] });
  expect((await rig.api('DELETE', `${role.keysPath}/${kid}`)).status).toBe(200);
  const rows = await audited(idOf(client));
  const where = {
    root_id: role.rootId,
    role_id: role.roleId,
    role: role.role,
    acme_key: kid,
    sandbox: false,
  };
  expect(rows.map(({ details }) => details)).toEqual([
    { change: 'revoked', ...where, thumbprint: thumbprint(client) },
    { change: 'key_changed', ...where, thumbprint: thumbprint(client) },
    { change: 'opened', ...where, thumbprint: old },
  ]);
  expect(rows[2]).toMatchObject({ ip_address: '127.0.0.1' });
  const gone = await RawAcmeClient.withAccount(role.directoryUrl);
  for (let i = 0; i < 2; i++) await gone.post(gone.kid!, { status: 'deactivated' });
  expect((await audited(idOf(gone))).map(({ details }) => details)).toMatchObject([
    { change: 'deactivated' },
    { change: 'opened', acme_key: null },
  ]);
});

it('without a key get nothing more once the role asks for one; those with one go on', async () => {
  const role = await rig.role();
  const rolePath = `/v1/pki/roots/${role.root}/roles/${role.role}`;
  const [stranger, { client: known }] = [
    await RawAcmeClient.withAccount(role.directoryUrl),
    await bound(role),
  ];
  const [first, second] = [await ready(stranger), await ready(known)];
  expect((await rig.api('PATCH', rolePath, { acme_require_eab: true })).status).toBe(200);
  const refused = '403 externalAccountRequired';
  expect(outcome(await stranger.newOrder('a.example.com'))).toBe(refused);
  expect(outcome(await stranger.post(first.json.finalize, { csr: await csr() }))).toBe(refused);
  expect(outcome(await stranger.post(stranger.kid!))).toBe('200');
  expect(outcome(await known.newOrder('a.example.com'))).toBe('201');
  expect((await known.post(second.json.finalize, { csr: await csr() })).json.status).toBe('valid');
  const binding = externalBinding(
    await rig.externalKey(role),
    stranger.directory['newAccount']!,
    stranger.signer.jwk,
  );
  const { kid } = stranger;
  stranger.kid = null;
  // RFC 8555 §7.3.1: an account that is there is answered as it is.
  expect(outcome(await stranger.newAccount({ externalAccountBinding: binding }))).toBe('200');
  expect(stranger.kid).toBe(kid);
  expect(outcome(await stranger.newOrder('a.example.com'))).toBe(refused);
});

it('without a key get no certificate of an order that was finalized just before', async () => {
  const held = await openAcmeRig({ hasJobs: false });
  try {
    held.dns.set('a.example.com', ['127.0.0.1']);
    const role = await held.role();
    const client = await RawAcmeClient.withAccount(role.directoryUrl);
    const order = await client.newOrder('a.example.com');
    const store = (await import('../order-store.js')).createOrderStore(held.db);
    const accounts = (await import('../account-store.js')).createAccountStore(held.db);
    const { createIssuance } = await import('../issuance.js');
    const tenantId = new URL(role.directoryUrl).pathname.split('/')[2] as never;
    const scope = { tenantId, sandbox: false };
    const id = order.headers.get('location')!.split('/').at(-1)!;
    const der = Buffer.from(await csr(), 'base64url');
    await held.db.transaction(async (tx) => {
      for (const one of await store.authorizationsOf(scope, id, tx))
        await store.advanceAuthorization(tx, scope, one.id, ['pending'], 'valid');
      await store.advanceOrder(tx, scope, id, ['pending'], 'processing', { csr: der });
    });
    await held.api('PATCH', `/v1/pki/roots/${role.root}/roles/${role.role}`, { acme_require_eab: true });
    const { services, clock } = held.installation;
    const issuance = createIssuance({
      db: held.db,
      clock,
      accounts,
      orders: store,
      pki: services.pki.issuing,
    });
    const actor = { scope, apiKeyId: null, userId: null, requestId: null, ip: null };
    await issuance.run(actor, id, { attempt: 1, fence: async () => {} });
    expect((await client.post(order.headers.get('location')!)).json).toMatchObject({
      status: 'invalid',
      error: { type: 'urn:ietf:params:acme:error:externalAccountRequired' },
    });
  } finally {
    await held.close();
  }
});

it('are those of a role that is named or told by its id, however that is written; of no other root', async () => {
  const role = await rig.role();
  await RawAcmeClient.withAccount(role.directoryUrl);
  const listed = async (root: string, name: string) => {
    const { status, json } = await rig.api('GET', accountsPath({ ...role, root, role: name }));
    return [status, json.data?.length ?? json.error.message];
  };
  for (const name of [role.role, role.roleId, role.roleId.toUpperCase()])
    expect(await listed(role.root, name)).toEqual([200, 1]);
  expect(await listed(role.root, 'no-such-role')).toEqual([404, 'Role not found']);
  expect(await listed('no-such-root', role.role)).toEqual([404, 'Root not found']);
});
