import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../kernel/limits.js';
import { type AuthorityRig, createAuthorityRig, DAY, leaf } from '../../testing/authority-rig.js';
import { changeBehind, forEachDatabase } from '../../testing/databases.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { kmsTables } from '../kms/index.js';
import type { Authorities } from './index.js';

forEachDatabase((_name, open) => {
  let harness: Harness;
  let authorities: Authorities;
  let rig: AuthorityRig;
  beforeEach(async () => {
    harness = await createHarness({ open });
    authorities = harness.authorities;
    rig = createAuthorityRig(harness, harness.tenant);
  });
  afterEach(() => harness.close());

  describe('upkeep', () => {
    it('goes on behind an authority that fails, and says so', async () => {
      const roots = [await rig.makeRoot('one'), await rig.makeRoot('two'), await rig.makeRoot('three')];
      const [broken] = roots.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      await changeBehind(
        harness.db.storage,
        `UPDATE authorities SET key_envelope = certificate WHERE root_id = '${broken!.id}'`,
      );
      harness.clock.advance(20 * DAY + 1);
      expect(await authorities.upkeep('', 50)).toMatchObject({ nextId: null });
      for (const root of roots) expect((await rig.issuingOf(root)).all).toBe(root.id === broken!.id ? 1 : 2);
      const lines = harness.logLines.filter((line) => line.includes('an authority is not renewed'));
      expect(lines).toHaveLength(2);
      expect(lines.join('')).toContain(broken!.id);
      for (const { id } of roots.filter((root) => root !== broken))
        expect((await authorities.findRoot(rig.live, id))!.list.number).toBe(2);
    });

    it('passes a sealed tenant by', async () => {
      const sealed = await rig.makeRoot();
      const other = { tenantId: harness.other.id, sandbox: false };
      const open = await rig.makeRoot('corp', {}, other);
      await harness.db
        .view(kmsTables)
        .scoped({ tenantId: harness.tenant.id })
        .updateTable('tenant_master_keys')
        .set({ status: 'revoked', wrapped: null })
        .execute();
      harness.clock.advance(Math.max(LIMITS.tenantKeyCacheMs, 20 * DAY + 1));
      expect((await authorities.upkeep('', 50)).rows).toBe(4);
      expect((await authorities.findRoot(rig.live, sealed.id))!.list.number).toBe(1);
      expect((await authorities.findRoot(other, open.id))!.list.number).toBe(2);
      await expect(authorities.prepareCertificate(rig.live, sealed.id, leaf())).rejects.toMatchObject({
        type: 'tenant_sealed',
      });
      await expect(rig.rotate(sealed)).rejects.toMatchObject({ type: 'tenant_sealed' });
      expect((await rig.issuingOf(sealed)).all).toBe(1);
    });
  });

  describe('what ends', () => {
    it('is told in the order of its end, and forgotten 90 days after it', async () => {
      const root = await rig.makeRoot();
      const days = [3, 1, 2, 9];
      const issued: string[] = [];
      for (const day of days)
        issued.push((await rig.issue(root, { lifeMs: day * DAY, clientId: 'c' })).serial);
      await rig.revoke([issued[2]!]);
      const nowMs = harness.clock.nowMs();
      const window = { of: 'certificates', afterMs: nowMs, untilMs: nowMs + 7 * DAY, rowsMax: 1 } as const;
      const [first] = await authorities.listEnding(window);
      expect(first).toEqual({
        scope: rig.live,
        id: issued[1],
        rootId: root.id,
        rootName: 'corp',
        subject: 'CN=a.example.com',
        role: null,
        clientId: 'c',
        acmeAccountId: null,
        notBeforeMs: nowMs - 60_000,
        notAfterMs: nowMs + DAY,
      });
      const [second] = await authorities.listEnding({ ...window, behind: first! });
      expect(second!.id).toBe(issued[0]);
      expect(await authorities.listEnding({ ...window, behind: second! })).toEqual([]);
      const ofRoots = { of: 'roots', afterMs: nowMs, untilMs: nowMs + 365 * DAY, rowsMax: 9 } as const;
      expect(await authorities.listEnding(ofRoots)).toMatchObject([{ id: root.id, rootName: 'corp' }]);
      expect(await authorities.listEnding({ ...ofRoots, untilMs: nowMs + 364 * DAY })).toEqual([]);

      await rig.rotate(root);
      harness.clock.advance(92.5 * DAY);
      expect(await authorities.removeEnded(50)).toBe(2);
      harness.clock.advance(28 * DAY);
      await rig.keepUp();
      expect(await authorities.removeEnded(1)).toBe(1);
      expect(await authorities.removeEnded(50)).toBe(3);
      expect(await authorities.removeEnded(50)).toBe(0);
      expect(
        await authorities.listCertificates(rig.live, root.id, { page: 1, perPage: 9, order: 'desc' }),
      ).toEqual({
        rows: [],
        total: 0,
      });
    });
  });
});
