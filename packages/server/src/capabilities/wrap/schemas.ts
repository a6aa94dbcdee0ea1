import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { hostEntryProblem, withoutRootDot } from '../../platform/egress/name-policy.js';
import { instantText } from '../../platform/http/pagination.js';
import { allowedHosts, newTerms, secretValue } from '../secrets/index.js';
import type { MadeCredential } from './credentials.js';
import type { MadeToken } from './service.js';
import type { WrapToken } from './store.js';

const rowId = z.string().meta({ format: 'uuid' });

export const credentialBody = z.strictObject({
  provider: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must have 1 to 64 of a-z 0-9 . _ -, a letter or digit first')
    .describe('Whose API it is for: it decides in which header gateway calls send it.')
    .meta({ examples: ['openai'] }),
  name: newTerms.name,
  value: secretValue.refine(
    (value) => /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/.test(value.reveal()),
    'must be what a header can hold: printable ASCII',
  ),
  hosts: allowedHosts.describe(
    'Where it may be sent: DNS names without scheme, port and path, or `*.example.com`.',
  ),
});

export const credentialResponse = z
  .object({
    secret_id: rowId,
    name: z.string(),
    provider: z.string(),
    allowed_hosts: z.array(z.string()),
    sandbox: z.boolean(),
  })
  .meta({ id: 'WrapCredential' });

export function credentialWire(made: MadeCredential): z.input<typeof credentialResponse> {
  return {
    secret_id: made.secretId,
    name: made.name,
    provider: made.provider,
    allowed_hosts: [...made.allowedHosts],
    sandbox: made.sandbox,
  };
}

const host = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .superRefine((value, context) => {
    const problem = value.includes('*') ? 'must be one host' : hostEntryProblem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  .transform((value) => withoutRootDot(value.toLowerCase()));

export const tokenBody = z
  .strictObject({
    secret: z
      .string()
      .min(1)
      .max(LIMITS.nameCharactersMax)
      .transform((text) => text.normalize('NFC').replace(/\s/gu, '_'))
      .describe('Name or id of a secret that is bound to hosts.'),
    host: host.optional().describe('The one that the token may call; absent: the only one of the secret.'),
    ttl_seconds: z
      .int('must be a whole number of seconds')
      .min(1, 'must be at least 1')
      .default(LIMITS.wrapTokenSecondsDefault)
      .describe(
        `Seconds until the token ends; brought within ${LIMITS.wrapTokenSecondsMin} and ${LIMITS.wrapTokenSecondsMax}.`,
      ),
    label: z.string().min(1).max(LIMITS.nameCharactersMax).nullable().default(null).describe('For people.'),
    style: z
      .enum(['path', 'subdomain'])
      .default('path')
      .describe(
        '`path`: the token stands in `base_url`. `subdomain`: `base_url` has a host of its own, and the token is sent as the API key.',
      ),
  })
  .transform((body) => ({
    secret: body.secret,
    host: body.host ?? null,
    ttlSeconds: body.ttl_seconds,
    label: body.label,
    style: body.style,
  }));

export const tokenParams = z.object({ id: z.string().min(1).max(64).describe('Of a gateway token.') });

export const madeTokenResponse = z
  .object({
    id: rowId,
    token: z.string().describe('Shown once.'),
    base_url: z.string().describe('In place of the base URL of the API.'),
    base_url_style: z.enum(['path', 'subdomain']),
    host: z.string(),
    secret_id: rowId,
    sandbox: z.boolean(),
    expires_at: instantText,
  })
  .meta({ id: 'NewWrapToken' });

export function madeTokenWire(made: MadeToken): z.input<typeof madeTokenResponse> {
  return {
    id: made.id,
    token: made.token.reveal(),
    base_url: made.baseUrl.reveal(),
    base_url_style: made.style,
    host: made.host,
    secret_id: made.secretId,
    sandbox: made.sandbox,
    expires_at: isoTime(made.expiresAtMs),
  };
}

export const tokensResponse = z
  .object({
    tokens: z.array(
      z.object({
        id: rowId,
        secret_id: rowId,
        host: z.string(),
        label: z.string().nullable(),
        created_at: instantText,
        expires_at: instantText,
        revoked_at: instantText.nullable(),
        last_used_at: instantText.nullable().describe('Late by up to a minute; null: never.'),
      }),
    ),
  })
  .meta({ id: 'WrapTokens' });

export function tokensWire(tokens: readonly WrapToken[]): z.input<typeof tokensResponse> {
  return {
    tokens: tokens.map((token) => ({
      id: token.id,
      secret_id: token.secretId,
      host: token.host,
      label: token.label,
      created_at: isoTime(token.createdAtMs),
      expires_at: isoTime(token.expiresAtMs),
      revoked_at: isoTimeOrNull(token.revokedAtMs),
      last_used_at: isoTimeOrNull(token.lastUsedAtMs),
    })),
  };
}

export const revokedResponse = z
  .object({ id: rowId, revoked: z.literal(true) })
  .meta({ id: 'RevokedWrapToken' });
