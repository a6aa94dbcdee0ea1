import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { instantText } from '../../platform/http/pagination.js';
import { KEY_PERMISSIONS } from '../permissions/index.js';
import { redirectUriProblem } from './redirect-uri.js';
import type { ClientChange, NewClient } from './service.js';
import { CLIENT_TYPES } from './store.js';

export const CLIENT_GRANTS = [
  'client_credentials',
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
] as const;

const permission = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .refine((name) => KEY_PERMISSIONS.has(name), 'is no permission that a client can hold');

const unique = <Item>(items: readonly Item[]): Item[] => [...new Set(items)];

const redirectUri = z
  .string()
  .max(LIMITS.redirectUriCharactersMax)
  .superRefine((value, context) => {
    const problem = redirectUriProblem(value);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  });

const terms = {
  name: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    // They turn the words around it on the page of consent.
    .refine(
      (name) => !/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(name),
      'must not hold characters that control how text is shown',
    )
    .describe('What users see at consent.'),
  allowed_scopes: z
    .array(permission)
    .max(KEY_PERMISSIONS.size)
    .transform(unique)
    .describe('The most that a token of the client may hold; the maker must hold all of it.'),
  redirect_uris: z
    .array(redirectUri)
    .max(LIMITS.redirectUrisMax)
    .transform(unique)
    .describe('Compared as texts. `https:`, or `http:` on loopback, there with any port.'),
  require_dpop: z.boolean().describe('Token requests need a DPoP proof.'),
  require_dpop_nonce: z.boolean().describe('Proofs need a nonce of the server (RFC 9449 §8).'),
  require_pkce: z.literal(true).describe('PKCE is asked of every client.'),
  token_format: z.literal('opaque').describe('There is no other.'),
  refresh_grace_seconds: z
    .number()
    .int()
    .min(0)
    .max(LIMITS.refreshGraceSecondsMax)
    .describe(
      'How long a used refresh token gets the same answer again, for clients that lose one; 0: not at all.',
    ),
  consent_html_template: z
    .string()
    .min(1)
    .max(LIMITS.consentTemplateCharactersMax)
    .nullable()
    .describe('Shown above the scopes at consent, without what could run or load; null: nothing.'),
  step_up_scopes: z
    .array(permission)
    .max(KEY_PERMISSIONS.size)
    .transform(unique)
    .describe('Scopes for which the user signs in anew at consent.'),
};

export const clientCreateBody = z
  .strictObject({
    ...terms,
    type: z.enum(CLIENT_TYPES).default('confidential').describe('`public`: it can keep no secret.'),
    grant_types: z
      .array(z.enum(CLIENT_GRANTS))
      .min(1)
      .max(CLIENT_GRANTS.length)
      .transform(unique)
      .optional()
      .describe('Default `client_credentials`, of a public client `authorization_code` and `refresh_token`.'),
    allowed_scopes: terms.allowed_scopes.default([]),
    redirect_uris: terms.redirect_uris.default([]),
    require_dpop: terms.require_dpop.default(false),
    require_dpop_nonce: terms.require_dpop_nonce.default(false),
    require_pkce: terms.require_pkce.default(true),
    token_format: terms.token_format.default('opaque'),
    refresh_grace_seconds: terms.refresh_grace_seconds.default(0),
    consent_html_template: terms.consent_html_template.default(null),
    step_up_scopes: terms.step_up_scopes.default([]),
  })
  .superRefine((body, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message });
    const grants = grantTypesOf(body);
    if (body.type === 'public' && grants.includes('client_credentials'))
      refuse('grant_types', 'a public client cannot have client_credentials');
    if (grants.includes('authorization_code') && body.redirect_uris.length === 0)
      refuse('redirect_uris', 'is required for authorization_code');
    const stray = body.step_up_scopes.find((scope) => !body.allowed_scopes.includes(scope));
    if (stray !== undefined) refuse('step_up_scopes', `${stray} is not in allowed_scopes`);
  })
  .transform(
    (body): NewClient => ({
      name: body.name,
      type: body.type,
      grantTypes: grantTypesOf(body),
      allowedScopes: body.allowed_scopes,
      redirectUris: body.redirect_uris,
      requireDpop: body.require_dpop,
      requireDpopNonce: body.require_dpop_nonce,
      refreshGraceSeconds: body.refresh_grace_seconds,
      consentHtmlTemplate: body.consent_html_template,
      stepUpScopes: body.step_up_scopes,
      isActive: true,
    }),
  )
  .meta({ id: 'CreateOAuthClientRequest' });

