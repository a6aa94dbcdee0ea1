import type { Clock } from '../../../kernel/clock.js';
import { notFound } from '../../../kernel/errors.js';
import { type IdSource, isUuid } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import type { Random } from '../../../platform/crypto/random.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { type Pki, requireIssuing } from '../../pki/index.js';
import type { AccountEnds } from '../account-ends.js';
import type { AccountStore, ExternalKey } from '../account-store.js';
import { keyEntry } from '../audit.js';
import { tooManyKeys } from '../errors.js';
import { type ExternalKeys, newExternalKey } from '../external-keys.js';

export interface CreatedKey extends ExternalKey {
  /** In base64url; shown once. */
  readonly hmacKey: Secret<string>;
}

/** Keys that vouch for ACME accounts (RFC 8555 §7.3.4): each for one. 404 where there is no such root, role or key. */
export interface AcmeKeys {
  list(caller: Caller, root: string, role: string): Promise<readonly ExternalKey[]>;
  /** 403 `privilege_escalation` to who may not issue; 409 where the role has as many as it may have; 503 `tenant_sealed`. */
  create(caller: Caller, root: string, role: string, label: string | null): Promise<CreatedKey>;
  /** The account that has it, if one has, is revoked with it. */
  delete(caller: Caller, root: string, role: string, id: string): Promise<void>;
}

export interface AcmeKeysDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Pick<Random, 'bytes'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly roles: Pick<Pki['roles'], 'get'>;
  readonly accounts: AccountStore;
  readonly ends: AccountEnds;
  readonly externalKeys: Pick<ExternalKeys, 'seal'>;
}

export function createAcmeKeys(deps: AcmeKeysDeps): AcmeKeys {
  const { db, clock, ids, random, auditLogs, roles, accounts, ends, externalKeys } = deps;

  return {
    async list(caller, rootName, roleName) {
      const role = await roles.get(caller, rootName, roleName);
      return accounts.listKeys(caller.principal.scope, role.id);
    },

    async create(caller, rootName, roleName, label) {
      const { scope } = caller.principal;
      const role = await roles.get(caller, rootName, roleName);
      requireIssuing(caller);
      const id = ids.uuid();
      const key = newExternalKey(random);
      const row: ExternalKey = {
        id,
        roleId: role.id,
        label,
        keyEnvelope: await externalKeys.seal(scope, id, key),
        accountId: null,
        boundAtMs: null,
        createdAtMs: clock.nowMs(),
      };
      const created: CreatedKey = { ...row, hmacKey: new Secret(key.reveal().toString('base64url')) };
      return db.transaction(async (tx) => {
        if ((await accounts.countKeys(scope, role.id, tx)) >= LIMITS.acmeExternalKeysMax) throw tooManyKeys();
        await accounts.insertKey(tx, scope, row);
        await auditLogs.record(tx, actorOf(caller), keyEntry(role, 'acme_key_created', row));
        await recordAnswer(tx, caller, created);
        return created;
      });
    },

    async delete(caller, rootName, roleName, id) {
      const { scope } = caller.principal;
      const role = await roles.get(caller, rootName, roleName);
      await db.transaction(async (tx) => {
        const key = isUuid(id) ? await accounts.findKey(scope, role.id, id.toLowerCase(), tx) : undefined;
        if (!key) throw notFound('ACME key');
        await accounts.deleteKey(tx, scope, key.id);
        const account = key.accountId && (await accounts.findAccount(scope, key.accountId, tx));
        if (account) await ends.end(tx, actorOf(caller), role, account, 'revoked');
        await auditLogs.record(tx, actorOf(caller), keyEntry(role, 'acme_key_deleted', key));
        await recordAnswer(tx, caller, undefined);
      });
    },
  };
}
