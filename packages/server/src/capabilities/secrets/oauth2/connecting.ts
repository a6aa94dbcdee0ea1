import type { Clock } from '../../../kernel/clock.js';
import { isAppError, notFound } from '../../../kernel/errors.js';
import type { IdSource, Scope } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller, type Visitor } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import { equalInConstantTime, sha256 } from '../../../platform/crypto/hashing.js';
import { newOpaqueToken } from '../../../platform/crypto/opaque-token.js';
import type { Random } from '../../../platform/crypto/random.js';
import { recordAnswer } from '../../../platform/http/idempotency.js';
import type { Database } from '../../../platform/storage/database.js';
import type { Accounts } from '../../accounts/index.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { StoredSecret } from '../types.js';
import { connectEntry } from './audit.js';
import type { Connection, ConnectionStore } from './connection-store.js';
import { noVisit } from './errors.js';
import { consentScopeOf, needsBrowser, PRESETS } from './providers.js';
import type { Renewals } from './renewals.js';
import type { Sealing } from './sealing.js';
import type { OAuth2Config, OAuth2ConfigStore } from './store.js';
import type { ProviderName } from './tables.js';
import { readTokenParams } from './token-answer.js';
import type { TokenClient, TokenGrant } from './token-client.js';
import { TokenRefused } from './token-set.js';
import type { Visit, VisitStore } from './visit-store.js';

export interface BegunVisit {
  /** Where the browser of the person goes that gives consent. Holds the state, which is good once. */
  readonly authorizationUrl: Secret<string>;
  readonly redirectUri: string;
  readonly environment: string;
  readonly expiresAtMs: number;
}

/** What a browser brought back. */
export interface Return {
  /** Of the path. */
  readonly secretId: string;
  readonly params: URLSearchParams;
  readonly visitor: Visitor;
}

export type Outcome =
  /** No state of ours, one that was used, has run out or belongs to another secret: they are told apart for nobody. */
  | { readonly kind: 'nowhere' }
  /** The tokens stand in the fragment, which only the browser has. */
  | { readonly kind: 'fragment' }
  | {
      readonly kind: 'connected' | 'refused';
      readonly name: string;
      readonly environment: string;
      readonly provider: ProviderName;
      /** Of a refusal: the provider's code, or ours. */
      readonly code: string | null;
    };

export interface Connecting {
  begin(caller: Caller, secret: StoredSecret, environment: string, redirectUri: string): Promise<BegunVisit>;
  complete(back: Return): Promise<Outcome>;
}

export interface ConnectingDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly configs: OAuth2ConfigStore;
  readonly connections: ConnectionStore;
  readonly visits: VisitStore;
  readonly sealing: Sealing;
  readonly renewals: Pick<Renewals, 'stored'>;
  readonly tokenClient: TokenClient;
  nameOf(scope: Scope, secretId: string): Promise<string | undefined>;
}

const STATE_CHARACTERS_MAX = 200;
const CODE_CHARACTERS_MAX = 4_096;
const ERROR = /^[A-Za-z0-9_.-]{1,64}$/;

