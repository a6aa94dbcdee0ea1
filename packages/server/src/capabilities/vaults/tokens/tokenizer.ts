import type { Clock } from '../../../kernel/clock.js';
import { notFound, validationErrors } from '../../../kernel/errors.js';
import type { IdSource, TokenId } from '../../../kernel/ids.js';
import { LIMITS } from '../../../kernel/limits.js';
import { actorOf, type Caller } from '../../../kernel/principal.js';
import type { Secret } from '../../../kernel/secret.js';
import { sealData } from '../../../platform/crypto/data-cipher.js';
import type { Random } from '../../../platform/crypto/random.js';
import { answerInsertions } from '../../../platform/http/idempotency.js';
import { type Database, ReferenceViolation, UniqueViolation } from '../../../platform/storage/database.js';
import type { AuditLogs } from '../../audit-logs/index.js';
import type { CryptoKeys } from '../../crypto-keys/index.js';
import { vaultEntry } from '../audit.js';
import type { VaultDefinition } from '../definitions.js';
import { tokenSpaceExhausted, tooLarge } from '../errors.js';
import { requireMetadataFits } from '../metadata.js';
import { formats } from '../providers/index.js';
import type { Metadata } from '../store.js';
import { candidateTokens } from './candidates.js';
import { type CardExpiry, firstNoticeAtMs, lastDayOf } from './card-expiry.js';
import { contextOf } from './data-context.js';
import type { DualCustody } from './dual.js';
import type { NewToken, Token, TokenStore } from './store.js';

export interface TokenizeInput {
  readonly value: Secret<string>;
  readonly metadata: Metadata | null;
  /** Null = as the vault says. */
  readonly ttlSeconds: number | null;
  /** Of card numbers only. */
  readonly cardExpiry: CardExpiry | null;
}

/** How the caller sees it. */
export interface TokenizeForm<Result> {
  /** What a field of the n-th input is called in an error. */
  nameOf(index: number, field: string): string;
  /** What the service returns, and so what a replay of the call answers. */
  resultOf(tokens: readonly Token[]): Result;
  /** Of a field action; absent = the API. */
  readonly via?: 'route';
}

export interface Tokenizer {
  /** A token for every value, in their order, or none at all. The caller is permitted to. */
  tokenize<Result>(
    caller: Caller,
    vault: VaultDefinition,
    inputs: readonly TokenizeInput[],
    form: TokenizeForm<Result>,
  ): Promise<Result>;
}

export interface TokenizerDeps {
  readonly db: Pick<Database, 'commitInserts'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: Random;
  readonly cryptoKeys: Pick<CryptoKeys, 'use'>;
  readonly auditLogs: Pick<AuditLogs, 'insertion'>;
  readonly store: Pick<TokenStore, 'insertion' | 'listTaken'>;
  readonly dual: Pick<DualCustody, 'seal'>;
}

type Unnamed = Omit<NewToken, 'token'>;

const NO_ROW = 'a vault of custody_mode dual keeps no row for it';

/** Each further try means that another caller took a text between our read and our write. */
const COMMITS_MAX = 200;

