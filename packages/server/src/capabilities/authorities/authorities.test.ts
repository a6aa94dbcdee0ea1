import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf } from '../../kernel/principal.js';
import { newKeyPair } from '../../platform/crypto/key-pairs.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import { changeBehind, forEachDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { createTestServices, stopServices } from '../../testing/services.js';
import { kmsTables } from '../kms/index.js';
import type { Authorities, Authority, LeafTerms, NewRoot } from './index.js';
import { authorityTables } from './tables.js';

const DAY = 86_400_000;
const LIVES = { rootMs: 365 * DAY, issuingMs: 30 * DAY, issuingLeftMinMs: 10 * DAY };
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
const LIST = /-----BEGIN X509 CRL-----[\s\S]*?-----END X509 CRL-----\n/g;

const { publicKey } = await newKeyPair('ecdsa-p256');
const leaf = (more: Partial<LeafTerms> = {}): LeafTerms => ({
  subject: [['CN', 'a.example.com']],
  publicKey,
  purposes: ['server', 'client'],
  dns: ['a.example.com'],
  ips: ['192.0.2.1'],
  uris: [],
  lifeMs: DAY,
  ...more,
});

forEachDatabase((_name, open) => {
  let harness: Harness;
  let authorities: Authorities;
  let live: Scope;
  let test: Scope;
  beforeEach(async () => {
    harness = await createHarness({ open });
    authorities = harness.authorities;
    live = { tenantId: harness.tenant.id, sandbox: false };
    test = { ...live, sandbox: true };
  });
  afterEach(() => harness.close());

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
    await harness.db.transaction((tx) => made.record(tx));
    return made.root;
  }
  async function issue(root: Authority, terms: Partial<LeafTerms> = {}, by = authorities) {
    const made = await by.prepareCertificate(live, root.id, leaf(terms));
    await harness.db.transaction((tx) => made.record(tx));
    return made;
  }
  const revoke = (serials: string[], more: { rootId?: string; reasonText?: string } = {}) =>
    harness.db.transaction((tx) => authorities.revoke(tx, live, { serials, reason: 'superseded', ...more }));
  const retire = (root: Authority) => harness.db.transaction((tx) => authorities.retire(tx, live, root.id));
  const rotate = (root: Authority, by = authorities) =>
    by.rotateIssuing(actorOf(harness.callerOf(harness.tenant, 'live')), live, root.id);
  const listsOf = async (name: string) => (await authorities.listsPem(live, name)).match(LIST)!;
  const holds = (listPem: string, serial: string) =>
    Buffer.from(listPem.replace(/-----.*-----/g, ''), 'base64').includes(Buffer.from(serial, 'hex'));
  const activeIssuing = async (root: Authority) => {
    const rows = await harness.db
      .view(authorityTables)
      .scoped(live)
      .selectFrom('authorities')
      .select(['id', 'status'])
      .where('root_id', '=', root.id)
      .where('kind', '=', 'issuing')
      .execute();
    return { all: rows.length, active: rows.filter(({ status }) => status === 'active').map(({ id }) => id) };
  };
  const rotations = async () => {
    const path = '/v1/audit-logs?action=pki.intermediate.rotate';
    const answer = await harness.call('GET', path, { key: harness.tenant.live });
    return answer.json['data'] as { details: Record<string, unknown> }[];
  };

  describe('a root', () => {
    it('is stored with its issuing authority when it is recorded, and by no other name', async () => {
      const terms: NewRoot = {
        name: 'corp',
        subject: [['CN', 'Corp']],
        keyAlgorithm: 'ecdsa-p384',
        lives: LIVES,
      };
      const made = await authorities.prepareRoot(live, terms);
      expect(await authorities.listRoots(live)).toEqual([]);
      await harness.db.transaction((tx) => made.record(tx));
      expect(await authorities.listRoots(live)).toEqual([made.root]);
      expect(await authorities.findRoot(live, 'corp')).toEqual(made.root);
      expect(await authorities.findRoot(live, made.root.id)).toEqual(made.root);
      expect(await authorities.findRoot(live, made.issuing.id)).toBeUndefined();
      expect(await authorities.findPublic(live.tenantId, made.root.id)).toEqual({
        scope: live,
        root: made.root,
      });
      expect(await authorities.findPublic(live.tenantId, made.issuing.id)).toBeUndefined();
      const [issuing, root] = [made.issuing, made.root].map((one) => new X509Certificate(one.certificate));
      expect(issuing!.verify(root!.publicKey)).toBe(true);
      expect(root!.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp384r1' });
      expect(issuing!.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp384r1' });
      expect(issuing!.subject).toMatch(/^CN=Corp issuing [0-9a-f]{8}$/);
    });

    it('is of one tenant and mode', async () => {
      const root = await makeRoot();
      const other = { tenantId: harness.other.id, sandbox: false };
      for (const scope of [test, other]) {
        expect(await authorities.listRoots(scope)).toEqual([]);
        expect(await authorities.findRoot(scope, root.id)).toBeUndefined();
        await expect(authorities.prepareCertificate(scope, root.id, leaf())).rejects.toMatchObject({
          status: 404,
        });
        await expect(authorities.rootsPem(scope, root.id)).rejects.toMatchObject({ status: 404 });
      }
      expect(await authorities.findPublic(other.tenantId, root.id)).toBeUndefined();
      await makeRoot('corp', {}, test);
      expect(await authorities.listRoots(live)).toEqual([root]);
    });

    it('is alone with its name while it is active', async () => {
      const first = await makeRoot();
      await expect(makeRoot()).rejects.toThrow(UniqueViolation);
      await retire(first);
      const second = await makeRoot();
      expect((await authorities.findRoot(live, 'corp'))?.id).toBe(second.id);
      expect((await authorities.findRoot(live, first.id))?.status).toBe('retired');
      expect((await authorities.listRoots(live)).map(({ id }) => id)).toEqual([second.id, first.id]);
      // Whoever trusts the new one is not made to trust the one that was given up.
      expect((await authorities.rootsPem(live, 'corp')).match(/BEGIN/g)).toHaveLength(1);
    });

    it('that takes the place of another is shown with it until that one ends', async () => {
      const first = await makeRoot();
      const [kept] = [await issue(first)];
      harness.clock.advance(100 * DAY);
      const second = await makeRoot('corp', { replaces: first });
      expect((await authorities.findRoot(live, 'corp'))?.id).toBe(second.id);
      expect((await authorities.rootsPem(live, 'corp')).match(/BEGIN/g)).toHaveLength(2);
      await revoke([kept.serial]);
      harness.clock.advance(265 * DAY);
      expect((await authorities.rootsPem(live, 'corp')).match(/BEGIN/g)).toHaveLength(1);
      await expect(makeRoot('corp', { replaces: first })).rejects.toThrow(UniqueViolation);
    });

    it('that is retired signs nothing new, and goes on saying what it has revoked', async () => {
      const root = await makeRoot();
      const { serial } = await issue(root);
      const waiting = await authorities.prepareCertificate(live, root.id, leaf());
      await retire(root);
      const conflict = { status: 409, type: 'conflict' };
      await expect(harness.db.transaction((tx) => waiting.record(tx))).rejects.toMatchObject(conflict);
      await expect(authorities.prepareCertificate(live, root.id, leaf())).rejects.toMatchObject(conflict);
      await expect(rotate(root)).rejects.toMatchObject(conflict);
      await retire(root);
      expect(await revoke([serial])).toEqual({ known: 1, revoked: 1 });
      expect((await listsOf('corp')).map((list) => holds(list, serial))).toEqual([true, false]);
      harness.clock.advance(25 * DAY);
      await authorities.upkeep('', 50);
      expect((await activeIssuing(root)).all).toBe(1);
    });
  });

  describe('a certificate', () => {
    it('is found with all that was said of it', async () => {
      const root = await makeRoot();
      const role = { id: UNKNOWN, name: 'web' };
      const made = await issue(root, { role, acmeAccountId: 'account' });
      const found = await authorities.findCertificate(live, root.id, made.serial.toUpperCase());
      expect(found).toEqual({
        serial: made.serial,
        rootId: root.id,
        authorityId: made.issuing.id,
        subject: 'CN=a.example.com',
        dns: ['a.example.com'],
        ips: ['192.0.2.1'],
        role,
        clientId: null,
        acmeAccountId: 'account',
        notBeforeMs: made.notBeforeMs,
        notAfterMs: made.notAfterMs,
        createdAtMs: harness.clock.nowMs(),
        revokedAtMs: null,
        reason: null,
        reasonText: null,
        der: made.der,
      });
      expect(new X509Certificate(made.der).subjectAltName).toBe('DNS:a.example.com, IP Address:192.0.2.1');
      const other = await makeRoot('other');
      expect(await authorities.findCertificate(live, other.id, made.serial)).toBeUndefined();
      expect(await authorities.findCertificate(test, root.id, made.serial)).toBeUndefined();
    });

    it('never outlives what signs it, which never outlives its root', async () => {
      const root = await makeRoot();
      const made = await issue(root, { lifeMs: 900 * DAY });
      expect(made.notAfterMs).toBe(made.issuing.notAfterMs);
      expect(made.issuing.notAfterMs).toBe(harness.clock.nowMs() + 30 * DAY);
      // 344 days on: the next issuing authority ends with the root, and none comes after it.
      harness.clock.advance(344 * DAY);
      const late = await issue(root, { lifeMs: 900 * DAY });
      expect([late.notAfterMs, late.issuing.notAfterMs]).toEqual([root.notAfterMs, root.notAfterMs]);
      const { all } = await activeIssuing(root);
      harness.clock.advance(20 * DAY);
      const last = await issue(root, { lifeMs: 900 * DAY });
      expect([last.notAfterMs, last.issuing.id]).toEqual([root.notAfterMs, late.issuing.id]);
      await authorities.upkeep('', 50);
      expect((await activeIssuing(root)).all).toBe(all);
      harness.clock.advance(DAY);
      await expect(issue(root)).rejects.toMatchObject({ type: 'conflict' });
      await expect(rotate(root)).rejects.toMatchObject({ type: 'conflict' });
      await authorities.upkeep('', 50);
      expect(harness.logLines.join('')).not.toContain('not renewed');
    });

    it('is listed by what became of it, the newest first', async () => {
      const root = await makeRoot();
      const issued: string[] = [];
      for (let n = 0; n < 5; n += 1) {
        harness.clock.advance(1_000);
        issued.push((await issue(root, { lifeMs: n === 0 ? 60_000 : DAY })).serial);
      }
      expect(await revoke([issued[1]!], { reasonText: 'moved' })).toEqual({ known: 1, revoked: 1 });
      harness.clock.advance(60_000);
      const list = async (status?: 'active' | 'revoked' | 'expired', page = 1) => {
        const query = { page, perPage: 3, ...(status && { status }) };
        const { rows, total } = await authorities.listCertificates(live, root.id, query);
        return [total, ...rows.map(({ serial }) => issued.indexOf(serial))];
      };
      expect(await list()).toEqual([5, 4, 3, 2]);
      expect(await list(undefined, 2)).toEqual([5, 1, 0]);
      expect(await list('active')).toEqual([3, 4, 3, 2]);
      expect(await list('revoked')).toEqual([1, 1]);
      expect(await list('expired')).toEqual([1, 0]);
      const { rows } = await authorities.listCertificates(live, root.id, {
        status: 'revoked',
        page: 1,
        perPage: 3,
      });
      expect(rows[0]).toMatchObject({ reason: 'superseded', reasonText: 'moved', der: Buffer.alloc(0) });
    });

    it('is revoked once, of its own root alone', async () => {
      const [root, other] = [await makeRoot(), await makeRoot('other')];
      const { serial } = await issue(root);
      expect(await revoke([serial], { rootId: other.id })).toEqual({ known: 0, revoked: 0 });
      expect(await revoke([serial, 'ab12'], { rootId: root.id })).toEqual({ known: 1, revoked: 1 });
      const first = await authorities.findCertificate(live, root.id, serial);
      harness.clock.advance(1_000);
      expect(await revoke([serial], { rootId: root.id })).toEqual({ known: 1, revoked: 0 });
      expect(await authorities.findCertificate(live, root.id, serial)).toEqual(first);
      expect((await listsOf('corp')).map((list) => holds(list, serial))).toEqual([true, false]);
      expect((await listsOf('other')).some((list) => holds(list, serial))).toBe(false);
    });
  });

  describe('an issuing authority', () => {
    it('is renewed in time by who issues, and by upkeep', async () => {
      const root = await makeRoot();
      const first = await issue(root);
      harness.clock.advance(20 * DAY);
      expect((await issue(root)).issuing.id).toBe(first.issuing.id);
      harness.clock.advance(1);
      const second = await issue(root);
      expect(second.issuing.id).not.toBe(first.issuing.id);
      harness.clock.advance(20 * DAY + 1);
      expect((await authorities.upkeep('', 50)).rows).toBeGreaterThan(0);
      expect(await activeIssuing(root)).toMatchObject({ all: 3, active: [expect.any(String)] });
      expect((await rotations()).map(({ details }) => details['name'])).toEqual(['corp', 'corp']);
    });

    it('is rotated by hand: two at once leave one that is active, across processes', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const root = await makeRoot();
      const before = await issue(root);
      await revoke([before.serial]);
      const made = await Promise.all([rotate(root), rotate(root, services.authorities)]);
      const { all, active } = await activeIssuing(root);
      expect([all, active.length]).toEqual([3, 1]);
      expect(made.map(({ id }) => id)).toContain(active[0]);
      expect((await issue(root)).issuing.id).toBe(active[0]);
      // The active one's list first, the root's last; the one before still says what it has revoked.
      const lists = await listsOf('corp');
      expect(lists).toHaveLength(4);
      expect(lists.map((list) => holds(list, before.serial)).filter(Boolean)).toHaveLength(1);
      expect(await rotations()).toHaveLength(2);
      await stopServices(services);
    });

    it('is renewed once by two processes that find it due at the same time', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const root = await makeRoot();
      harness.clock.advance(20 * DAY + 1);
      const by = [authorities, services.authorities];
      const made = await Promise.all([...by, ...by].map((one) => issue(root, {}, one)));
      expect(new Set(made.map(({ issuing }) => issuing.id)).size).toBe(1);
      expect(await activeIssuing(root)).toMatchObject({ all: 2, active: [made[0]!.issuing.id] });
      await stopServices(services);
    });

    it('is one of 100 at most that have not ended', async () => {
      const root = await makeRoot();
      const { issuing } = await issue(root);
      const copies = Array.from(
        { length: 99 },
        (
          _,
          n,
        ) => `INSERT INTO authorities SELECT tenant_id, sandbox, 'copy-${n}', kind, root_id, name, 'copy-${n}', key_algorithm, serial,
          subject, public_key, key_envelope, certificate, 'retired', not_before, not_after, created_at, issuing_life, issuing_left_min,
          renew_at, former_root_id, revocations, list, list_number, list_revocations, list_this_update, list_next_update
          FROM authorities WHERE id = '${issuing.id}'`,
      );
      await changeBehind(harness.db.storage, ...copies);
      await expect(rotate(root)).rejects.toMatchObject({ type: 'conflict' });
      // What is due is made all the same.
      harness.clock.advance(20 * DAY + 1);
      expect((await issue(root)).issuing.id).not.toBe(issuing.id);
    });

    it('is rotated while others issue, and none of them fails or has the serial of another', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const root = await makeRoot();
      const by = [authorities, services.authorities];
      // Due as well: who issues first renews it.
      harness.clock.advance(20 * DAY + 1);
      const issuers = by.flatMap((one) =>
        Array.from({ length: 3 }, async () => {
          const made = [];
          for (let n = 0; n < 8; n += 1) made.push(await issue(root, {}, one));
          return made;
        }),
      );
      const rotating = (async () => {
        for (let n = 0; n < 4; n += 1) await rotate(root, by[n % 2]);
      })();
      const made = (await Promise.all(issuers)).flat();
      await rotating;
      expect(made).toHaveLength(48);
      expect(new Set(made.map(({ serial }) => serial)).size).toBe(48);
      for (const { der, notAfterMs, issuing } of made) {
        expect(new X509Certificate(der).verify(new X509Certificate(issuing.certificate).publicKey)).toBe(
          true,
        );
        expect(notAfterMs).toBeLessThanOrEqual(issuing.notAfterMs);
      }
      expect((await activeIssuing(root)).active).toHaveLength(1);
      await stopServices(services);
    });
  });

  describe('a serial', () => {
    it('is refused by the database a second time, whichever authority had it', async () => {
      const [root, other] = [await makeRoot(), await makeRoot('other')];
      const made = await authorities.prepareCertificate(live, root.id, leaf());
      await harness.db.transaction((tx) => made.record(tx));
      await expect(harness.db.transaction((tx) => made.record(tx))).rejects.toThrow(UniqueViolation);
      const second = await issue(other);
      await expect(
        changeBehind(
          harness.db.storage,
          `UPDATE authority_certificates SET serial = '${made.serial}' WHERE serial = '${second.serial}'`,
        ),
      ).rejects.toThrow();
    });
  });

  describe('upkeep', () => {
    it('goes on behind an authority that fails, and says so', async () => {
      const roots = [await makeRoot('one'), await makeRoot('two'), await makeRoot('three')];
      const [broken] = roots.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      await changeBehind(
        harness.db.storage,
        `UPDATE authorities SET key_envelope = certificate WHERE root_id = '${broken!.id}'`,
      );
      harness.clock.advance(20 * DAY + 1);
      expect(await authorities.upkeep('', 50)).toMatchObject({ nextId: null });
      for (const root of roots) expect((await activeIssuing(root)).all).toBe(root.id === broken!.id ? 1 : 2);
      const lines = harness.logLines.filter((line) => line.includes('an authority is not renewed'));
      expect(lines).toHaveLength(2);
      expect(lines.join('')).toContain(broken!.id);
      for (const { id } of roots.filter((root) => root !== broken))
        expect((await authorities.findRoot(live, id))!.list.number).toBe(2);
    });

    it('passes a sealed tenant by', async () => {
      const sealed = await makeRoot();
      const other = { tenantId: harness.other.id, sandbox: false };
      const open = await makeRoot('corp', {}, other);
      await harness.db
        .view(kmsTables)
        .scoped({ tenantId: harness.tenant.id })
        .updateTable('tenant_master_keys')
        .set({ status: 'revoked', wrapped: null })
        .execute();
      harness.clock.advance(Math.max(LIMITS.tenantKeyCacheMs, 20 * DAY + 1));
      expect((await authorities.upkeep('', 50)).rows).toBe(4);
      expect((await authorities.findRoot(live, sealed.id))!.list.number).toBe(1);
      expect((await authorities.findRoot(other, open.id))!.list.number).toBe(2);
      await expect(authorities.prepareCertificate(live, sealed.id, leaf())).rejects.toMatchObject({
        type: 'tenant_sealed',
      });
      await expect(rotate(sealed)).rejects.toMatchObject({ type: 'tenant_sealed' });
      expect((await activeIssuing(sealed)).all).toBe(1);
    });
  });

  describe('what ends', () => {
    it('is told in the order of its end, and forgotten 90 days after it', async () => {
      const root = await makeRoot();
      const days = [3, 1, 2, 9];
      const issued: string[] = [];
      for (const day of days) issued.push((await issue(root, { lifeMs: day * DAY, clientId: 'c' })).serial);
      await revoke([issued[2]!]);
      const nowMs = harness.clock.nowMs();
      const window = { of: 'certificates', afterMs: nowMs, untilMs: nowMs + 7 * DAY, rowsMax: 1 } as const;
      const [first] = await authorities.listEnding(window);
      expect(first).toEqual({
        scope: live,
        id: issued[1],
        rootId: root.id,
        rootName: 'corp',
        subject: 'CN=a.example.com',
        role: null,
        clientId: 'c',
        notAfterMs: nowMs + DAY,
      });
      const [second] = await authorities.listEnding({ ...window, behind: first! });
      expect(second!.id).toBe(issued[0]);
      expect(await authorities.listEnding({ ...window, behind: second! })).toEqual([]);
      const ofRoots = { of: 'roots', afterMs: nowMs, untilMs: nowMs + 365 * DAY, rowsMax: 9 } as const;
      expect(await authorities.listEnding(ofRoots)).toMatchObject([{ id: root.id, rootName: 'corp' }]);
      expect(await authorities.listEnding({ ...ofRoots, untilMs: nowMs + 364 * DAY })).toEqual([]);

      await rotate(root);
      harness.clock.advance(92.5 * DAY);
      expect(await authorities.removeEnded(50)).toBe(2);
      harness.clock.advance(28 * DAY);
      await authorities.upkeep('', 50);
      expect(await authorities.removeEnded(1)).toBe(1);
      expect(await authorities.removeEnded(50)).toBe(3);
      expect(await authorities.removeEnded(50)).toBe(0);
      expect(await authorities.listCertificates(live, root.id, { page: 1, perPage: 9 })).toEqual({
        rows: [],
        total: 0,
      });
    });
  });
});
