import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { isUuid, type Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import type { VaultWithStats } from './service.js';
import type { Vault, VaultChanges } from './store.js';
import { CUSTODY_MODES, TOKEN_FORMATS } from './tables.js';
import type { DetokenizedToken } from './tokens/service.js';
import type { Token } from './tokens/store.js';
import type { TokenizeInput } from './tokens/tokenizer.js';

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must match ^[a-z0-9][a-z0-9_-]{0,62}$')
  .refine((text) => !isUuid(text), 'must not look like a UUID, which would name a vault by its id')
  .describe('Unique among the vaults of a mode; stands in expressions.')
  .meta({ examples: ['cards'] });

const description = z.string().max(LIMITS.descriptionCharactersMax).nullable().describe('For people.');
const metadata = z
  .record(z.string(), z.unknown())
  .nullable()
  .describe(`Yours; at most ${LIMITS.vaultMetadataBytesMax} bytes of JSON.`);

const ttlSeconds = z
  .number()
  .int('must be a whole number of seconds')
  .min(1, `must be 1 to ${LIMITS.vaultTtlSecondsMax} seconds`)
  .max(LIMITS.vaultTtlSecondsMax, `must be 1 to ${LIMITS.vaultTtlSecondsMax} seconds`)
  .nullable();
const defaultTtlSeconds = ttlSeconds.describe(
  'Seconds until a token expires that is made without `ttl_seconds`; null: it never does. Of tokens made from now on.',
);

/** dataplane.md §6.3: there is no table of card issuers. */
const alwaysNull = z.null().describe('Always null.');

const custodyMode = z
  .enum(CUSTODY_MODES)
  .describe(
    '`managed`: values are stored here. `dual`: a token is the ciphertext itself, and only its key is here.',
  );

const echoGuard = z
  .boolean()
  .describe(
    'A value that an upstream sends back in the answer to a proxied call is replaced by the token that the call named.',
  );

const reference = z.string().min(1).max(LIMITS.nameCharactersMax);
export const vaultReference = reference.describe('Name or id of the vault.');
export const vaultParams = z.object({ nameOrId: vaultReference });
export const tokenParams = z.object({
  nameOrId: vaultReference,
  idOrToken: z
    .string()
    .min(1)
    .max(LIMITS.tokenParamCharactersMax)
    .describe('Row id, or the token itself; of a vault of custody mode `dual` the token alone.'),
});

export const vaultListQuery = z.object({
  ...pageQuery,
  sort: z.enum(['created_at', 'name']).default('created_at').describe('What the rows are ordered by.'),
  order: orderQuery,
});
export const tokenListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').default('created_at').describe('The one order there is.'),
  order: orderQuery,
});
export const deleteVaultQuery = z.object({
  force: z
    .enum(['true', 'false'])
    .default('false')
    .transform((text) => text === 'true')
    .describe('`true`: although the vault holds tokens, whose values are lost with it.'),
});

export const createVaultBody = z.object({
  name,
  token_format: z
    .enum(TOKEN_FORMATS, `must be one of ${TOKEN_FORMATS.join(', ')}`)
    .default('generic')
    .describe(
      'What tokens look like, and which values are taken: `pan` card numbers, `ssn` social security numbers, `email` ' +
        'mail addresses, `uuid` and `generic` anything.',
    ),
  custody_mode: custodyMode.default('managed'),
  description: description.default(null),
  metadata_jsonb: metadata.default(null),
  echo_guard: echoGuard.default(true),
  default_ttl_seconds: defaultTtlSeconds.default(null),
});

const FIXED = 'cannot be changed after the vault is made';

export const updateVaultBody = z
  .strictObject({
    description: description.optional(),
    metadata_jsonb: metadata.optional(),
    enabled: z.boolean().optional().describe('False: no value is put in or read out.'),
    echo_guard: echoGuard.optional(),
    default_ttl_seconds: defaultTtlSeconds.optional(),
    name: z.undefined(FIXED).optional(),
    token_format: z.undefined(FIXED).optional(),
    custody_mode: z.undefined(FIXED).optional(),
  })
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform(
    ({ description, metadata_jsonb, enabled, echo_guard, default_ttl_seconds }): VaultChanges => ({
      ...(description !== undefined && { description }),
      ...(metadata_jsonb !== undefined && { metadata: metadata_jsonb }),
      ...(enabled !== undefined && { enabled }),
      ...(echo_guard !== undefined && { echoGuard: echo_guard }),
      ...(default_ttl_seconds !== undefined && { defaultTtlSeconds: default_ttl_seconds }),
    }),
  );

