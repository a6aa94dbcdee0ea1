import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { JsonText } from '../../kernel/json-text.js';
import { LIMITS } from '../../kernel/limits.js';
import { decryptBody } from '../crypto-keys/index.js';
import { requireWholeCardExpiry, tokenizeFields, tokenParams, vaultReference } from '../vaults/index.js';
import type { MadeClientToken } from './service.js';

export const createTokenBody = z.object({
  action: z.enum(['decrypt', 'detokenize', 'tokenize']).describe('What the token lets its holder do, once.'),
  data: z
    .instanceof(JsonText)
    .optional()
    .describe(
      'Of `decrypt` the data, of `detokenize` the token that may be opened, and nothing else; not of `tokenize`.',
    ),
  role: z
    .string()
    .max(LIMITS.nameCharactersMax)
    .optional()
    .describe('Of `decrypt`: the role that the data is opened with; absent: whichever is sent.'),
  vault: vaultReference
    .optional()
    .describe(
      'Name or id; of `tokenize`, where it is due, and of `detokenize`: absent there, the caller names it.',
    ),
  origins: z
    .array(z.string().max(LIMITS.originCharactersMax))
    .min(1, 'must have 1 to 10 entries')
    .max(LIMITS.clientTokenOriginsMax, 'must have 1 to 10 entries')
    .optional()
    .describe(
      'Of `tokenize`: exact `https://host` or `https://host:port` of the pages that may use the token.',
    ),
  ttl_seconds: z
    .int('must be a whole number of seconds')
    .min(1, 'must be at least 1')
    .default(LIMITS.clientTokenSecondsDefault)
    .describe(`Seconds until the token ends; more than ${LIMITS.clientTokenSecondsMax} are as many as that.`),
});
export type CreateTokenBody = z.output<typeof createTokenBody>;

export const clientTokenResponse = z
  .object({
    token: z.string().describe('Shown once.'),
    expires_at: z.iso.datetime(),
    action: z.string(),
    vault_id: z.uuid().optional(),
    origins: z.array(z.string()).optional().describe('As browsers write them, each once, sorted.'),
  })
  .meta({ id: 'ClientToken' });

export const clientDecryptBody = decryptBody;
export const clientDetokenizeBody = z.object({
  vault: vaultReference,
  token: tokenParams.shape.idOrToken,
});
/** What a form in a page knows; metadata and lifetime are no business of its. */
export const clientTokenizeBody = z
  .object({
    vault: vaultReference,
    value: tokenizeFields.value,
    card_exp_month: tokenizeFields.card_exp_month,
    card_exp_year: tokenizeFields.card_exp_year,
  })
  .superRefine(requireWholeCardExpiry);

export function clientTokenWire(made: MadeClientToken): z.input<typeof clientTokenResponse> {
  return {
    token: made.token.reveal(),
    expires_at: isoTime(made.expiresAtMs),
    action: made.action,
    ...(made.vaultId !== null && { vault_id: made.vaultId }),
    ...(made.origins !== null && { origins: [...made.origins] }),
  };
}
