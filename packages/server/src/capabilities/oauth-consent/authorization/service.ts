import type { Clock } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { Actor, Visitor } from '../../../kernel/principal.js';
import { sha256 } from '../../../platform/crypto/hashing.js';
import type { Random } from '../../../platform/crypto/random.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { AskingClients } from '../asking-client.js';
import { consentEntry } from '../audit.js';
import type { ConsentingUser } from '../consenting-user.js';
import { redirectTo } from './redirect-uri.js';
import type { AuthorizationRequest } from './request.js';
import type { CodeStore } from './store.js';

export interface AuthorizationDeps {
  readonly db: Pick<Database, 'transaction'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly clients: Pick<AskingClients, 'rowFor'>;
  readonly codes: CodeStore;
}

/** What a user says to a client that asked through the browser; each answer is where the browser goes next. */
export interface Authorization {
  grant(consent: Consent, issuer: string): Promise<string>;
  deny(consent: Consent, issuer: string): Promise<string>;
}

export interface Consent {
  readonly request: AuthorizationRequest;
  readonly user: ConsentingUser;
  readonly scopes: readonly string[];
  readonly visitor: Visitor;
}

const CODE_BYTES = 32;

export function createAuthorization(deps: AuthorizationDeps): Authorization {
  const { db, clock, random, auditLogs, clients, codes } = deps;

  return {
    async grant({ request, user, scopes, visitor }, issuer) {
      const actor = actorOfUser(user, visitor);
      const client = await clients.rowFor(request.client, actor);
      const code = random.bytes(CODE_BYTES).toString('base64url');
      await db.transaction(async (tx) => {
        await codes.insert(tx, {
          scope: user.scope,
          hash: sha256(code),
          oauthClientId: client.id,
          isByAlias: request.client.registered === null,
          userId: user.userId,
          epoch: client.secretEpoch,
          redirectUri: request.redirectUri,
          challenge: request.challenge,
          scopes,
          jkt: request.jkt,
          expiresAtMs: clock.nowMs() + LIMITS.authorizationCodeMs,
        });
        const entry = consentEntry('oauth.consent.grant', client.id, scopes);
        await auditLogs.record(tx, { ...actor, oauthClientId: client.id }, entry);
      });
      return redirectTo(request.redirectUri, { code, state: request.state, iss: issuer });
    },

    async deny({ request, user, scopes, visitor }, issuer) {
      const actor = actorOfUser(user, visitor);
      const client = await clients.rowFor(request.client, actor);
      await db.transaction((tx) =>
        auditLogs.record(
          tx,
          { ...actor, oauthClientId: client.id },
          consentEntry('oauth.consent.deny', client.id, scopes),
        ),
      );
      return redirectTo(request.redirectUri, {
        error: 'access_denied',
        error_description: 'The user has turned the request away',
        state: request.state,
        iss: issuer,
      });
    },
  };
}

export function actorOfUser({ scope, userId }: ConsentingUser, { requestId, ip }: Visitor): Actor {
  return { scope, apiKeyId: null, userId, requestId, ip };
}
