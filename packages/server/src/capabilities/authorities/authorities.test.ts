import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../kernel/ids.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import {
  type AuthorityRig,
  createAuthorityRig,
  DAY,
  holds,
  LIVES,
  leaf,
} from '../../testing/authority-rig.js';
import { changeBehind, forEachDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { createTestServices, stopServices } from '../../testing/services.js';
import { createTestTenant } from '../../testing/tenants.js';
import type { Authorities, NewRoot } from './index.js';

const UNKNOWN = '00000000-0000-4000-8000-00000000dead';

forEachDatabase((_name, open) => {
  let harness: Harness;
  let authorities: Authorities;
  let rig: AuthorityRig;
  let test: Scope;
  let tenants = 0;
  beforeAll(async () => {
    harness = await createHarness({ open });
    authorities = harness.authorities;
  });
  // Another tenant for each test, on one server.
  beforeEach(async () => {
    rig = createAuthorityRig(harness, await createTestTenant(harness, `tenant-${tenants++}`));
    test = { ...rig.live, sandbox: true };
  });
  afterAll(() => harness.close());

  describe('a root', () => {
    it('is stored with its issuing authority when it is recorded, and by no other name', async () => {
      const terms: NewRoot = {
        name: 'corp',
        subject: [['CN', 'Corp']],
        keyAlgorithm: 'ecdsa-p384',
        lives: LIVES,
      };
      const made = await authorities.prepareRoot(rig.live, terms);
      expect(await authorities.listRoots(rig.live)).toEqual([]);
      await harness.db.transaction((tx) => made.record(tx));
      expect(await authorities.listRoots(rig.live)).toEqual([made.root]);
      expect(await authorities.findRoot(rig.live, 'corp')).toEqual(made.root);
      expect(await authorities.findRoot(rig.live, made.root.id)).toEqual(made.root);
      expect(await authorities.findRoot(rig.live, made.issuing.id)).toBeUndefined();
      expect(await authorities.findPublic(rig.live.tenantId, made.root.id)).toEqual({
        scope: rig.live,
        root: made.root,
      });
      expect(await authorities.findPublic(rig.live.tenantId, made.issuing.id)).toBeUndefined();
      const [issuing, root] = [made.issuing, made.root].map((one) => new X509Certificate(one.certificate));
      expect(issuing!.verify(root!.publicKey)).toBe(true);
      expect(root!.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp384r1' });
      expect(issuing!.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp384r1' });
      expect(issuing!.subject).toMatch(/^CN=Corp issuing [0-9a-f]{8}$/);
    });

    it('is of one tenant and mode', async () => {
      const root = await rig.makeRoot();
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
      await rig.makeRoot('corp', {}, test);
      expect(await authorities.listRoots(rig.live)).toEqual([root]);
    });

    it('is alone with its name while it is active', async () => {
      const first = await rig.makeRoot();
      await expect(rig.makeRoot()).rejects.toThrow(UniqueViolation);
      await rig.retire(first);
      const second = await rig.makeRoot();
      expect((await authorities.findRoot(rig.live, 'corp'))?.id).toBe(second.id);
      expect((await authorities.findRoot(rig.live, first.id))?.status).toBe('retired');
      expect((await authorities.listRoots(rig.live)).map(({ id }) => id)).toEqual([second.id, first.id]);
      // Whoever trusts the new one is not made to trust the one that was given up.
      expect((await authorities.rootsPem(rig.live, 'corp')).match(/BEGIN/g)).toHaveLength(1);
    });

    it('that takes the place of another is shown with it until that one ends', async () => {
      const first = await rig.makeRoot();
      const [kept] = [await rig.issue(first)];
      harness.clock.advance(100 * DAY);
      const second = await rig.makeRoot('corp', { replaces: first });
      expect((await authorities.findRoot(rig.live, 'corp'))?.id).toBe(second.id);
      expect((await authorities.rootsPem(rig.live, 'corp')).match(/BEGIN/g)).toHaveLength(2);
      await rig.revoke([kept.serial]);
      harness.clock.advance(265 * DAY);
      expect((await authorities.rootsPem(rig.live, 'corp')).match(/BEGIN/g)).toHaveLength(1);
      await expect(rig.makeRoot('corp', { replaces: first })).rejects.toThrow(UniqueViolation);
    });

    it('that is retired signs nothing new, and goes on saying what it has revoked', async () => {
      const root = await rig.makeRoot();
      const { serial } = await rig.issue(root);
      const waiting = await authorities.prepareCertificate(rig.live, root.id, leaf());
      await rig.retire(root);
      const conflict = { status: 409, type: 'conflict' };
      await expect(harness.db.transaction((tx) => waiting.record(tx))).rejects.toMatchObject(conflict);
      await expect(authorities.prepareCertificate(rig.live, root.id, leaf())).rejects.toMatchObject(conflict);
      await expect(rig.rotate(root)).rejects.toMatchObject(conflict);
      await rig.retire(root);
      expect(await rig.revoke([serial])).toEqual({ known: 1, revoked: 1 });
      expect((await rig.listsOf('corp')).map((list) => holds(list, serial))).toEqual([true, false]);
      harness.clock.advance(25 * DAY);
      await rig.keepUp();
      expect((await rig.issuingOf(root)).all).toBe(1);
    });
  });

  describe('a certificate', () => {
    it('is found with all that was said of it', async () => {
      const root = await rig.makeRoot();
      const role = { id: UNKNOWN, name: 'web' };
      const made = await rig.issue(root, { role, acmeAccountId: 'account' });
      const found = await authorities.findCertificate(rig.live, root.id, made.serial.toUpperCase());
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
      const other = await rig.makeRoot('other');
      expect(await authorities.findCertificate(rig.live, other.id, made.serial)).toBeUndefined();
      expect(await authorities.findCertificate(test, root.id, made.serial)).toBeUndefined();
    });

    it('never outlives what signs it, which never outlives its root', async () => {
      const root = await rig.makeRoot();
      const made = await rig.issue(root, { lifeMs: 900 * DAY });
      expect(made.notAfterMs).toBe(made.issuing.notAfterMs);
      expect(made.issuing.notAfterMs).toBe(harness.clock.nowMs() + 30 * DAY);
      // 344 days on: the next issuing authority ends with the root, and none comes after it.
      harness.clock.advance(344 * DAY);
      const late = await rig.issue(root, { lifeMs: 900 * DAY });
      expect([late.notAfterMs, late.issuing.notAfterMs]).toEqual([root.notAfterMs, root.notAfterMs]);
      const { all } = await rig.issuingOf(root);
      harness.clock.advance(20 * DAY);
      const last = await rig.issue(root, { lifeMs: 900 * DAY });
      expect([last.notAfterMs, last.issuing.id]).toEqual([root.notAfterMs, late.issuing.id]);
      await rig.keepUp();
      expect((await rig.issuingOf(root)).all).toBe(all);
      harness.clock.advance(DAY);
      await expect(rig.issue(root)).rejects.toMatchObject({ type: 'conflict' });
      await expect(rig.rotate(root)).rejects.toMatchObject({ type: 'conflict' });
      await rig.keepUp();
      expect(rig.linesOf('not renewed')).toEqual([]);
    });

    it('is listed by what became of it, the newest first', async () => {
      const root = await rig.makeRoot();
      const issued: string[] = [];
      for (let n = 0; n < 5; n += 1) {
        harness.clock.advance(1_000);
        issued.push((await rig.issue(root, { lifeMs: n === 0 ? 60_000 : DAY })).serial);
      }
      expect(await rig.revoke([issued[1]!], { reasonText: 'moved' })).toEqual({ known: 1, revoked: 1 });
      harness.clock.advance(60_000);
      const list = async (status?: 'active' | 'revoked' | 'expired', page = 1) => {
        const query = { page, perPage: 3, order: 'desc' as const, ...(status && { status }) };
        const { rows, total } = await authorities.listCertificates(rig.live, root.id, query);
        return [total, ...rows.map(({ serial }) => issued.indexOf(serial))];
      };
      expect(await list()).toEqual([5, 4, 3, 2]);
      expect(await list(undefined, 2)).toEqual([5, 1, 0]);
      expect(await list('active')).toEqual([3, 4, 3, 2]);
      expect(await list('revoked')).toEqual([1, 1]);
      expect(await list('expired')).toEqual([1, 0]);
      const { rows } = await authorities.listCertificates(rig.live, root.id, {
        status: 'revoked',
        page: 1,
        perPage: 3,
        order: 'desc',
      });
      expect(rows[0]).toMatchObject({ reason: 'superseded', reasonText: 'moved', der: Buffer.alloc(0) });
    });

    it('is revoked once, of its own root alone', async () => {
      const [root, other] = [await rig.makeRoot(), await rig.makeRoot('other')];
      const { serial } = await rig.issue(root);
      expect(await rig.revoke([serial], { rootId: other.id })).toEqual({ known: 0, revoked: 0 });
      expect(await rig.revoke([serial, 'ab12'], { rootId: root.id })).toEqual({ known: 1, revoked: 1 });
      const first = await authorities.findCertificate(rig.live, root.id, serial);
      harness.clock.advance(1_000);
      expect(await rig.revoke([serial], { rootId: root.id })).toEqual({ known: 1, revoked: 0 });
      expect(await authorities.findCertificate(rig.live, root.id, serial)).toEqual(first);
      expect((await rig.listsOf('corp')).map((list) => holds(list, serial))).toEqual([true, false]);
      expect((await rig.listsOf('other')).some((list) => holds(list, serial))).toBe(false);
    });
  });

  describe('an issuing authority', () => {
    it('is renewed in time by who issues, and by upkeep', async () => {
      const root = await rig.makeRoot();
      const first = await rig.issue(root);
      harness.clock.advance(20 * DAY);
      expect((await rig.issue(root)).issuing.id).toBe(first.issuing.id);
      harness.clock.advance(1);
      const second = await rig.issue(root);
      expect(second.issuing.id).not.toBe(first.issuing.id);
      harness.clock.advance(20 * DAY + 1);
      expect((await authorities.upkeep('', 50)).rows).toBeGreaterThan(0);
      expect(await rig.issuingOf(root)).toMatchObject({ all: 3, active: [expect.any(String)] });
      expect((await rig.rotations()).map(({ details }) => details['name'])).toEqual(['corp', 'corp']);
    });

    it('is rotated by hand: two at once leave one that is active, across processes', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const root = await rig.makeRoot();
      const before = await rig.issue(root);
      await rig.revoke([before.serial]);
      const made = await Promise.all([rig.rotate(root), rig.rotate(root, services.authorities)]);
      const { all, active } = await rig.issuingOf(root);
      expect([all, active.length]).toEqual([3, 1]);
      expect(made.map(({ id }) => id)).toContain(active[0]);
      expect((await rig.issue(root)).issuing.id).toBe(active[0]);
      // The active one's list first, the root's last; the one before still says what it has revoked.
      const lists = await rig.listsOf('corp');
      expect(lists).toHaveLength(4);
      expect(lists.map((list) => holds(list, before.serial)).filter(Boolean)).toHaveLength(1);
      expect(await rig.rotations()).toHaveLength(2);
      await stopServices(services);
    });

    it('is renewed once by two processes that find it due at the same time', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const root = await rig.makeRoot();
      harness.clock.advance(20 * DAY + 1);
      const by = [authorities, services.authorities];
      const made = await Promise.all([...by, ...by].map((one) => rig.issue(root, {}, one)));
      expect(new Set(made.map(({ issuing }) => issuing.id)).size).toBe(1);
      expect(await rig.issuingOf(root)).toMatchObject({ all: 2, active: [made[0]!.issuing.id] });
      await stopServices(services);
    });

    it('is one of 100 at most that have not ended', async () => {
      const root = await rig.makeRoot();
      const { issuing } = await rig.issue(root);
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
      await expect(rig.rotate(root)).rejects.toMatchObject({ type: 'conflict' });
      // What is due is made all the same.
      harness.clock.advance(20 * DAY + 1);
      expect((await rig.issue(root)).issuing.id).not.toBe(issuing.id);
    });

    it('is rotated while others issue, and none of them fails or has the serial of another', async () => {
      const { db, clock, logger } = harness;
      const services = createTestServices({ db, clock, logger });
      const root = await rig.makeRoot();
      const by = [authorities, services.authorities];
      // Due as well: who issues first renews it.
      harness.clock.advance(20 * DAY + 1);
      const issuers = by.flatMap((one) =>
        Array.from({ length: 3 }, async () => {
          const made = [];
          for (let n = 0; n < 8; n += 1) made.push(await rig.issue(root, {}, one));
          return made;
        }),
      );
      const rotating = (async () => {
        for (let n = 0; n < 4; n += 1) await rig.rotate(root, by[n % 2]);
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
      expect((await rig.issuingOf(root)).active).toHaveLength(1);
      await stopServices(services);
    });
  });

  describe('a serial', () => {
    it('is refused by the database a second time, whichever authority had it', async () => {
      const [root, other] = [await rig.makeRoot(), await rig.makeRoot('other')];
      const made = await authorities.prepareCertificate(rig.live, root.id, leaf());
      await harness.db.transaction((tx) => made.record(tx));
      await expect(harness.db.transaction((tx) => made.record(tx))).rejects.toThrow(UniqueViolation);
      const second = await rig.issue(other);
      await expect(
        changeBehind(
          harness.db.storage,
          `UPDATE authority_certificates SET serial = '${made.serial}' WHERE serial = '${second.serial}'`,
        ),
      ).rejects.toThrow();
    });
  });
});
