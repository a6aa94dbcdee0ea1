import { actorOf, type Caller } from '../../../kernel/principal.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { secretCreateEntry } from '../audit.js';
import type { SecretSummary } from '../store.js';
import type { NewTerms, SecretWriting } from '../writing.js';
import type { NewOAuth2, OAuth2Details, OAuth2Secrets } from './service.js';

export interface CreatedOAuth2Secret extends SecretSummary {
  readonly oauth2: OAuth2Details;
}

export interface OAuth2CreatingDeps {
  readonly db: Database;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly writing: SecretWriting;
  readonly oauth2: Pick<OAuth2Secrets, 'prepare'>;
}

export function createOAuth2Creating({ db, auditLogs, writing, oauth2 }: OAuth2CreatingDeps) {
  return async (
    caller: Caller,
    input: { readonly terms: NewTerms; readonly oauth2: NewOAuth2 },
  ): Promise<CreatedOAuth2Secret> => {
    const room = await writing.roomFor(caller.principal.scope);
    const prepared = await oauth2.prepare(caller, input.oauth2);
    return db.transaction(async (tx) => {
      const secret = await writing.insert(tx, caller, room, 'oauth2', input.terms);
      await prepared.write(tx, secret);
      await auditLogs.record(tx, actorOf(caller), secretCreateEntry(secret));
      const created = { ...secret, environmentCount: 1, oauth2: prepared.describe(secret) };
      await recordAnswer(tx, caller, created);
      return created;
    });
  };
}