const CARD_YEAR_MIN = 2_000;
const CARD_YEAR_MAX = 9_999;
const CARD_YEAR_RULE = `must have four digits: ${CARD_YEAR_MIN} to ${CARD_YEAR_MAX}`;

export const tokenizeFields = {
  value: z
    .string()
    .min(1, 'must not be empty')
    .describe(`What the token stands for; at most ${LIMITS.vaultValueBytesMax} bytes of UTF-8.`)
    .meta({ examples: ['4242424242424242'] }),
  metadata: metadata.default(null),
  ttl_seconds: ttlSeconds
    .default(null)
    .describe('Seconds until the token expires; null: as `default_ttl_seconds` of the vault says.'),
  card_exp_month: z
    .int('must be a whole number')
    .min(1, 'must be 1 to 12')
    .max(12, 'must be 1 to 12')
    .nullable()
    .default(null)
    .describe(
      'Of a card number: the last month in which the card is good. With `card_exp_year` or not at all.',
    ),
  card_exp_year: z
    .int('must be a whole number')
    .min(CARD_YEAR_MIN, CARD_YEAR_RULE)
    .max(CARD_YEAR_MAX, CARD_YEAR_RULE)
    .nullable()
    .default(null)
    .describe('The year of that month, in four digits.'),
};

export const tokenizeBody = z.object(tokenizeFields).superRefine(requireWholeCardExpiry);

export const updateTokenBody = z.object({
  metadata: metadata.describe('In place of what it had; null: none.'),
});

const BULK_RULE = `must hold at most ${LIMITS.vaultBulkValuesMax} values`;

export const bulkTokenizeBody = z.object({
  // Counted before its elements are looked at: a body has room for millions of them.
  values: z.preprocess(
    (values, context) => {
      if (!Array.isArray(values) || values.length <= LIMITS.vaultBulkValuesMax) return values;
      context.addIssue(BULK_RULE);
      return z.NEVER;
    },
    z
      .array(z.strictObject(tokenizeFields).superRefine(requireWholeCardExpiry))
      .min(1, 'must hold at least one value')
      .max(LIMITS.vaultBulkValuesMax, BULK_RULE)
      .describe('All of them get tokens, or none does.'),
  ),
});

export function tokenizeInputOf(body: z.output<typeof tokenizeBody>): TokenizeInput {
  const { value, metadata, ttl_seconds, card_exp_month: month, card_exp_year: year } = body;
  return {
    value: new Secret(value),
    metadata,
    ttlSeconds: ttl_seconds,
    cardExpiry: month === null || year === null ? null : { month, year },
  };
}

export function requireWholeCardExpiry(
  {
    card_exp_month: month,
    card_exp_year: year,
  }: { card_exp_month: number | null; card_exp_year: number | null },
  context: z.RefinementCtx,
): void {
  const needs = (missing: string, given: string) =>
    context.addIssue({ code: 'custom', path: [missing], message: `is required with ${given}` });
  if (month === null && year !== null) needs('card_exp_month', 'card_exp_year');
  if (year === null && month !== null) needs('card_exp_year', 'card_exp_month');
}

export const updatedResponse = z.object({ updated: z.literal(true) }).meta({ id: 'Updated' });
export const rotateBody = z.strictObject({}).describe('Takes no member.');

