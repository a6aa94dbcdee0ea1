import type { Clock } from '../../kernel/clock.js';
import { validationError } from '../../kernel/errors.js';
import { type IdSource, isUuid, modeOf, type OAuthClientId, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { type Actor, actorOf, type Caller, type Principal } from '../../kernel/principal.js';
import type { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Logger } from '../../platform/log/logger.js';
import { type Database, type Transaction, UniqueViolation } from '../../platform/storage/database.js';
import { createLastUsed } from '../../platform/storage/last-used.js';
import { credentialGeneration } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { KEY_PERMISSIONS } from '../permissions/index.js';
import { createEntry, revokeEntry, rotateEntry, updateEntry } from './audit.js';
import { newClientId, newClientSecret } from './client-format.js';
import {
  clientNotFound,
  clientRevoked,
  publicClientHasNoSecret,
  scopeNotHeld,
  systemClient,
  tooManyClients,
} from './errors.js';
import {
  type ClientTerms,
  type ClientType,
  createOAuthClientStore,
  type OAuthClient,
  type StoredClient,
} from './store.js';

export type { ClientTerms, ClientType, OAuthClient, StoredClient } from './store.js';

export interface OAuthClientsDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly generations: Pick<Generations, 'bump'>;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly logger: Pick<Logger, 'warn'>;
}

export interface NewClient extends ClientTerms {
  readonly type: ClientType;
  readonly grantTypes: readonly string[];
}

/** Present members only. */
export type ClientChange = { readonly [Term in keyof ClientTerms]?: ClientTerms[Term] | undefined };

export interface CreatedClient {
  readonly client: OAuthClient;
  /** Null of a public client. */
  readonly secret: Secret<string> | null;
}

export interface OAuthClients {
  /** Newest first; revoked ones too. */
  list(scope: Scope): Promise<OAuthClient[]>;
  get(scope: Scope, id: string): Promise<OAuthClient>;
  /** The maker cannot give what it does not hold. */
  create(caller: Caller, input: NewClient): Promise<CreatedClient>;
  /** Nor can who changes it, where the change could lead its tokens to somebody else (docs/decisions/0070). */
  update(caller: Caller, id: string, change: ClientChange): Promise<OAuthClient>;
  /** For who holds what it may do. What the old secret minted is dead with it, in the same transaction (auth.md §2.9). */
  rotateSecret(caller: Caller, id: string): Promise<{ client: OAuthClient; secret: Secret<string> }>;
  revoke(caller: Caller, id: string): Promise<void>;
  /** The tenant's own client of the CLI, made when it is first needed (auth.md §2.4). */
  cliClient(actor: Actor): Promise<OAuthClient>;
  /** Revoked or not; undefined where there is none. */
  find(scope: Scope, id: OAuthClientId, tx?: Transaction): Promise<OAuthClient | undefined>;
  /** By its public name, whosever it is; none that is revoked. */
  findByClientId(clientId: string): Promise<StoredClient | undefined>;
  recordUse(scope: Scope, id: OAuthClientId): void;
  /** Writes the pending last uses. */
  stop(): Promise<void>;
}

const CLI_ROLE = 'cli';

/** What the CLI is before the client of a tenant is made for it, and what that client is then. */
export const CLI_CLIENT: NewClient = {
  name: 'KnoxCall CLI',
  type: 'public',
  allowedScopes: null,
  // Any port: RFC 8252 §7.3.
  redirectUris: ['http://127.0.0.1/callback'],
  // Its stored tokens are always sent as Bearer (auth.md §2.4).
  requireDpop: false,
  requireDpopNonce: false,
  refreshGraceSeconds: 0,
  consentHtmlTemplate: null,
  stepUpScopes: [],
  isActive: true,
  grantTypes: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
};