/** A person gives consent at the provider, and comes back with a code for it (RFC 6749 §4.1, RFC 7636, RFC 9700 §2.1). */
export function createConnecting(deps: ConnectingDeps): Connecting {
  const { db, clock, ids, random, accounts, auditLogs, configs, connections, visits, sealing } = deps;

  async function visitOf({ secretId, params }: Return): Promise<Visit | undefined> {
    const state = params.get('state') ?? '';
    if (state === '' || state.length > STATE_CHARACTERS_MAX) return undefined;
    const hash = sha256(state);
    const visit = await visits.findByState(hash);
    const isMeant = visit && equalInConstantTime(visit.stateHash, hash) && visit.secretId === secretId;
    return isMeant && clock.nowMs() < visit.expiresAtMs ? visit : undefined;
  }

  async function exchanged(visit: Visit, config: OAuth2Config, code: string): Promise<TokenGrant> {
    const { scope, id } = visit;
    const tenant = await accounts.tenantById(scope.tenantId);
    if (!tenant) throw new TokenRefused('permanent', 'tenant_gone');
    const { clientSecret } = await sealing.openCredentials(scope, config);
    const verifier = await sealing.openVerifier(scope, id, visit.verifierEnvelope);
    return deps.tokenClient.ask({
      scope,
      tenantSlug: tenant.slug,
      tokenUrl: config.tokenUrl,
      clientId: config.clientId,
      clientSecret,
      clientAuth: config.clientAuth,
      params: {
        grant_type: 'authorization_code',
        code,
        redirect_uri: visit.redirectUri,
        code_verifier: verifier.reveal(),
      },
    });
  }

  async function broughtBack(visit: Visit, config: OAuth2Config, params: URLSearchParams) {
    const error = params.get('error');
    if (error !== null) throw new TokenRefused('permanent', ERROR.test(error) ? error : 'unknown_error');
    if (config.grantType === 'implicit')
      return { tokens: readTokenParams(params, clock.nowMs()), clientAuth: null };
    const code = params.get('code') ?? '';
    if (code === '' || code.length > CODE_CHARACTERS_MAX) throw new TokenRefused('permanent', 'no_code');
    return exchanged(visit, config, code);
  }

  async function connectionFor({ scope, secretId, environment }: Visit): Promise<Connection> {
    const known = await connections.find(scope, secretId, environment);
    if (known) return known;
    const id = ids.uuid();
    await db.transaction(async (tx) => {
      if (await connections.find(scope, secretId, environment, tx)) return;
      await connections.insert(tx, scope, { id, secretId, environment, createdAtMs: clock.nowMs() });
    });
    return (await connections.find(scope, secretId, environment))!;
  }

  /** In place of what was there: a person has just said so. */
  async function put(visit: Visit, config: OAuth2Config, grant: TokenGrant, visitor: Visitor): Promise<void> {
    const { scope, secretId, environment } = visit;
    const { id } = await connectionFor(visit);
    const tokens = await deps.renewals.stored(scope, config, id, grant.tokens, null);
    await db.transaction(async (tx) => {
      if (!(await configs.hasVersion(tx, scope, secretId, visit.configVersion)))
        throw new TokenRefused('permanent', 'changed_meanwhile');
      const present = await connections.find(scope, secretId, environment, tx);
      if (!present || present.id !== id) throw new TokenRefused('permanent', 'changed_meanwhile');
      await connections.putTokens(tx, scope, present, tokens);
      if (config.clientAuth === null && grant.clientAuth !== null)
        await configs.setClientAuth(tx, scope, config, grant.clientAuth);
      await auditLogs.record(tx, actorAt(visit, visitor), connectEntry(visit, 'connected'));
    });
  }

  async function note(visit: Visit, visitor: Visitor, code: string): Promise<void> {
    const { scope } = visit;
    const connection = await connections.find(scope, visit.secretId, visit.environment);
    await db.transaction(async (tx) => {
      if (connection) await connections.noteRefusal(tx, scope, connection.id, code, clock.nowMs());
      await auditLogs.record(tx, actorAt(visit, visitor), connectEntry(visit, 'refused', code));
    });
  }

  async function finish(visit: Visit, config: OAuth2Config, back: Return): Promise<string | null> {
    try {
      await put(visit, config, await broughtBack(visit, config, back.params), back.visitor);
      return null;
    } catch (error) {
      if (!(error instanceof TokenRefused) && !isAppError(error, 'tenant_sealed')) throw error;
      const code = error instanceof TokenRefused ? error.code : error.type;
      await note(visit, back.visitor, code);
      return code;
    }
  }

  return {
    async begin(caller, secret, environment, redirectUri) {
      const { scope, id: secretId } = secret;
      const config = await configs.find(scope, secretId);
      if (!config) throw notFound('Secret');
      if (!needsBrowser(config.grantType) || config.authUrl === null) throw noVisit();
      const { token: state, hash: stateHash } = newOpaqueToken(random);
      const { token: verifier } = newOpaqueToken(random);
      const id = ids.uuid();
      const verifierEnvelope = await sealing.sealVerifier(scope, id, verifier);
      const createdAtMs = clock.nowMs();
      const expiresAtMs = createdAtMs + LIMITS.oauth2VisitMs;
      const authorizationUrl = addressOf(config, redirectUri, state, verifier);
      const begun = { authorizationUrl, redirectUri, environment, expiresAtMs };
      const { apiKeyId, userId, oauthClientId = null, bindingId = null } = actorOf(caller);
      const visit: Visit = {
        scope,
        id,
        secretId,
        environment,
        stateHash,
        verifierEnvelope,
        redirectUri,
        configVersion: config.version,
        actor: { apiKeyId, userId, oauthClientId, bindingId },
        createdAtMs,
        expiresAtMs,
      };
      await db.transaction(async (tx) => {
        if (!(await configs.hasVersion(tx, scope, secretId, config.version))) throw notFound('Secret');
        await visits.insert(tx, visit);
        await visits.trim(tx, scope, secretId, LIMITS.oauth2VisitsPerSecretMax);
        await auditLogs.record(tx, actorOf(caller), connectEntry(visit, 'begun'));
        await recordAnswer(tx, caller, begun);
      });
      return begun;
    },

    async complete(back) {
      const visit = await visitOf(back);
      if (!visit) {
        const { params } = back;
        const isBare = !params.has('state') && !params.has('code') && !params.has('error');
        return { kind: isBare ? 'fragment' : 'nowhere' };
      }
      const { scope, secretId, environment } = visit;
      const name = await deps.nameOf(scope, secretId);
      const config = await configs.find(scope, secretId);
      const isMine = await db.transaction((tx) => visits.take(tx, visit));
      if (!isMine || !config || name === undefined || config.version !== visit.configVersion)
        return { kind: 'nowhere' };
      const code = await finish(visit, config, back);
      const { provider } = config;
      return { kind: code === null ? 'connected' : 'refused', name, environment, provider, code };
    },
  };
}

function addressOf(
  config: OAuth2Config,
  redirectUri: string,
  state: Secret<string>,
  verifier: Secret<string>,
): Secret<string> {
  const { provider, grantType, clientId, authUrl, scopes } = config;
  const url = new URL(authUrl!);
  const isImplicit = grantType === 'implicit';
  const params = {
    ...(isImplicit ? {} : PRESETS[provider].authParams),
    response_type: isImplicit ? 'token' : 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: consentScopeOf(provider, grantType, scopes),
    state: state.reveal(),
    code_challenge: isImplicit ? null : sha256(verifier.reveal()).toString('base64url'),
    code_challenge_method: isImplicit ? null : 'S256',
  };
  for (const [name, value] of Object.entries(params)) if (value !== null) url.searchParams.set(name, value);
  return new Secret(url.href);
}

/** Who began it, from where the browser came back. */
function actorAt({ scope, actor }: Visit, { requestId, ip }: Visitor) {
  return { scope, ...actor, requestId, ip };
}
