import { assert } from '../../../kernel/assert.js';
import type { Clock } from '../../../kernel/clock.js';
import { isAppError, notFound } from '../../../kernel/errors.js';
import type { IdSource, Scope } from '../../../kernel/ids.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import { isPending, type Promisable } from '../../../kernel/promisable.js';
import type { Secret } from '../../../kernel/secret.js';
import { openData } from '../../../platform/crypto/data-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import { answerInsertions, recordAnswer } from '../../../platform/http/idempotency.js';
import type { ListOptions } from '../../../platform/http/pagination.js';
import type { Page } from '../../../platform/http/route.js';
import type { Database } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import { type CryptoKeys, parsePortable } from '../../crypto-keys/index.js';
import { vaultEntry } from '../audit.js';
import type { VaultDefinition, VaultDefinitions } from '../definitions.js';
import {
  dualKeepsNoRow,
  tokenAmbiguous,
  tokenNotFound,
  vaultDisabled,
  vaultPermissionMissing,
} from '../errors.js';
import { requireMetadataFits } from '../metadata.js';
import type { Metadata } from '../store.js';
import type { TokenCounter } from './counts.js';
import { contextOf } from './data-context.js';
import { createDualCustody } from './dual.js';
import { listPage } from './pages.js';
import type { SealedToken, StoredToken, Token, TokenStore } from './store.js';
import { createTokenizer, type TokenizeForm, type TokenizeInput } from './tokenizer.js';
import { takeText, withVaultKey } from './vault-key.js';

export interface DetokenizedToken extends Omit<Token, 'createdAtMs'> {
  /** Null where a vault keeps no row of it. */
  readonly createdAtMs: number | null;
  readonly value: Secret<string>;
  readonly metadata: Metadata | null;
  readonly keyVersion: number;
}

/** Token text or row uuid; without a vault, every vault of the scope is searched. */
export interface TokenReference {
  readonly vault: string | null;
  readonly token: string;
}

export interface ValueForProxy {
  readonly value: Secret<string>;
  /** False for a vault whose values may come back in answers. */
  readonly isEchoGuarded: boolean;
}

export type CheckedForProxy = Pick<ValueForProxy, 'isEchoGuarded'>;

export type VaultUse = 'vaults:tokenize' | 'vaults:detokenize';

export interface VaultTokens {
  /** Found, permitted and enabled: what the calls below ask first. */
  usable(caller: Caller, permission: VaultUse, vault: string): Promise<Pick<VaultDefinition, 'id' | 'name'>>;
  tokenize(caller: Caller, vault: string, input: TokenizeInput): Promise<Token>;
  /** A token for each value, in their order, or none at all. */
  tokenizeBulk(caller: Caller, vault: string, inputs: readonly TokenizeInput[]): Promise<readonly Token[]>;
  listTokens(caller: Caller, vault: string, options: ListOptions<'created_at'>): Promise<Page<Token>>;
  /** The audit row is durable before this resolves. */
  detokenize(caller: Caller, vault: string, idOrToken: string): Promise<DetokenizedToken>;
  setTokenMetadata(
    caller: Caller,
    vault: string,
    idOrToken: string,
    metadata: Metadata | null,
  ): Promise<void>;
  deleteToken(caller: Caller, vault: string, idOrToken: string): Promise<void>;
  /**
   * Values in the order of the references. One read for each distinct one, one audit row for each, all of them
   * durable before this resolves; any that is refused refuses the whole.
   */
  detokenizeForProxy(caller: Caller, references: readonly TokenReference[]): Promise<ValueForProxy[]>;
  /**
   * For a field action, which acts with the leave of who wrote it: the caller needs no permission of its own. A token for
   * each text, in their order, or none at all.
   */
  tokenizeForRoute(
    caller: Caller,
    vault: string,
    texts: readonly Secret<string>[],
  ): Promise<readonly Token[]>;
  /** The same for `detokenizeForProxy`; `known`: null for what is no token, where `all` refuses. */
  detokenizeForRoute(
    caller: Caller,
    references: readonly TokenReference[],
    wanted: 'all' | 'known',
  ): Promise<(ValueForProxy | null)[]>;
  /**
   * Refuses what `detokenizeForProxy` would, as far as that shows without reading a value: whether a dual-custody
   * vault has made a ciphertext does not.
   */
  checkForProxy(caller: Caller, references: readonly TokenReference[]): Promise<CheckedForProxy[]>;
}

