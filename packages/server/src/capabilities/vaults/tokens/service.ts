import type { Clock } from '../../../kernel/clock.js';
import { isAppError, notFound, validationError } from '../../../kernel/errors.js';
import { type IdSource, modeOf, type Scope, type TokenId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { Secret } from '../../../kernel/secret.js';
import { type DataContext, openData, sealData } from '../../../platform/crypto/data-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import { answerInsertions, recordAnswer } from '../../../platform/http/idempotency.js';
import type { ListOptions } from '../../../platform/http/pagination.js';
import type { Page } from '../../../platform/http/route.js';
import { type Database, ReferenceViolation, UniqueViolation } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { CryptoKeys } from '../../crypto-keys/index.js';
import { vaultEntry } from '../audit.js';
import type { VaultDefinition, VaultDefinitions } from '../definitions.js';
import {
  tokenAmbiguous,
  tokenNotFound,
  tokenSpaceExhausted,
  tooLarge,
  vaultDisabled,
  vaultPermissionMissing,
} from '../errors.js';
import { requireMetadataFits } from '../metadata.js';
import { formats } from '../providers/index.js';
import type { Metadata } from '../store.js';
import { candidateTokens } from './candidates.js';
import type { TokenCounter } from './counts.js';
import type { StoredToken, Token, TokenStore } from './store.js';

export interface TokenizeInput {
  readonly value: Secret<string>;
  readonly metadata: Metadata | null;
  /** Null = as the vault says. */
  readonly ttlSeconds: number | null;
}

export interface DetokenizedToken extends Token {
  readonly value: Secret<string>;
  readonly metadata: Metadata | null;
  readonly keyVersion: number;
}

/** Token text or row uuid; without a vault, every vault of the scope is searched. */
export interface TokenReference {
  readonly vault: string | null;
  readonly token: string;
}

export interface VaultTokens {
  tokenize(caller: Caller, vault: string, input: TokenizeInput): Promise<Token>;
  listTokens(caller: Caller, vault: string, options: ListOptions<'created_at'>): Promise<Page<Token>>;
  /** The audit row is durable before this resolves. */
  detokenize(caller: Caller, vault: string, idOrToken: string): Promise<DetokenizedToken>;
  deleteToken(caller: Caller, vault: string, idOrToken: string): Promise<void>;
  /**
   * Values in the order of the references. One read for each distinct one, one audit row for each, all of them
   * durable before this resolves; any that is refused refuses the whole.
   */
  detokenizeForProxy(caller: Caller, references: readonly TokenReference[]): Promise<Secret<string>[]>;
}

export interface VaultTokensDeps {
  readonly db: Pick<Database, 'transaction' | 'commitInserts'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'use'>;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly definitions: Pick<VaultDefinitions, 'find'>;
  readonly counter: TokenCounter;
  readonly store: TokenStore;
}

export function createVaultTokens(deps: VaultTokensDeps): VaultTokens {
  const { db, clock, ids, random, cryptoKeys, auditLogs, definitions, counter, store } = deps;

  async function getVault(scope: Scope, nameOrId: string): Promise<VaultDefinition> {
    const vault = await definitions.find(scope, nameOrId);
    if (!vault) throw notFound('Vault');
    return vault;
  }

  async function getToken(scope: Scope, vault: VaultDefinition, idOrToken: string): Promise<StoredToken> {
    const token = await store.findInVault(scope, vault.id, idOrToken, clock.nowMs());
    if (!token) throw notFound('Token');
    return token;
  }

  function openToken(scope: Scope, vault: VaultDefinition, token: StoredToken): Promise<Secret<string>> {
    return cryptoKeys.use(scope, vault.cryptoKeyId, token.keyVersion, (key) => {
      const plaintext = openData(key, contextOf(scope, vault, token.id), token.ciphertext);
      try {
        return new Secret(plaintext.toString('utf8'));
      } finally {
        plaintext.fill(0);
      }
    });
  }

  /** Row and audit row together; the token text may turn out to be taken. */
  async function insertToken(caller: Caller, vault: VaultDefinition, token: StoredToken): Promise<boolean> {
    const entry = vaultEntry('vault.tokenize', vault, { token_id: token.id });
    try {
      await db.commitInserts([
        store.insertion(caller.principal.scope, token),
        auditLogs.insertion(actorOf(caller), entry),
        ...answerInsertions(caller, token),
      ]);
      return true;
    } catch (error) {
      if (error instanceof UniqueViolation && error.table === 'vault_tokens') return false;
      // The vault was deleted since its definition was read: it gets no orphan.
      if (error instanceof ReferenceViolation) throw notFound('Vault');
      throw error;
    }
  }

  /** The rows of distinct references, each judged as the contract orders: found, permitted, enabled. */
  async function resolve(caller: Caller, reference: TokenReference) {
    const { scope } = caller.principal;
    const named = reference.vault === null ? null : await definitions.find(scope, reference.vault);
    if (named === undefined) throw tokenNotFound();
    if (named) requireDetokenize(caller, named);
    const found = named
      ? [await store.findInVault(scope, named.id, reference.token, clock.nowMs())]
      : await store.findInAnyVault(scope, reference.token, clock.nowMs());
    const [token, other] = found;
    if (other) throw tokenAmbiguous();
    const vault = token && (named ?? (await definitions.find(scope, token.vaultId)));
    if (!token || !vault) throw tokenNotFound();
    requireDetokenize(caller, vault);
    try {
      return { vault, tokenId: token.id, value: await openToken(scope, vault, token) };
    } catch (error) {
      if (isAppError(error, 'not_found')) throw tokenNotFound();
      throw error;
    }
  }

  return {
    async tokenize(caller, nameOrId, input) {
      const { principal } = caller;
      const { scope } = principal;
      const vault = await getVault(scope, nameOrId);
      requireUse(caller, 'vaults:tokenize', vault);
      const value = input.value.reveal();
      const plaintext = Buffer.from(value, 'utf8');
      if (plaintext.length > LIMITS.vaultValueBytesMax) throw tooLarge('value', LIMITS.vaultValueBytesMax);
      requireMetadataFits('metadata', input.metadata);
      const format = formats[vault.tokenFormat];
      const refusal = format.validate(value);
      if (refusal !== null) throw validationError('value', refusal);

      const id = ids.uuid() as TokenId;
      const ciphertext = await cryptoKeys.use(scope, vault.cryptoKeyId, vault.keyVersion, (key) =>
        sealData(random, key, contextOf(scope, vault, id), plaintext),
      );
      plaintext.fill(0);
      const nowMs = clock.nowMs();
      const ttlSeconds = input.ttlSeconds ?? vault.defaultTtlSeconds;
      const token: Omit<StoredToken, 'token'> = {
        id,
        vaultId: vault.id,
        keyVersion: vault.keyVersion,
        ciphertext,
        metadata: input.metadata,
        createdAtMs: nowMs,
        expiresAtMs: ttlSeconds === null ? null : nowMs + ttlSeconds * 1000,
        createdByApiKeyId: principal.apiKeyId,
        createdByUserId: principal.userId,
      };
      const listTaken = (tokens: readonly string[]) => store.listTaken(scope, vault.id, tokens);
      for await (const text of candidateTokens(format, value, random, listTaken)) {
        if (await insertToken(caller, vault, { ...token, token: text })) return { ...token, token: text };
      }
      throw tokenSpaceExhausted(vault.name);
    },

    async listTokens(caller, nameOrId, options) {
      const { scope } = caller.principal;
      const vault = await getVault(scope, nameOrId);
      const [rows, { tokens, expired }] = await Promise.all([
        store.list(scope, vault.id, options, clock.nowMs()),
        counter.count(scope, vault.id),
      ]);
      return { rows, total: tokens - expired, page: options.page, perPage: options.perPage };
    },

    async detokenize(caller, nameOrId, idOrToken) {
      const { scope } = caller.principal;
      const vault = await getVault(scope, nameOrId);
      requireDetokenize(caller, vault);
      const token = await getToken(scope, vault, idOrToken);
      const value = await openToken(scope, vault, token);
      const entry = vaultEntry('vault.detokenize', vault, { token_id: token.id, via: 'api' });
      await db.commitInserts([auditLogs.insertion(actorOf(caller), entry)]);
      return { ...token, value };
    },

    async deleteToken(caller, nameOrId, idOrToken) {
      const { scope } = caller.principal;
      const vault = await getVault(scope, nameOrId);
      const token = await getToken(scope, vault, idOrToken);
      await db.transaction(async (tx) => {
        if (!(await store.delete(tx, scope, token.id))) throw notFound('Token');
        const entry = vaultEntry('vault.token.delete', vault, { token_id: token.id });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, undefined);
      });
    },

    async detokenizeForProxy(caller, references) {
      const distinct = new Map(references.map((reference) => [keyOf(reference), reference]));
      const outcomes = await Promise.allSettled([...distinct.values()].map((one) => resolve(caller, one)));
      const opened = new Map([...distinct.keys()].map((key, index) => [key, outcomes[index]]));
      const resolved = references.map((reference) => {
        const outcome = opened.get(keyOf(reference));
        if (outcome?.status !== 'fulfilled') throw outcome?.reason;
        return outcome.value;
      });
      const actor = actorOf(caller);
      await db.commitInserts(
        resolved.map(({ vault, tokenId }) =>
          auditLogs.insertion(
            actor,
            vaultEntry('vault.detokenize', vault, { token_id: tokenId, via: 'ephemeral_proxy' }),
          ),
        ),
      );
      return resolved.map(({ value }) => value);
    },
  };
}

function requireUse(
  caller: Caller,
  permission: 'vaults:tokenize' | 'vaults:detokenize',
  vault: VaultDefinition,
): void {
  if (!caller.principal.may(permission, vault.name)) throw vaultPermissionMissing(permission, vault.name);
  if (!vault.enabled) throw vaultDisabled(vault.name);
}

function requireDetokenize(caller: Caller, vault: VaultDefinition): void {
  requireUse(caller, 'vaults:detokenize', vault);
}

/** dataplane.md §6.3: bound to tenant, mode, vault and row. */
function contextOf(scope: Scope, vault: VaultDefinition, rowId: TokenId): DataContext {
  return { purpose: 'vault-token', rowId, parts: [scope.tenantId, modeOf(scope), vault.id, rowId] };
}

/** No vault name holds a space. */
function keyOf({ vault, token }: TokenReference): string {
  return `${vault ?? ''} ${token}`;
}
