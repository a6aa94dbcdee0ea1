import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { jobDefinitions } from '../../../app/jobs.js';
import { forEachDatabase, type OpenTestDatabase, type TestDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { createMemoryClouds, type MemoryClouds } from '../../../testing/memory-clouds.js';
import { KmsFailure } from '../providers/types.js';
import { kmsTables } from '../tables.js';

/** Until a pass has made its last sweep, and what was under way at the rotation is stored. */
const SETTLED_MS = 301_000;
/** What a pass of few rows takes. */
const PASS_MS = 20_000;

forEachDatabase((_name, openDatabase) => {
  let harness: Harness;
  let db: TestDatabase;
  let token: string;
  let clouds: MemoryClouds;
  beforeAll(async () => {
    const open: OpenTestDatabase = async (...options) => {
      db = await openDatabase(...options);
      return db;
    };
    clouds = createMemoryClouds();
    harness = await createHarness({ open, clouds });
    await startJobs();
  });
  afterAll(async () => {
    await harness.jobs.stop(0);
    await harness.close();
  });
  beforeEach(async () => {
    token = await harness.signIn(harness.tenant.ownerEmail);
  });

  const startJobs = () =>
    harness.jobs.start(jobDefinitions(harness).filter(({ kind }) => kind === 'tenant_rewrap'));
  const tenantId = () => harness.tenant.id;
  const rewrap = async () => harness.call('GET', '/admin/tenant-kms/rewrap', { token });
  const revoke = async (version: number | string, body: object = {}) => {
    const stepUp = await harness.stepUp(token);
    return harness.call('POST', `/admin/tenant-kms/keys/${version}/revoke`, { token, stepUp, body });
  };
  const settle = async (forMs = SETTLED_MS) => {
    let leftMs = forMs;
    while (leftMs > 0) {
      await harness.jobs.idle();
      const stepMs = Math.min(leftMs, forMs - leftMs < PASS_MS ? 1_000 : 10_000);
      await harness.advance(stepMs);
      leftMs -= stepMs;
    }
    await harness.jobs.idle();
    token = await harness.signIn(harness.tenant.ownerEmail);
  };
  const tokenize = async (value: string) => {
    const { json } = await harness.call('POST', '/v1/vaults/cards/tokens', {
      key: harness.tenant.live,
      body: { value },
    });
    return json['data'].token as string;
  };
  const detokenize = (text: string) =>
    harness.call('GET', `/v1/vaults/cards/tokens/${text}`, { key: harness.tenant.live });

  describe('master keys', () => {
    it('tells nothing of a pass where there was none', async () => {
      const answer = await rewrap();
      expect([answer.status, answer.json['error'].type]).toEqual([404, 'no_rewrap']);
    });

    it.each([
      ['0', 400, 'validation_error'],
      ['x', 400, 'validation_error'],
      ['2', 404, 'not_found'],
      ['1', 409, 'version_active'],
    ])('refuses to revoke version %s with %i %s', async (version, status, type) => {
      const answer = await revoke(version);
      expect([answer.status, answer.json['error'].type]).toEqual([status, type]);
    });

    it('refuses a version that is in use and issues a pass, shows it, and revokes once nothing is left', async () => {
      const vault = { name: 'cards', token_format: 'generic' };
      await harness.call('POST', '/v1/vaults', { key: harness.tenant.live, body: vault });
      const text = await tokenize('the value');
      const before = await harness.db
        .view(kmsTables)
        .scoped({ tenantId: tenantId() })
        .selectFrom('tenant_master_keys')
        .select('wrapped')
        .executeTakeFirstOrThrow();
      await harness.kms.rotate(tenantId());
      const inUse = await revoke(1);
      expect([inUse.status, inUse.json['error'].type]).toEqual([409, 'version_in_use']);
      expect(inUse.json['error'].message).toContain('1 stored secrets open with version 1');
      await harness.jobs.idle();
      const early = await revoke(1);
      expect([early.status, early.json['error'].type]).toEqual([409, 'version_in_use']);
      expect(early.json['error'].message).toContain('0 stored secrets');
      await settle();
      expect((await rewrap()).json).toEqual({
        lease_id: expect.any(Number),
        target_version: 2,
        status: 'completed',
        rows_total: 1,
        rows_done: 1,
        rows_failed: 0,
        started_at: expect.stringMatching(/Z$/),
        finished_at: expect.stringMatching(/Z$/),
        last_error: null,
      });
      const answer = await revoke(1);
      expect([answer.status, answer.json]).toEqual([200, { revoked: true, version: 1 }]);
      expect((await revoke(1)).json).toEqual({ revoked: true, version: 1 });
      expect((await detokenize(text)).json['data'].value).toBe('the value');
      const [row] = await harness.db
        .view(kmsTables)
        .scoped({ tenantId: tenantId() })
        .selectFrom('tenant_master_keys')
        .select(['status', 'wrapped'])
        .where('version', '=', 1)
        .execute();
      expect(row).toEqual({ status: 'revoked', wrapped: null });
      const { storage } = db;
      if (storage.kind === 'sqlite') {
        const files = [storage.path, `${storage.path}-wal`].map((path) => readFileSync(path));
        expect(files.some((bytes) => bytes.includes(before.wrapped!))).toBe(false);
      }
      const audit = await harness.call('GET', '/admin/audit-logs?action=byok.kms.revoke', { token });
      expect(audit.json['data']).toHaveLength(1);
      expect(audit.json['data'][0]).toMatchObject({
        action: 'byok.kms.revoke',
        resource_type: 'tenant_kms',
        details: { version: 1, forced: false },
      });
    });

    it('gives a pass that has ended a successor, and not one that is open', async () => {
      await harness.kms.rotate(tenantId());
      await harness.jobs.stop(0);
      expect((await revoke(2)).json['error'].type).toBe('version_in_use');
      const first = (await rewrap()).json;
      expect((await revoke(2)).json['error'].type).toBe('version_in_use');
      expect((await rewrap()).json).toEqual(first);
      await startJobs();
      await settle();
      expect((await rewrap()).json).toMatchObject({ target_version: 3, status: 'completed', rows_done: 1 });
      expect((await revoke(2)).status).toBe(200);
    });

    it.each([{ force: true }, { force: true, confirm: 'globex' }, { confirm: 'globex' }])(
      'takes no %j',
      async (body) => {
        const answer = await revoke(2, body);
        expect([answer.status, answer.json['fields']]).toEqual([
          400,
          { confirm: ['must be the slug of the tenant'] },
        ]);
      },
    );

    it('not even by force revokes the active version', async () => {
      const answer = await revoke(3, { force: true, confirm: 'acme' });
      expect(answer.json['error'].type).toBe('version_active');
    });

    it('revokes by force what is in use, and it is lost at once', async () => {
      const text = await tokenize('to be lost');
      expect((await detokenize(text)).status).toBe(200);
      await harness.kms.rotate(tenantId());
      const answer = await revoke(3, { force: true, confirm: 'acme' });
      expect(answer.status).toBe(200);
      await harness.advance(1_000);
      const lost = await detokenize(text);
      expect([lost.status, lost.json['error'].type]).toEqual([503, 'tenant_sealed']);
    });

    it('waits for keyed calls that were under way at the rotation: they store what the version has sealed', async () => {
      const version = (await harness.kms.parts.store.findActiveVersion(tenantId()))!;
      let refuse = () => {};
      const asked = new Promise<void>((resolve) => {
        const probe = () =>
          new Promise<never>((_resolve, reject) => {
            refuse = () => reject(new KmsFailure('access_denied', 'key', 'OfTheTest'));
            resolve();
          });
        Object.assign(clouds, { providerOf: () => ({ probe }) });
      });
      const slow = () =>
        harness.call('POST', '/admin/tenant-kms', {
          token,
          headers: { 'x-idempotency-key': 'slow' },
          body: {
            provider: 'aws',
            kms_key_ref: 'arn:aws:kms:eu-central-1:111122223333:key/slow',
            config: { region: 'eu-central-1', role_arn: 'arn:aws:iam::111122223333:role/slow' },
          },
        });
      const underWay = slow();
      await asked;
      await harness.kms.rotate(tenantId());
      expect((await revoke(version)).json).toMatchObject({ error: { type: 'version_in_use' } });
      await settle(61_000);
      const nothingStored = { type: 'version_in_use', message: expect.stringContaining('0 stored secrets') };
      expect((await revoke(version)).json).toMatchObject({ error: nothingStored });
      refuse();
      const answer = await underWay;
      expect([answer.status, answer.json['error'].type]).toEqual([400, 'kms_verify_failed']);
      expect((await slow()).json).toEqual(answer.json);
      await settle();
      expect((await revoke(version)).json['error'].message).toContain('1 stored secrets');
      await settle();
      expect((await revoke(version)).status).toBe(200);
      expect((await slow()).json).toEqual(answer.json);
    });

    it('has nothing to do with another tenant', async () => {
      token = await harness.signIn(harness.other.ownerEmail);
      expect((await rewrap()).status).toBe(404);
      expect((await revoke(2)).status).toBe(404);
      expect((await revoke(1, { confirm: 'globex', force: true })).json['error'].type).toBe('version_active');
    });
  });
});
