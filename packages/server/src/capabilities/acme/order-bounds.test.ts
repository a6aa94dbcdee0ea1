import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { TenantId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import {
  type AcmeReply,
  type AcmeRig,
  openAcmeRig,
  RawAcmeClient,
  type RigRole,
} from '../../testing/acme-rig.js';
import { createOrderStore } from './order-store.js';

/** What a network and a role may begin, whatever accounts they have: without a bound each account is 90,000 rows an hour. */
let rig: AcmeRig;
beforeAll(async () => {
  rig = await openAcmeRig();
});
afterAll(() => rig.close());
beforeEach(() => rig.installation.clock.advance(LIMITS.acmeOrderWindowMs));

function outcome({ status, json, headers }: AcmeReply): string {
  if (status !== 429) return String(status);
  const seconds = Number(headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(LIMITS.acmeOrderWindowMs / 1_000);
  return `${status} ${json.type.replace('urn:ietf:params:acme:error:', '')}: ${json.detail}`;
}

const NAMES = Array.from({ length: LIMITS.acmeNamesPerOrderMax }, (_, i) => `n${i}.example.com`);
const FROM_NETWORK = '429 rateLimited: Too many new names in orders from this network';
const OF_ROLE = '429 rateLimited: Too many new orders of accounts without a key';

/** As if others had begun them, from elsewhere. */
async function begunElsewhere({ directoryUrl, roleId }: RigRole, orders: number, names: number) {
  const store = createOrderStore(rig.db);
  const tenantId = new URL(directoryUrl).pathname.split('/')[2] as TenantId;
  const nowMs = rig.installation.clock.nowMs();
  const window = { nowMs, endsAtMs: nowMs + LIMITS.acmeOrderWindowMs };
  await rig.db.transaction(async (tx) => {
    for (let i = 0; i < orders; i++)
      await store.countInRole(tx, { tenantId, sandbox: false }, roleId, i === 0 ? names : 0, window);
  });
}

it('names of one network are counted over accounts and directories, and a refusal counts for nothing', async () => {
  const [role, other] = [await rig.role(), await rig.role({ acme_require_eab: true })];
  const orders = LIMITS.acmeNamesPerNetworkMax / NAMES.length;
  let client = await RawAcmeClient.withAccount(role.directoryUrl);
  for (let i = 0; i < orders - 1; i++) {
    if (i % 20 === 19) client = await RawAcmeClient.withAccount(role.directoryUrl);
    expect(outcome(await client.newOrder(...NAMES))).toBe('201');
  }
  expect((await client.newOrder('a.example.org')).status).toBe(400);
  expect(outcome(await client.newOrder(...NAMES.slice(1)))).toBe('201');
  expect(outcome(await client.newOrder('a.example.com', 'b.example.com'))).toBe(FROM_NETWORK);
  expect(outcome(await client.newOrder('a.example.com'))).toBe('201');
  const bound = await RawAcmeClient.of(other.directoryUrl);
  await bound.newAccount({}, await rig.externalKey(other));
  for (const one of [client, bound]) expect(outcome(await one.newOrder('a.example.com'))).toBe(FROM_NETWORK);
  rig.installation.clock.advance(LIMITS.acmeOrderWindowMs);
  for (const one of [client, bound]) expect(outcome(await one.newOrder('a.example.com'))).toBe('201');
});

it.each([
  ['orders', LIMITS.acmeOrdersPerRoleMax - 1, 1],
  ['names', 1, LIMITS.acmeNamesPerRoleMax - 1],
])(
  '%s of a role are counted for accounts without a key, and hold up none that has one',
  async (_, orders, names) => {
    const [role, free] = [await rig.role(), await rig.role()];
    await begunElsewhere(role, orders, names);
    const stranger = await RawAcmeClient.withAccount(role.directoryUrl);
    const known = await RawAcmeClient.of(role.directoryUrl);
    await known.newAccount({}, await rig.externalKey(role));
    expect(outcome(await stranger.newOrder('a.example.com'))).toBe('201');
    expect(outcome(await stranger.newOrder('a.example.com'))).toBe(OF_ROLE);
    expect(outcome(await known.newOrder(...NAMES))).toBe('201');
    expect(
      outcome(await (await RawAcmeClient.withAccount(free.directoryUrl)).newOrder('a.example.com')),
    ).toBe('201');
    rig.installation.clock.advance(LIMITS.acmeOrderWindowMs);
    expect(outcome(await stranger.newOrder('a.example.com'))).toBe('201');
  },
);

it('orders of one account that come at once are no more than it may have', async () => {
  const role = await rig.role();
  const client = await RawAcmeClient.withAccount(role.directoryUrl);
  for (let i = 0; i < LIMITS.acmeOpenOrdersMax - 2; i++) await client.newOrder('a.example.com');
  const url = client.directory['newOrder']!;
  const bodies = [];
  for (let i = 0; i < 8; i++)
    bodies.push(
      client.signer.sign(
        { url, nonce: await client.freshNonce(), kid: client.kid },
        { identifiers: [{ type: 'dns', value: 'a.example.com' }] },
      ),
    );
  const answers = await Promise.all(bodies.map((body) => client.send(url, body)));
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(2);
});
