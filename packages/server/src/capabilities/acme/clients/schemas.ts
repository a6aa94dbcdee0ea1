import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import { instantText, orderQuery, pageQuery } from '../../../platform/http/pagination.js';
import { keyIdOf, type ListedAccount } from '../account-store.js';
import { roleParams } from '../keys/schemas.js';

const status = z.enum(['valid', 'deactivated', 'revoked']);

export const accountParams = roleParams.extend({
  account: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Id of the account.'),
});

export const accountListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').default('created_at').describe('The one order there is.'),
  order: orderQuery,
  status: status.optional().describe('Only these.'),
});

export const emptyBody = z.strictObject({});

export const accountResponse = z
  .object({
    id: z
      .string()
      .meta({ format: 'uuid' })
      .describe('Ends the URL of the account; stands with its certificates.'),
    status: status.describe('`deactivated` by the client, `revoked` by the tenant.'),
    thumbprint: z.string().describe('Of its key, by RFC 7638.'),
    contacts: z.array(z.string()).describe('As the client says; nobody has proven them.'),
    kid: z.string().nullable().describe('Of the ACME key that has vouched for it; null where none has.'),
    created_at: instantText,
    ended_at: instantText.nullable(),
  })
  .meta({ id: 'AcmeAccount' });

export function accountWire(account: ListedAccount): z.input<typeof accountResponse> {
  return {
    id: account.id,
    status: account.status,
    thumbprint: account.thumbprint,
    contacts: [...account.contacts],
    kid: keyIdOf(account),
    created_at: isoTime(account.createdAtMs),
    ended_at: isoTimeOrNull(account.endedAtMs),
  };
}