/** Without a token in a dual-custody vault, which keeps no rows. */
interface Located {
  readonly vault: VaultDefinition;
  readonly token: SealedToken | null;
}

export interface VaultTokensDeps {
  readonly db: Pick<Database, 'transaction' | 'commitInserts'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'use'>;
  readonly auditLogs: Pick<AuditLogs, 'record' | 'insertion'>;
  readonly definitions: Pick<VaultDefinitions, 'find' | 'findOfKey'>;
  readonly counter: TokenCounter;
  readonly store: TokenStore;
}

const ONE: TokenizeForm<Token> = {
  nameOf: (_index, field) => field,
  resultOf: ([token]) => {
    assert(token, 'one value has one token');
    return token;
  },
};

const SEVERAL: TokenizeForm<readonly Token[]> = {
  nameOf: (index, field) => `values[${index}].${field}`,
  resultOf: (tokens) => tokens,
};

const SELECTED: TokenizeForm<readonly Token[]> = {
  nameOf: (index, field) => `selected[${index}].${field}`,
  resultOf: (tokens) => tokens,
  via: 'route',
};

export function createVaultTokens(deps: VaultTokensDeps): VaultTokens {
  const { db, clock, cryptoKeys, auditLogs, definitions, counter, store } = deps;
  const dual = createDualCustody(deps);
  const tokenizer = createTokenizer({ ...deps, dual });

  async function getVault(scope: Scope, nameOrId: string): Promise<VaultDefinition> {
    const vault = await definitions.find(scope, nameOrId);
    if (!vault) throw notFound('Vault');
    return vault;
  }

  async function usable(caller: Caller, permission: VaultUse, nameOrId: string): Promise<VaultDefinition> {
    const vault = await getVault(caller.principal.scope, nameOrId);
    requireUse(caller, permission, vault);
    return vault;
  }

  async function getToken(scope: Scope, vault: VaultDefinition, idOrToken: string): Promise<StoredToken> {
    const token = await store.findInVault(scope, vault.id, idOrToken, clock.nowMs());
    if (!token) throw notFound('Token');
    return token;
  }

  function openToken(scope: Scope, vault: VaultDefinition, token: SealedToken): Promisable<Secret<string>> {
    return withVaultKey(cryptoKeys, scope, vault, token.keyVersion, (key) =>
      takeText(openData(key, contextOf(scope, vault, token.id), token.ciphertext)),
    );
  }

  async function readToken(
    scope: Scope,
    vault: VaultDefinition,
    idOrToken: string,
  ): Promise<DetokenizedToken> {
    if (vault.custodyMode === 'dual') return dual.open(scope, vault, idOrToken);
    const token = await getToken(scope, vault, idOrToken);
    return { ...token, value: await openToken(scope, vault, token) };
  }

  async function tokenizeAs<Result>(
    form: TokenizeForm<Result>,
    caller: Caller,
    nameOrId: string,
    inputs: readonly TokenizeInput[],
  ): Promise<Result> {
    const vault = await usable(caller, 'vaults:tokenize', nameOrId);
    return tokenizer.tokenize(caller, vault, inputs, form);
  }

  /** Where a reference leads, judged as the contract orders: found, permitted, enabled. */
  async function locate(
    caller: Caller,
    reference: TokenReference,
    judge: (caller: Caller, vault: VaultDefinition) => void = requireDetokenize,
  ): Promise<Located> {
    const { scope } = caller.principal;
    const naming = vaultOf(scope, reference);
    const named = isPending(naming) ? await naming : naming;
    if (named === undefined) throw tokenNotFound();
    if (named) judge(caller, named);
    if (named?.custodyMode === 'dual') return { vault: named, token: null };
    const [token, other] = await store.findSealed(scope, named?.id ?? null, reference.token, clock.nowMs());
    if (other) throw tokenAmbiguous();
    const vault = token && (named ?? (await definitions.find(scope, token.vaultId)));
    if (!token || !vault) throw tokenNotFound();
    judge(caller, vault);
    return { vault, token };
  }

  async function resolve(caller: Caller, reference: TokenReference, judge = requireDetokenize) {
    const { scope } = caller.principal;
    const { vault, token } = await locate(caller, reference, judge);
    if (token === null) {
      const { id, value } = await hidden(dual.open(scope, vault, reference.token));
      return { vault, tokenId: id, value };
    }
    const opening = openToken(scope, vault, token);
    return { vault, tokenId: token.id, value: isPending(opening) ? await hidden(opening) : opening };
  }

  /** The key is asked for, which a destroyed version and a sealed tenant have not; nothing is opened with it. */
  async function check(caller: Caller, reference: TokenReference): Promise<CheckedForProxy> {
    const { scope } = caller.principal;
    const { vault, token } = await locate(caller, reference);
    if (token === null) await hidden(dual.check(scope, vault, reference.token));
    else await hidden(withVaultKey(cryptoKeys, scope, vault, token.keyVersion, () => undefined));
    return { isEchoGuarded: vault.echoGuard };
  }

  /** Null where the reference names none: a ciphertext names its vault itself, by the key. */
  function vaultOf(scope: Scope, { vault, token }: TokenReference) {
    if (vault !== null) return definitions.find(scope, vault);
    const portable = parsePortable(token);
    return portable === null ? null : definitions.findOfKey(scope, portable.keyRef.keyId);
  }

  return {
    usable,
    tokenize: (caller, nameOrId, input) => tokenizeAs(ONE, caller, nameOrId, [input]),
    tokenizeBulk: (caller, nameOrId, inputs) => tokenizeAs(SEVERAL, caller, nameOrId, inputs),

    async listTokens(caller, nameOrId, options) {
      const { scope } = caller.principal;
      const vault = await getVault(scope, nameOrId);
      const [rows, { tokens, expired }] = await Promise.all([
        listPage(store, scope, vault.id, options, clock.nowMs()),
        counter.count(scope, vault.id),
      ]);
      return { rows, total: tokens - expired, page: options.page, perPage: options.perPage };
    },

    async detokenize(caller, nameOrId, idOrToken) {
      const { scope } = caller.principal;
      const vault = await usable(caller, 'vaults:detokenize', nameOrId);
      const token = await readToken(scope, vault, idOrToken);
      const entry = vaultEntry('vault.detokenize', vault, { token_id: token.id, via: 'api' });
      await db.commitInserts([
        auditLogs.insertion(actorOf(caller), entry),
        // A GET has no answer to keep; a client token is used up with it.
        ...answerInsertions(caller, token),
      ]);
      return token;
    },

    async setTokenMetadata(caller, nameOrId, idOrToken, metadata) {
      const { scope } = caller.principal;
      requireMetadataFits('metadata', metadata);
      const vault = await getVault(scope, nameOrId);
      if (vault.custodyMode === 'dual') throw dualKeepsNoRow(vault.name);
      const token = await getToken(scope, vault, idOrToken);
      await db.transaction(async (tx) => {
        const isSet = await store.setMetadata(tx, scope, token.id, metadata, clock.nowMs());
        if (!isSet) throw notFound('Token');
        const entry = vaultEntry('vault.token.update', vault, { token_id: token.id, changed: ['metadata'] });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, undefined);
      });
    },

    async deleteToken(caller, nameOrId, idOrToken) {
      const { scope } = caller.principal;
      const vault = await getVault(scope, nameOrId);
      if (vault.custodyMode === 'dual') throw dualKeepsNoRow(vault.name);
      const token = await getToken(scope, vault, idOrToken);
      await db.transaction(async (tx) => {
        if (!(await store.delete(tx, scope, token.id))) throw notFound('Token');
        const entry = vaultEntry('vault.token.delete', vault, { token_id: token.id });
        await auditLogs.record(tx, actorOf(caller), entry);
        await recordAnswer(tx, caller, undefined);
      });
    },

    async detokenizeForProxy(caller, references) {
      const resolved = await eachOnce(references, (one) => resolve(caller, one));
      const actor = actorOf(caller);
      await db.commitInserts(
        resolved.map(({ vault, tokenId }) =>
          auditLogs.insertion(
            actor,
            vaultEntry('vault.detokenize', vault, { token_id: tokenId, via: 'ephemeral_proxy' }),
          ),
        ),
      );
      return resolved.map(({ vault, value }) => ({ value, isEchoGuarded: vault.echoGuard }));
    },

    async tokenizeForRoute(caller, nameOrId, texts) {
      const vault = await getVault(caller.principal.scope, nameOrId);
      requireEnabled(vault);
      const inputs = texts.map((value) => ({ value, metadata: null, ttlSeconds: null, cardExpiry: null }));
      return tokenizer.tokenize(caller, vault, inputs, SELECTED);
    },

    async detokenizeForRoute(caller, references, wanted) {
      const resolved = await eachOnce(references, async (one) => {
        try {
          return await resolve(caller, one, (_caller, vault) => requireEnabled(vault));
        } catch (error) {
          if (wanted === 'known' && isAppError(error, 'token_not_found')) return null;
          throw error;
        }
      });
      const found = resolved.filter((one) => one !== null);
      const rows = found.map(({ vault, tokenId }) =>
        auditLogs.insertion(
          actorOf(caller),
          vaultEntry('vault.detokenize', vault, { token_id: tokenId, via: 'route' }),
        ),
      );
      if (rows.length > 0) await db.commitInserts(rows);
      return resolved.map((one) => one && { value: one.value, isEchoGuarded: one.vault.echoGuard });
    },

    checkForProxy: (caller, references) => eachOnce(references, (one) => check(caller, one)),
  };
}