interface GrantFields {
  readonly type: NewClient['type'];
  readonly grant_types?: readonly string[] | undefined;
}

function grantTypesOf({ type, grant_types: asked }: GrantFields): readonly string[] {
  if (asked) return asked;
  return type === 'public' ? ['authorization_code', 'refresh_token'] : ['client_credentials'];
}

export const clientUpdateBody = z
  .strictObject({ ...terms, active: z.boolean().describe('False: neither it nor its tokens are let in.') })
  .partial()
  .transform(
    (body): ClientChange => ({
      name: body.name,
      allowedScopes: body.allowed_scopes,
      redirectUris: body.redirect_uris,
      requireDpop: body.require_dpop,
      requireDpopNonce: body.require_dpop_nonce,
      refreshGraceSeconds: body.refresh_grace_seconds,
      consentHtmlTemplate: body.consent_html_template,
      stepUpScopes: body.step_up_scopes,
      isActive: body.active,
    }),
  )
  .meta({ id: 'UpdateOAuthClientRequest' });

export const clientParams = z.object({ id: z.string().min(1).max(LIMITS.nameCharactersMax) });

const rowId = z.string().meta({ format: 'uuid' });
const clientId = z
  .string()
  .describe('What the client names itself by.')
  .meta({ examples: ['kcc_live_3fkq9tzw2bxc3fkq9tzw'] });
const clientSecret = z.string().describe('Here and never again.');

const rowFields = {
  id: rowId,
  client_id: clientId,
  name: z.string(),
  type: z.string().describe('`confidential` or `public`.'),
  grant_types: z.array(z.string()),
  allowed_scopes: z.array(z.string()),
  redirect_uris: z.array(z.string()),
  require_dpop: z.boolean(),
  require_dpop_nonce: z.boolean(),
  require_pkce: z.literal(true),
  token_format: z.literal('opaque'),
  refresh_grace_seconds: z.number(),
  active: z.boolean().describe('False once it is switched off or revoked.'),
  revoked_at: instantText.nullable(),
  created_at: instantText,
  last_used_at: instantText.nullable().describe('Late by up to a minute; null: never.'),
  source_api_key_id: z.null().describe('API keys are clients without a row.'),
  system_role: z.string().nullable().describe('`cli`: made by the server, and not to be changed.'),
};

export const clientRowResponse = z.object({ ...rowFields, source_key_type: z.null() }).meta({
  id: 'OAuthClientRow',
});

export const clientResponse = z
  .object({
    ...rowFields,
    step_up_scopes: z.array(z.string()),
    consent_html_template: z.string().nullable(),
  })
  .meta({ id: 'OAuthClient' });

export const clientCreatedResponse = z
  .object({
    id: rowId,
    client_id: clientId,
    client_secret: clientSecret.nullable(),
    type: z.string(),
    grant_types: z.array(z.string()),
    allowed_scopes: z.array(z.string()),
    redirect_uris: z.array(z.string()),
  })
  .meta({ id: 'CreatedOAuthClient' });

export const clientUpdatedResponse = z.object({ id: rowId }).meta({ id: 'UpdatedOAuthClient' });

export const clientSecretResponse = z
  .object({ client_id: clientId, client_secret: clientSecret })
  .meta({ id: 'RotatedClientSecret' });

export const clientRevokedResponse = z
  .object({ revoked: z.literal(true) })
  .meta({ id: 'RevokedOAuthClient' });
