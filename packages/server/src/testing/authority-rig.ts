import type { Authority, LeafTerms, NewRoot } from '../capabilities/authorities/index.js';
import { authorityTables } from '../capabilities/authorities/tables.js';
import type { Scope } from '../kernel/ids.js';
import { actorOf } from '../kernel/principal.js';
import { newKeyPair } from '../platform/crypto/key-pairs.js';
import type { Harness } from './harness.js';
import type { TestTenant } from './tenants.js';

export const DAY = 86_400_000;
export const LIVES = { rootMs: 365 * DAY, issuingMs: 30 * DAY, issuingLeftMinMs: 10 * DAY };
const LIST = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----\n/g;

const { publicKey } = await newKeyPair('ecdsa-p256', 'test');
export const leaf = (more: Partial<LeafTerms> = {}): LeafTerms => ({
  subject: [['CN', 'a.example.com']],
  publicKey,
  purposes: ['server', 'client'],
  dns: ['a.example.com'],
  ips: ['192.0.2.1'],
  uris: [],
  lifeMs: DAY,
  ...more,
});

/** Whether a list has the serial, whose bytes stand in it as they are. */
export const holds = (listPem: string, serial: string) =>
  Buffer.from(listPem.replace(/-----.*-----/g, ''), 'base64').includes(Buffer.from(serial, 'hex'));

/** Authorities of one tenant, in its live mode. */
export function createAuthorityRig(harness: Harness, tenant: TestTenant) {
  const { authorities, db } = harness;
  const live: Scope = { tenantId: tenant.id, sandbox: false };

  async function makeRoot(name = 'corp', terms: Partial<NewRoot> = {}, scope = live): Promise<Authority> {
    const made = await authorities.prepareRoot(scope, {
      name,
      subject: [
        ['C', 'AT'],
        ['O', 'Acme'],
        ['CN', `${name} root`],
      ],
      keyAlgorithm: 'ecdsa-p256',
      lives: LIVES,
      ...terms,
    });
    await db.transaction((tx) => made.record(tx));
    return made.root;
  }

  return {
    live,
    makeRoot,

    async issue(root: Authority, terms: Partial<LeafTerms> = {}, by = authorities) {
      const made = await by.prepareCertificate(live, root.id, leaf(terms));
      await db.transaction((tx) => made.record(tx));
      return made;
    },

    revoke: (serials: string[], more: { rootId?: string; reasonText?: string } = {}) =>
      db.transaction((tx) => authorities.revoke(tx, live, { serials, reason: 'superseded', ...more })),

    retire: (root: Authority) => db.transaction((tx) => authorities.retire(tx, live, root.id)),

    rotate: (root: Authority, by = authorities) =>
      by.rotateIssuing(actorOf(harness.callerOf(tenant, 'live')), live, root.id),

    listsOf: async (name: string) => (await authorities.listsPem(live, name)).match(LIST)!,

    async issuingOf(root: Authority) {
      const rows = await db
        .view(authorityTables)
        .scoped(live)
        .selectFrom('authorities')
        .select(['id', 'status'])
        .where('root_id', '=', root.id)
        .where('kind', '=', 'issuing')
        .execute();
      const active = rows.filter(({ status }) => status === 'active').map(({ id }) => id);
      return { all: rows.length, active };
    },

    /** Of all tenants. */
    async keepUp() {
      for (let afterId: string | null = ''; afterId !== null; )
        afterId = (await authorities.upkeep(afterId, 50)).nextId;
    },

    linesOf: (text: string) =>
      harness.logLines.filter((line) => line.includes(text) && line.includes(tenant.id)),

    async rotations() {
      const path = '/v1/audit-logs?action=pki.intermediate.rotate';
      const answer = await harness.call('GET', path, { key: tenant.live });
      return answer.json['data'] as { details: Record<string, unknown> }[];
    },
  };
}

export type AuthorityRig = ReturnType<typeof createAuthorityRig>;
