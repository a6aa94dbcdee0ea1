import type { Clock } from '../../kernel/clock.js';
import { type IdSource, isUuid, type Scope, type WrapTokenId } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { actorOf, type Caller, subjectOf } from '../../kernel/principal.js';
import { Secret } from '../../kernel/secret.js';
import type { Generations } from '../../platform/cache/generations.js';
import type { CacheCounts } from '../../platform/cache/lru.js';
import { newOpaqueToken } from '../../platform/crypto/opaque-token.js';
import type { Random } from '../../platform/crypto/random.js';
import { recordAnswer } from '../../platform/http/idempotency.js';
import type { Origins } from '../../platform/http/origins.js';
import type { Logger } from '../../platform/log/logger.js';
import type { Database, Transaction } from '../../platform/storage/database.js';
import { createLastUsed } from '../../platform/storage/last-used.js';
import { type Accounts, credentialGeneration } from '../accounts/index.js';
import type { AuditLogs } from '../audit-logs/index.js';
import { coversHost, type Secrets, type SecretUser, type StoredSecret } from '../secrets/index.js';
import { tokenEntry } from './audit.js';
import { createCredentialEscrow, type MadeCredential, type NewCredential } from './credentials.js';
import {
  hostIsDue,
  hostNotCovered,
  noSubdomains,
  secretOfTokenNotFound,
  tooManyTokens,
  unusableSecret,
  wrapTokenNotFound,
} from './errors.js';
import { type AdmittedCall, createGatewayAdmission, type GatewayCall, TOKEN_PREFIX } from './gateway.js';
import { createObservations, type Observations } from './observations/service.js';
import { createWrapStore, type WrapToken } from './store.js';

export type TokenStyle = 'path' | 'subdomain';

export interface NewToken {
  /** Of a secret: name or id. */
  readonly secret: string;
  /** Null: the only one that the secret may go to. */
  readonly host: string | null;
  readonly ttlSeconds: number;
  readonly label: string | null;
  readonly style: TokenStyle;
}

export interface MadeToken extends WrapToken {
  readonly token: Secret<string>;
  readonly baseUrl: Secret<string>;
  readonly style: TokenStyle;
  readonly sandbox: boolean;
}

/** Credentials that are kept here, and tokens by which others use them unseen (dataplane.md §3.1; docs/decisions/0097). */
export interface Wrap {
  /** 402 where the plan has no room for another secret, 409 of a name that there is. */
  escrow(caller: Caller, input: NewCredential): Promise<MadeCredential>;
  createToken(caller: Caller, input: NewToken): Promise<MadeToken>;
  tokens(caller: Caller): Promise<WrapToken[]>;
  /** A second time too. */
  revokeToken(caller: Caller, id: string): Promise<WrapToken>;
  /** 401, the same for every cause; 429 of a network that guesses; 403 where the tenant is paused. */
  admit(call: GatewayCall): Promise<AdmittedCall>;
  removeEnded(rowsMax: number): Promise<number>;
  readonly observations: Observations;
  /** Writes the pending last uses. */
  stop(): Promise<void>;
}

export interface WrapDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly logger: Pick<Logger, 'warn'>;
  readonly origins: Pick<Origins, 'ofWrapLabel'>;
  /** Public, of a plain address. */
  readonly origin: () => string;
  readonly hasWrapSubdomains: boolean;
  readonly accounts: Pick<Accounts, 'tenantById'>;
  readonly generations: Pick<Generations, 'bump' | 'current' | 'isFresh' | 'refresh'>;
  readonly cacheCounts?: CacheCounts;
  readonly auditLogs: Pick<AuditLogs, 'record'>;
  readonly secrets: Pick<Secrets, 'writing' | 'values' | 'findByName' | 'findById'>;
}

const DNS_LABEL_BYTES = 16;

