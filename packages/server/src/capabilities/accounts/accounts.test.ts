import { verify } from '@node-rs/argon2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAppError } from '../../kernel/errors.js';
import type { IdSource, TenantId, UserId } from '../../kernel/ids.js';
import { Secret } from '../../kernel/secret.js';
import { createGenerations, migrations as generationsMigrations } from '../../platform/cache/generations.js';
import { systemIds } from '../../platform/crypto/random.js';
import { UniqueViolation } from '../../platform/storage/database.js';
import { forEachDatabase, type TestDatabase } from '../../testing/databases.js';
import { createManualClock } from '../../testing/manual-clock.js';
import { migrations as auditLogsMigrations, createAuditLogs } from '../audit-logs/index.js';
import {
  type Accounts,
  createAccounts,
  credentialGeneration,
  migrations,
  type TenantChange,
} from './index.js';

forEachDatabase((_name, open) => {
  const clock = createManualClock();
  let db: TestDatabase;
  let accounts: Accounts;
  let generations: ReturnType<typeof createGenerations>;
  let auditLogs: ReturnType<typeof createAuditLogs>;
  const ownerIds: UserId[] = [];
  let firstOwner: number;
  /** Accounts draw an id for each owner, and for nothing else. */
  const owners: IdSource = {
    uuid() {
      ownerIds.push(systemIds.uuid() as UserId);
      return ownerIds.at(-1)!;
    },
  };
  beforeAll(async () => {
    db = await open([...migrations, ...generationsMigrations, ...auditLogsMigrations]);
    generations = createGenerations({ db, clock });
    auditLogs = createAuditLogs({ db, clock, ids: systemIds });
    accounts = createAccounts({ db, clock, ids: owners, generations, auditLogs, seedTenant: async () => {} });
  });
  afterAll(() => db.cleanup());

  const owner = (slug: string) => ({ email: `Owner@${slug}.example`, passwordHash: 'unused' });
  const make = (slug: string) =>
    db.transaction((tx) =>
      accounts.createTenantWithOwner(
        tx,
        { id: systemIds.uuid() as TenantId, slug, name: slug, plan: 'enterprise' },
        owner(slug),
      ),
    );

  const tenantsBut = async (slug: string) => {
    const found = await Promise.all(
      ['raced', 'paused', 'later', slug].map((one) => accounts.tenantBySlug(one)),
    );
    return found.filter((tenant) => tenant !== undefined && tenant.slug !== slug).map((tenant) => tenant!);
  };

  it('makes a tenant with its owner in one transaction, or nothing', async () => {
    expect(await accounts.hasTenants()).toBe(false);
    const failing = db.transaction(async (tx) => {
      await accounts.createTenantWithOwner(
        tx,
        { id: systemIds.uuid() as TenantId, slug: 'gone', name: 'x', plan: 'free' },
        owner('gone'),
      );
      throw new Error('no keys');
    });
    await expect(failing).rejects.toThrow('no keys');
    expect(await accounts.hasTenants()).toBe(false);

    const tenant = await make('acme');
    firstOwner = ownerIds.length - 1;
    clock.advance(1_000);
    expect(await accounts.hasTenants()).toBe(true);
    expect(await accounts.tenantBySlug('acme')).toEqual(tenant);
    expect(await accounts.tenantById(tenant.id)).toMatchObject({
      plan: 'enterprise',
      subscriptionStatus: 'active',
      ephemeralEnabled: null,
    });
    expect(await accounts.tenantBySlug('gone')).toBeUndefined();
    const { rows } = await auditLogs.list(tenant.id, { page: 1, perPage: 10, order: 'desc' });
    expect(rows.map((row) => row.action)).toEqual(['tenant.create']);
  });

  it('lets one of two take a slug', async () => {
    const results = await Promise.allSettled([make('raced'), make('raced')]);
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).toHaveLength(1);
    expect(refused[0]?.reason).toBeInstanceOf(UniqueViolation);
  });

  it('refuses a slug that a host name needs', async () => {
    const refusal = await make('sandbox-acme').catch((error: unknown) => error);
    expect(isAppError(refusal, 'validation_error')).toBe(true);
  });

  it('changes what is named of a tenant, with a new generation', async () => {
    const tenant = await make('paused');
    const change = (id: TenantId, to: TenantChange) =>
      db.transaction((tx) => accounts.changeTenant(tx, id, to));
    await change(tenant.id, { subscriptionStatus: 'paused', ephemeralEnabled: false });
    const changed = { ...tenant, subscriptionStatus: 'paused', ephemeralEnabled: false };
    expect(await accounts.tenantById(tenant.id)).toEqual(changed);
    expect(generations.current(credentialGeneration(tenant.id))).toBe(1);
    expect(await change(tenant.id, { plan: 'pro', ephemeralEnabled: null })).toEqual({
      ...changed,
      plan: 'pro',
      ephemeralEnabled: null,
    });
    expect(await change('nobody' as TenantId, { plan: 'pro' })).toBeUndefined();
  });

  it('knows as operator an owner of the first tenant only', async () => {
    clock.advance(1_000);
    await make('later');
    expect(await Promise.all(ownerIds.map((id) => accounts.isOperator(id)))).toEqual(
      ownerIds.map((_id, index) => index === firstOwner),
    );
    expect(await accounts.isOperator('nobody' as UserId)).toBe(false);
  });

  it('keeps the slug of a tenant that is gone taken for others, and does not count the tenant', async () => {
    const only = await accounts.hasSeveralTenants();
    const deleted = [];
    for (const { id } of await tenantsBut('acme')) {
      await db.transaction((tx) => accounts.deleteTenant(tx, id));
      deleted.push(id);
    }
    expect([only, deleted.length > 1, await accounts.hasSeveralTenants()]).toEqual([true, true, false]);
    const taken = (by: string) => accounts.takenSlugs(['acme', 'renamed', 'new'], by as TenantId);
    const { id } = (await accounts.tenantBySlug('acme'))!;
    await db.transaction((tx) => accounts.changeTenant(tx, id, { slug: 'renamed' }));
    expect((await taken('another')).sort()).toEqual(['acme', 'renamed']);
    expect(await taken(id)).toEqual(['renamed']);
  });

  describe('prepareOwner', () => {
    it('hashes with argon2id', async () => {
      const prepared = await accounts.prepareOwner('a@b.example', new Secret('correct horse battery'));
      expect(prepared.passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
      expect(await verify(prepared.passwordHash, 'correct horse battery')).toBe(true);
    });

    it.each([
      ['short', 'a'.repeat(11)],
      ['long', 'a'.repeat(1_025)],
      ['long in bytes', 'ä'.repeat(513)],
    ])('refuses a %s password', async (_kind, password) => {
      await expect(accounts.prepareOwner('a@b.example', new Secret(password))).rejects.toMatchObject({
        fields: { password: ['must have at least 12 characters and at most 1024 bytes'] },
      });
    });
  });
});