export const rotatedResponse = z
  .object({ new_version: z.number().int().positive().describe('Encrypts new tokens from now on.') })
  .meta({ id: 'RotatedVault' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

const rowId = z.string().meta({ format: 'uuid' });
const count = z.number().int().nonnegative();

const vaultFields = z.object({
  id: rowId,
  tenant_id: z.string(),
  name: z.string(),
  token_format: z.enum(TOKEN_FORMATS).describe('What its tokens look like.'),
  crypto_key_id: rowId.describe('The key that its values are encrypted with.'),
  custody_mode: custodyMode,
  default_ttl_seconds: z.number().int().positive().nullable().describe('Null: its tokens never expire.'),
  metadata_jsonb: metadata,
  description: z.string().nullable().describe('For people.'),
  enabled: z.boolean().describe('False: no value is put in or read out.'),
  echo_guard: echoGuard,
  created_at: instantText,
  updated_at: instantText,
  created_by: z
    .string()
    .nullable()
    .describe('The user who made it, else the row id of the key, client or binding.'),
  sandbox: z.boolean().describe('True in test mode.'),
});
export const vaultResponse = vaultFields.meta({ id: 'Vault' });

export const vaultWithStatsResponse = vaultFields
  .extend({
    stats: z.object({
      token_count: count.describe('All tokens, those that have expired and are not removed yet among them.'),
      active_count: count.describe('Those that have not expired.'),
      expiring_in_24h: count.describe('Those that expire within a day.'),
    }),
  })
  .meta({ id: 'VaultWithStats' });

const tokenFields = z.object({
  id: rowId,
  token: z
    .string()
    .describe('Worth nothing by itself.')
    .meta({ examples: ['4242422069354242'] }),
  expires_at: instantText.nullable().describe('From then on it is not found; null: never.'),
  created_at: instantText,
  card_expires_on: z.iso
    .date()
    .nullable()
    .describe('Last day on which the card is good, where that was told.'),
  card_funding_type: alwaysNull,
  card_issuing_country: alwaysNull,
});
export const tokenResponse = tokenFields.meta({ id: 'Token' });

export const bulkTokenizedResponse = z
  .object({
    tokens: z.array(tokenFields).describe('In the order of the values.'),
    count: count.describe('How many.'),
  })
  .meta({ id: 'BulkTokens' });

export const tokenRowResponse = tokenFields
  .extend({
    created_by_api_key_id: z.string().nullable().describe('Row id of the key, where one made it.'),
    created_by_user_id: z.string().nullable().describe('The user, where one made it.'),
  })
  .meta({ id: 'TokenRow' });

export const detokenizedResponse = tokenFields
  .extend({
    value: z.string().describe('What the token stands for.'),
    value_b64: z.string().describe('The same in base64.').meta({ format: 'byte' }),
    metadata,
    created_at: instantText
      .nullable()
      .describe('Null in a vault of custody mode `dual`, which keeps no row.'),
    crypto_key_version: z.number().int().positive().describe('Of the key that the value is encrypted with.'),
  })
  .meta({ id: 'DetokenizedToken' });

export function vaultWire(scope: Scope, vault: Vault): z.input<typeof vaultResponse> {
  return {
    id: vault.id,
    tenant_id: scope.tenantId,
    name: vault.name,
    token_format: vault.tokenFormat,
    crypto_key_id: vault.cryptoKeyId,
    custody_mode: vault.custodyMode,
    default_ttl_seconds: vault.defaultTtlSeconds,
    metadata_jsonb: vault.metadata,
    description: vault.description,
    enabled: vault.enabled,
    echo_guard: vault.echoGuard,
    created_at: isoTime(vault.createdAtMs),
    updated_at: isoTime(vault.updatedAtMs),
    created_by: vault.createdBy,
    sandbox: scope.sandbox,
  };
}

export function vaultWithStatsWire(
  scope: Scope,
  vault: VaultWithStats,
): z.input<typeof vaultWithStatsResponse> {
  const { tokens, expired, expiringInDay } = vault.counts;
  const stats = { token_count: tokens, active_count: tokens - expired, expiring_in_24h: expiringInDay };
  return { ...vaultWire(scope, vault), stats };
}

export function tokenWire(token: Token): z.input<typeof tokenResponse> {
  return { ...rowlessWire(token), created_at: isoTime(token.createdAtMs) };
}

function rowlessWire(token: Pick<Token, 'id' | 'token' | 'expiresAtMs' | 'cardExpiresOn'>) {
  return {
    id: token.id,
    token: token.token,
    expires_at: isoTimeOrNull(token.expiresAtMs),
    card_expires_on: token.cardExpiresOn,
    card_funding_type: null,
    card_issuing_country: null,
  };
}

export function bulkTokenizedWire(tokens: readonly Token[]): z.input<typeof bulkTokenizedResponse> {
  return { tokens: tokens.map(tokenWire), count: tokens.length };
}

export function tokenRowWire(token: Token): z.input<typeof tokenRowResponse> {
  return {
    ...tokenWire(token),
    created_by_api_key_id: token.createdByApiKeyId,
    created_by_user_id: token.createdByUserId,
  };
}

export function detokenizedWire(token: DetokenizedToken): z.input<typeof detokenizedResponse> {
  const value = token.value.reveal();
  return {
    ...rowlessWire(token),
    created_at: isoTimeOrNull(token.createdAtMs),
    value,
    value_b64: Buffer.from(value, 'utf8').toString('base64'),
    metadata: token.metadata,
    crypto_key_version: token.keyVersion,
  };
}