export function createOAuthClients(deps: OAuthClientsDeps): OAuthClients {
  const { db, clock, ids, random, generations, auditLogs } = deps;
  const store = createOAuthClientStore(db);
  const lastUsed = createLastUsed({ db, store, clock, logger: deps.logger });

  function draw(scope: Scope, input: NewClient, systemRole: string | null): OAuthClient {
    return {
      ...input,
      id: ids.uuid() as OAuthClientId,
      scope,
      clientId: newClientId(random, modeOf(scope)),
      systemRole,
      secretEpoch: 0,
      createdAtMs: clock.nowMs(),
      lastUsedAtMs: null,
      revokedAtMs: null,
    };
  }

  /** One that its tenant may change; revoked ones are left as they are. */
  async function changeable(tx: Transaction, scope: Scope, id: string): Promise<OAuthClient> {
    if (!isUuid(id)) throw clientNotFound();
    await tx.lock('oauth_clients', id);
    const client = await store.find(scope, id.toLowerCase() as OAuthClientId, tx);
    if (!client) throw clientNotFound();
    if (client.systemRole !== null) throw systemClient();
    return client;
  }

  return {
    list: (scope) => store.list(scope, LIMITS.oauthClientsListed),

    async get(scope, id) {
      const client = isUuid(id) ? await store.find(scope, id.toLowerCase() as OAuthClientId) : undefined;
      if (!client) throw clientNotFound();
      return client;
    },

    async create(caller, input) {
      refuseWider(caller.principal, input.allowedScopes);
      const actor = actorOf(caller);
      const secret = input.type === 'confidential' ? newClientSecret(random) : null;
      const client = draw(actor.scope, input, null);
      return db.transaction(async (tx) => {
        if ((await store.countActive(actor.scope, tx)) >= LIMITS.oauthClientsMax) throw tooManyClients();
        await store.insert(tx, client, secret?.hash ?? null);
        await auditLogs.record(tx, actor, createEntry(client));
        const created = { client, secret: secret?.text ?? null };
        await recordAnswer(tx, caller, created);
        return created;
      });
    },

    async update(caller, id, change) {
      const actor = actorOf(caller);
      return db.transaction(async (tx) => {
        const before = await changeable(tx, actor.scope, id);
        if (before.revokedAtMs !== null) throw clientRevoked();
        const after = { ...before, ...present(change) };
        const added = after.allowedScopes?.filter((scope) => !before.allowedScopes?.includes(scope));
        refuseWider(caller.principal, handsOn(change) ? after.allowedScopes : (added ?? []));
        refuseStepUpBeyond(after);
        await store.update(tx, actor.scope, before.id, after);
        await generations.bump(tx, credentialGeneration(actor.scope.tenantId));
        await auditLogs.record(tx, actor, updateEntry(before, after));
        await recordAnswer(tx, caller, after);
        return after;
      });
    },

    async rotateSecret(caller, id) {
      const actor = actorOf(caller);
      const secret = newClientSecret(random);
      return db.transaction(async (tx) => {
        const client = await changeable(tx, actor.scope, id);
        if (client.revokedAtMs !== null) throw clientRevoked();
        if (client.type === 'public') throw publicClientHasNoSecret();
        // Whoever gets the secret gets what the client may do.
        refuseWider(caller.principal, client.allowedScopes);
        await store.replaceSecret(tx, actor.scope, client.id, secret.hash);
        await generations.bump(tx, credentialGeneration(actor.scope.tenantId));
        await auditLogs.record(tx, actor, rotateEntry(client));
        const rotated = { client, secret: secret.text };
        await recordAnswer(tx, caller, rotated);
        return rotated;
      });
    },

    async revoke(caller, id) {
      const actor = actorOf(caller);
      await db.transaction(async (tx) => {
        const client = await changeable(tx, actor.scope, id);
        if (client.revokedAtMs !== null) throw clientNotFound();
        await store.revoke(tx, actor.scope, client.id, clock.nowMs());
        await generations.bump(tx, credentialGeneration(actor.scope.tenantId));
        await auditLogs.record(tx, actor, revokeEntry(client));
        await recordAnswer(tx, caller, undefined);
      });
    },

    async cliClient(actor) {
      const known = await store.findOfRole(actor.scope, CLI_ROLE);
      if (known) return known;
      const client = draw(actor.scope, CLI_CLIENT, CLI_ROLE);
      try {
        await db.transaction(async (tx) => {
          await store.insert(tx, client, null);
          await auditLogs.record(tx, actor, createEntry(client));
        });
        return client;
      } catch (error) {
        // Another log-in has made it in the meantime.
        const made = error instanceof UniqueViolation && (await store.findOfRole(actor.scope, CLI_ROLE));
        if (made) return made;
        throw error;
      }
    },

    find: (scope, id, tx) => store.find(scope, id, tx),
    findByClientId: (clientId) => store.findByClientId(clientId),
    recordUse: (scope, id) => lastUsed.record(scope, id),
    stop: () => lastUsed.stop(),
  };
}

/** The most that tokens of a client may have. */
export function permissionsOfClient({
  allowedScopes,
}: Pick<OAuthClient, 'allowedScopes'>): ReadonlySet<string> {
  return allowedScopes === null ? KEY_PERMISSIONS : new Set(allowedScopes);
}

/** A client works on all of a permission, so what is held of one resource alone is not enough. */
function refuseWider({ grants }: Principal, scopes: readonly string[] | null): void {
  const whole = new Set(grants.filter(({ resource }) => resource === null).map((grant) => grant.permission));
  const beyond = (scopes ?? []).find((scope) => !whole.has(scope));
  if (beyond !== undefined) throw scopeNotHeld(beyond);
}

/** Whether it could bring somebody a token of the client who had none. Fewer scopes and more proof bring nobody one. */
function handsOn({ name: _name, allowedScopes: _scopes, ...others }: ClientChange): boolean {
  const { isActive, requireDpop, requireDpopNonce, ...open } = others;
  const isOpened = isActive === true || requireDpop === false || requireDpopNonce === false;
  return isOpened || Object.values(open).some((value) => value !== undefined);
}

function refuseStepUpBeyond(client: OAuthClient): void {
  const stray = client.stepUpScopes.find((scope) => !client.allowedScopes?.includes(scope));
  if (stray !== undefined) throw validationError('step_up_scopes', `${stray} is not in allowed_scopes`);
}

function present(change: ClientChange): Partial<ClientTerms> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
}