export function createTokenizer(deps: TokenizerDeps): Tokenizer {
  const { db, clock, ids, random, cryptoKeys, auditLogs, store, dual } = deps;

  async function seal(caller: Caller, vault: VaultDefinition, input: TokenizeInput): Promise<Unnamed> {
    const { scope, apiKeyId, userId } = caller.principal;
    const id = ids.uuid() as TokenId;
    const plaintext = Buffer.from(input.value.reveal(), 'utf8');
    const ciphertext = await cryptoKeys.use(scope, vault.cryptoKeyId, vault.keyVersion, (key) =>
      sealData(random, key, contextOf(scope, vault, id), plaintext),
    );
    plaintext.fill(0);
    const nowMs = clock.nowMs();
    const ttlSeconds = input.ttlSeconds ?? vault.defaultTtlSeconds;
    const cardExpiresOn = input.cardExpiry && lastDayOf(input.cardExpiry);
    return {
      id,
      vaultId: vault.id,
      keyVersion: vault.keyVersion,
      ciphertext,
      metadata: input.metadata,
      createdAtMs: nowMs,
      expiresAtMs: ttlSeconds === null ? null : nowMs + ttlSeconds * 1000,
      cardExpiresOn,
      noticeAtMs: cardExpiresOn === null ? null : firstNoticeAtMs(cardExpiresOn, nowMs),
      createdByApiKeyId: apiKeyId,
      createdByUserId: userId,
    };
  }

  /** The audit row of every token, and the answer. */
  function records(
    caller: Caller,
    vault: VaultDefinition,
    tokens: readonly Token[],
    result: unknown,
    via: 'route' | undefined,
  ) {
    const actor = actorOf(caller);
    return [
      ...tokens.map(({ id }) =>
        auditLogs.insertion(
          actor,
          vaultEntry('vault.tokenize', vault, { token_id: id, ...(via && { via }) }),
        ),
      ),
      ...answerInsertions(caller, result),
    ];
  }

  /** Token rows, audit rows and answer together; false when a token text turns out to be taken. */
  async function insert(
    caller: Caller,
    vault: VaultDefinition,
    tokens: readonly NewToken[],
    result: unknown,
    via: 'route' | undefined,
  ): Promise<boolean> {
    try {
      await db.commitInserts([
        ...tokens.map((token) => store.insertion(caller.principal.scope, token)),
        ...records(caller, vault, tokens, result, via),
      ]);
      return true;
    } catch (error) {
      if (error instanceof UniqueViolation && error.table === 'vault_tokens') return false;
      // The vault was deleted since its definition was read: it gets no orphan.
      if (error instanceof ReferenceViolation) throw notFound('Vault');
      throw error;
    }
  }

  /** No rows but those of the audit log. */
  async function tokenizeDual<Result>(
    caller: Caller,
    vault: VaultDefinition,
    inputs: readonly TokenizeInput[],
    { resultOf, via }: TokenizeForm<Result>,
  ): Promise<Result> {
    const tokens = await Promise.all(inputs.map(({ value }) => dual.seal(caller, vault, value)));
    const result = resultOf(tokens);
    await db.commitInserts(records(caller, vault, tokens, result, via));
    return result;
  }

  return {
    async tokenize(caller, vault, inputs, form) {
      const { nameOf, resultOf, via } = form;
      const { scope } = caller.principal;
      requireFit(vault, inputs, nameOf);
      if (vault.custodyMode === 'dual') return tokenizeDual(caller, vault, inputs, form);
      const rows = await Promise.all(inputs.map((input) => seal(caller, vault, input)));

      const listTaken = (texts: readonly string[]) => store.listTaken(scope, vault.id, texts);
      const candidates = inputs.map(({ value }) =>
        candidateTokens(formats[vault.tokenFormat], value.reveal(), random, listTaken),
      );
      const texts: string[] = [];
      const drawn = new Set<string>();
      async function draw(index: number): Promise<void> {
        for (;;) {
          const { value: text, done } = (await candidates[index]?.next()) ?? { done: true };
          if (done || text === undefined) throw tokenSpaceExhausted(vault.name);
          if (drawn.has(text)) continue;
          drawn.add(text);
          texts[index] = text;
          return;
        }
      }
      for (const index of rows.keys()) await draw(index);

      for (let commits = 0; commits < COMMITS_MAX; commits += 1) {
        const tokens = rows.map((row, index) => ({ ...row, token: texts[index] as string }));
        const result = resultOf(tokens);
        if (await insert(caller, vault, tokens, result, via)) return result;
        const taken = texts.length === 1 ? new Set(texts) : await listTaken(texts);
        for (const [index, text] of [...texts.entries()]) if (taken.has(text)) await draw(index);
      }
      throw tokenSpaceExhausted(vault.name);
    },
  };
}

/** Too large: 413 for the first. What does not fit the vault's format: 400 that names all of them. */
function requireFit(
  vault: VaultDefinition,
  inputs: readonly TokenizeInput[],
  nameOf: TokenizeForm<unknown>['nameOf'],
): void {
  const format = formats[vault.tokenFormat];
  const fields = new Map<string, string[]>();
  inputs.forEach(({ value, metadata, ttlSeconds, cardExpiry }, index) => {
    const text = value.reveal();
    if (Buffer.byteLength(text) > LIMITS.vaultValueBytesMax) {
      throw tooLarge(nameOf(index, 'value'), LIMITS.vaultValueBytesMax);
    }
    requireMetadataFits(nameOf(index, 'metadata'), metadata);
    const refusal = format.validate(text);
    if (refusal !== null) fields.set(nameOf(index, 'value'), [refusal]);
    if (vault.custodyMode === 'dual') {
      if (metadata !== null) fields.set(nameOf(index, 'metadata'), [NO_ROW]);
      if (ttlSeconds !== null) fields.set(nameOf(index, 'ttl_seconds'), [NO_ROW]);
      if (cardExpiry !== null) fields.set(nameOf(index, 'card_exp_month'), [NO_ROW]);
    }
    if (cardExpiry && vault.tokenFormat !== 'pan') {
      fields.set(nameOf(index, 'card_exp_month'), ['is only for vaults of the format pan']);
    }
  });
  if (fields.size > 0) throw validationErrors(fields);
}
