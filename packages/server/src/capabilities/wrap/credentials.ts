import type { Clock } from '../../kernel/clock.js';
import { actorOf, type Caller } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Database } from '../../platform/storage/database.js';
import type { AuditLogs } from '../audit-logs/index.js';
import type { Secrets } from '../secrets/index.js';
import { credentialEntry } from './audit.js';
import type { WrapStore } from './store.js';

export interface NewCredential {
  readonly provider: string;
  readonly name: string;
  readonly value: Secret<string>;
  readonly hosts: readonly string[];
}

export interface MadeCredential {
  readonly secretId: string;
  readonly name: string;
  readonly provider: string;
  readonly allowedHosts: readonly string[];
  readonly sandbox: boolean;
}

export interface CredentialsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly secrets: Pick<Secrets, 'writing' | 'values'>;
  readonly store: WrapStore;
}

/**
 * A credential is a secret that is bound to hosts, marked with a provider: rotation, expiry, sealing and the pin are those
 * of secrets (docs/decisions/0097).
 */
export function createCredentialEscrow({ db, clock, auditLogs, secrets, store }: CredentialsDeps) {
  return async (caller: Caller, { provider, name, value, hosts }: NewCredential): Promise<MadeCredential> => {
    const { scope } = caller.principal;
    const room = await secrets.writing.roomFor(scope);
    const sealed = await secrets.values.seal(scope, value);
    return db.transaction(async (tx) => {
      const secret = await secrets.writing.insert(tx, caller, room, 'string', {
        name,
        description: null,
        environment: null,
        collectionId: null,
        expiresAtMs: null,
        isExpiryStrict: false,
        allowedHosts: hosts,
      });
      await secrets.writing.write(tx, secret, secret.baseEnvironment, sealed);
      await store.insertCredential(tx, scope, {
        secretId: secret.id,
        provider,
        createdAtMs: clock.nowMs(),
      });
      const details = { name: secret.name, provider, allowed_hosts: hosts };
      await auditLogs.record(tx, actorOf(caller), credentialEntry(secret.id, details));
      const made = { secretId: secret.id, name: secret.name, provider, allowedHosts: hosts };
      const result = { ...made, sandbox: scope.sandbox };
      await recordAnswer(tx, caller, result);
      return result;
    });
  };
}
