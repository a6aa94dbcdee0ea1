import type { Services } from '../app/services.js';
import { systemActor } from '../capabilities/accounts/index.js';
import { accountsTables } from '../capabilities/accounts/tables.js';
import type { Clock } from '../kernel/clock.js';
import type { ApiKeyId, IdSource, TenantId, UserId } from '../kernel/ids.js';
import type { UserRole } from '../kernel/principal.js';
import { Secret } from '../kernel/secret.js';
import { hashPassword } from '../platform/crypto/password-hash.js';
import type { Database } from '../platform/storage/database.js';

export interface TestKey {
  readonly apiKey: string;
  readonly id: ApiKeyId;
  readonly keyId: string;
}

export interface TestTenant {
  readonly id: TenantId;
  readonly slug: string;
  /** Whose password is `OWNER_PASSWORD`. */
  readonly ownerEmail: string;
  readonly live: TestKey;
  readonly test: TestKey;
}

export const OWNER_PASSWORD = 'correct horse battery staple';
/** Slow on purpose, so made once for all tenants of a test file. */
const ownerHash = hashPassword(new Secret(OWNER_PASSWORD));

interface TenantMakers extends Pick<Services, 'kms' | 'accounts' | 'apiKeys'> {
  readonly db: Database;
  readonly ids: IdSource;
}

interface People {
  readonly db: Database;
  readonly clock: Clock;
}

export async function createTestTenant(floor: TenantMakers, slug: string): Promise<TestTenant> {
  const owner = { email: `owner@${slug}.example`, passwordHash: await ownerHash };
  const id = floor.ids.uuid() as TenantId;
  const masterKey = await floor.kms.prepare(id);
  return floor.db.transaction(async (tx) => {
    const input = { id, slug, name: slug, plan: 'enterprise' as const };
    const tenant = await floor.accounts.createTenantWithOwner(tx, input, owner);
    await floor.kms.createFor(tx, id, masterKey);
    const actor = systemActor(tenant.id);
    const live = await floor.apiKeys.createIn(tx, actor, floor.apiKeys.prepare('live', 'live key'));
    const test = await floor.apiKeys.createIn(
      tx,
      { ...actor, scope: { ...actor.scope, sandbox: true } },
      floor.apiKeys.prepare('test', 'test key'),
    );
    const shown = ({ id, keyId, apiKey }: typeof live): TestKey => ({ id, keyId, apiKey: apiKey.reveal() });
    return { id: tenant.id, slug, ownerEmail: owner.email, live: shown(live), test: shown(test) };
  });
}

/** A new user, in that tenant alone, whose password is `OWNER_PASSWORD`; the e-mail address. */
export async function createMember(
  floor: People & { readonly ids: IdSource },
  { id, slug }: TestTenant,
  role: UserRole,
  email = `${role}@${slug}.example`,
): Promise<string> {
  await floor.db
    .view(accountsTables)
    .system('people')
    .insertInto('users')
    .values({
      id: floor.ids.uuid() as UserId,
      email,
      email_folded: email,
      password_hash: await ownerHash,
      created_at: floor.clock.nowMs(),
    })
    .execute();
  await join(floor, email, id, role);
  return email;
}

/** Makes the user of that address a member of that tenant. */
export async function join(
  { db, clock }: People,
  email: string,
  tenantId: TenantId,
  role: UserRole,
): Promise<void> {
  const people = db.view(accountsTables);
  const { id } = await people
    .system('people')
    .selectFrom('users')
    .select('id')
    .where('email_folded', '=', email)
    .executeTakeFirstOrThrow();
  await people
    .scoped({ tenantId })
    .insertInto('memberships')
    .values({ user_id: id, role, created_at: clock.nowMs() })
    .execute();
}