export function createWrap(deps: WrapDeps): Wrap {
  const { db, clock, ids, random, generations, auditLogs, secrets, origins, origin, hasWrapSubdomains } =
    deps;
  const store = createWrapStore(db);
  const lastUsed = createLastUsed({ ...deps, store });

  async function secretOf(scope: Scope, named: string, tx: Transaction): Promise<StoredSecret> {
    const secret = (await secrets.findById(scope, named, tx)) ?? (await secrets.findByName(scope, named, tx));
    if (!secret) throw secretOfTokenNotFound();
    return secret;
  }

  function baseUrlOf(token: string, dnsLabel: string | null, host: string): string {
    return dnsLabel === null ? `${origin()}/wg/${token}/${host}` : origins.ofWrapLabel(dnsLabel);
  }

  return {
    escrow: createCredentialEscrow({ ...deps, store }),
    admit: createGatewayAdmission({ ...deps, store, lastUsed }),
    observations: createObservations(deps),
    stop: () => lastUsed.stop(),

    async createToken(caller, { secret: named, host: asked, ttlSeconds, label, style }) {
      const { scope } = caller.principal;
      if (style === 'subdomain' && !hasWrapSubdomains) throw noSubdomains();
      const { token, hash } = newOpaqueToken(random, TOKEN_PREFIX);
      const dnsLabel = style === 'subdomain' ? random.bytes(DNS_LABEL_BYTES).toString('hex') : null;
      const createdAtMs = clock.nowMs();
      return db.transaction(async (tx) => {
        const secret = await secretOf(scope, named, tx);
        const host = hostOf(secret, asked);
        if ((await store.countLive(tx, scope, createdAtMs)) >= LIMITS.wrapTokensMax) throw tooManyTokens();
        const row = {
          id: ids.uuid() as WrapTokenId,
          secretId: secret.id,
          host,
          label,
          dnsLabel,
          createdAtMs,
          expiresAtMs: createdAtMs + boundedSeconds(ttlSeconds) * 1000,
        };
        await store.insert(tx, scope, { ...row, hash, createdBy: subjectOf(caller.principal) });
        await auditLogs.record(tx, actorOf(caller), tokenEntry('create', row));
        const made: MadeToken = {
          ...row,
          revokedAtMs: null,
          lastUsedAtMs: null,
          token,
          baseUrl: new Secret(baseUrlOf(token.reveal(), dnsLabel, host)),
          style,
          sandbox: scope.sandbox,
        };
        await recordAnswer(tx, caller, made);
        return made;
      });
    },

    tokens: ({ principal }) => store.list(principal.scope),

    async revokeToken(caller, id) {
      const { scope } = caller.principal;
      return db.transaction(async (tx) => {
        const token = isUuid(id) ? await store.find(tx, scope, id.toLowerCase()) : undefined;
        if (!token) throw wrapTokenNotFound();
        if (token.revokedAtMs === null) {
          await store.revoke(tx, scope, token, clock.nowMs());
          await generations.bump(tx, credentialGeneration(scope.tenantId));
          await auditLogs.record(tx, actorOf(caller), tokenEntry('revoke', token));
        }
        await recordAnswer(tx, caller, token);
        return token;
      });
    },

    removeEnded: (rowsMax) =>
      db.transaction((tx) => store.removeEnded(tx, clock.nowMs() - LIMITS.wrapTokenKeptMs, rowsMax)),
  };
}

/** A secret that is deleted takes its tokens with it. */
export function createWrapSecretUser({
  db,
  clock,
  generations,
}: Pick<WrapDeps, 'db' | 'clock' | 'generations'>): SecretUser {
  const store = createWrapStore(db);
  return {
    usedBy: async () => null,
    async removed(tx, scope, secretId) {
      const revoked = await store.removeSecret(tx, scope, secretId, clock.nowMs());
      if (revoked > 0) await generations.bump(tx, credentialGeneration(scope.tenantId));
    },
  };
}

function boundedSeconds(asked: number): number {
  return Math.min(Math.max(asked, LIMITS.wrapTokenSecondsMin), LIMITS.wrapTokenSecondsMax);
}

/** One host, that the secret may go to: whoever holds a token does not choose. */
function hostOf({ name, type, allowedHosts }: StoredSecret, asked: string | null): string {
  if (type === 'certificate') throw unusableSecret('is a certificate, which no header can hold');
  if (allowedHosts === null) throw unusableSecret('has no allowed_hosts: say first where it may go');
  if (asked !== null) {
    if (!coversHost(allowedHosts, asked)) throw hostNotCovered(name);
    return asked;
  }
  const [only] = allowedHosts;
  if (only === undefined || allowedHosts.length > 1 || only.startsWith('*.')) throw hostIsDue();
  return only;
}