/** In a proxied call what is erased is as what never was. */
async function hidden<T>(opening: Promisable<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (isAppError(error, 'not_found') || isAppError(error, 'token_erased')) throw tokenNotFound();
    throw error;
  }
}

function requireUse(caller: Caller, permission: VaultUse, vault: VaultDefinition): void {
  if (!caller.principal.may(permission, vault.name)) throw vaultPermissionMissing(permission, vault.name);
  requireEnabled(vault);
}

function requireEnabled(vault: VaultDefinition): void {
  if (!vault.enabled) throw vaultDisabled(vault.name);
}

function requireDetokenize(caller: Caller, vault: VaultDefinition): void {
  requireUse(caller, 'vaults:detokenize', vault);
}

/** No vault name holds a space. */
function keyOf({ vault, token }: TokenReference): string {
  return `${vault ?? ''} ${token}`;
}

/** One question for each distinct reference, their answers in the order of all; the first that is refused refuses all. */
async function eachOnce<T>(
  references: readonly TokenReference[],
  ask: (reference: TokenReference) => Promise<T>,
): Promise<T[]> {
  if (references.length === 1) return [await ask(references[0]!)];
  const distinct = new Map(references.map((reference) => [keyOf(reference), reference]));
  const outcomes = await Promise.allSettled([...distinct.values()].map(ask));
  const known = new Map([...distinct.keys()].map((key, index) => [key, outcomes[index]]));
  return references.map((reference) => {
    const outcome = known.get(keyOf(reference));
    if (outcome?.status !== 'fulfilled') throw outcome?.reason;
    return outcome.value;
  });
}
