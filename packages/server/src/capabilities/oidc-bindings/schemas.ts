import { z } from 'zod';
import { isoTime, isoTimeOrNull } from '../../kernel/clock.js';
import type { Scope } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import { instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { KEY_PERMISSIONS } from '../permissions/index.js';
import { PROVIDERS } from './providers/profiles.js';
import type { BindingInput } from './service.js';
import type { BindingAccess, Claims, OidcBinding } from './store.js';

const CLAIM_NAME_CHARACTERS_MAX = 128;
const CLAIM_VALUES_MAX = 50;
const CLAIMS_MAX = 20;
const AUDIENCES_MAX = 10;
const STARS_MAX = 8;
/** They have a meaning of their own: what a binding says of them stands in `issuer`, `subject` and `audiences`. */
const RESERVED_CLAIMS = new Set(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', '__proto__']);

const text = z
  .string()
  .min(1)
  .refine((value) => !/\p{Surrogate}/u.test(value), 'must not hold half of a surrogate pair')
  .refine((value) => !/[\0-\x1f\x7f]/.test(value), 'must not hold control characters');
const shortText = text.max(LIMITS.nameCharactersMax);

const issuer = text
  .max(LIMITS.oidcIssuerCharactersMax)
  .refine(
    isIssuer,
    'must be an https: URL as tokens have it in `iss`: host in lower case, without user, query, fragment or default port',
  );

const subject = text
  .max(LIMITS.oidcSubjectCharactersMax)
  .refine((value) => value.split('*').length - 1 <= STARS_MAX, `must have at most ${STARS_MAX} stars`);

const claimValue = shortText.refine(
  (value) => !value.includes('*'),
  'is compared to the letter: a star stands for nothing here',
);

const claims = z
  .record(
    text
      .max(CLAIM_NAME_CHARACTERS_MAX)
      .refine((name) => !RESERVED_CLAIMS.has(name), 'is no claim that a binding can name here'),
    z.union([claimValue, z.array(claimValue).min(1).max(CLAIM_VALUES_MAX)]),
  )
  .refine((value) => Object.keys(value).length <= CLAIMS_MAX, `must have at most ${CLAIMS_MAX} claims`)
  .transform((value): Claims => {
    const lists = Object.entries(value).map(([name, values]) => [name, [...new Set([values].flat())]]);
    return Object.fromEntries(lists);
  });

const fields = {
  name: shortText.describe('For people.'),
  provider: z.enum(PROVIDERS).describe('Where the tokens come from; by default found by the issuer.'),
  issuer: issuer
    .describe('To the letter what the tokens have in `iss`.')
    .meta({ examples: ['https://token.actions.githubusercontent.com'] }),
  audiences: z
    .array(shortText)
    .min(1)
    .max(AUDIENCES_MAX)
    .transform((values) => [...new Set(values)])
    .describe(
      'One of them has to be in `aud`. By default `knoxcall:api:<slug>`, `knoxcall:api` and `knoxcall:gateway`.',
    ),
  subject: subject
    .nullable()
    .describe(
      'What the tokens have in `sub`, to the letter or with stars, each for any text between two of `:` and `/`; null: any.',
    )
    .meta({ examples: ['repo:acme/shop:ref:refs/heads/main'] }),
  claims: claims
    .describe('Claims that the tokens must have, each with the one value, or a list of those that will do.')
    .meta({ examples: [{ repository_id: '74' }] }),
  target: z
    .enum(['management', 'gateway'])
    .refine((target) => target === 'management', 'gateway: the AI gateway is not available in this version')
    .describe('What the tokens are for: `management` in this version.'),
  role_ids: z
    .array(z.uuid().toLowerCase())
    .max(LIMITS.keyRolesMax)
    .describe('Seeded roles for keys, of `/v1/roles`, that the tokens have.'),
  scopes: z
    .array(shortText.refine((name) => KEY_PERMISSIONS.has(name), 'is no permission that a token can hold'))
    .max(LIMITS.keyGrantsMax)
    .transform((names) => [...new Set(names)])
    .describe('Permissions one by one, in place of roles.'),
  agent_id: z
    .null('the AI gateway is not available in this version; leave it out or send null')
    .describe('Not available in this version: null or absent.'),
  ttl_seconds: z
    .number()
    .int()
    .min(LIMITS.oidcTtlSecondsMin)
    .max(LIMITS.oidcTtlSecondsMax)
    .describe('How long a token lives.'),
  enabled: z.boolean().describe('False: no token is given out, and those that were are good for nothing.'),
};

const ONE_OF_ACCESS = 'give either role_ids or scopes';

export const createBindingBody = z
  .strictObject({
    name: fields.name.optional(),
    provider: fields.provider.optional(),
    issuer: fields.issuer,
    audiences: fields.audiences.optional(),
    subject: fields.subject.default(null),
    claims: fields.claims.default({}),
    target: fields.target.default('management'),
    role_ids: fields.role_ids.optional(),
    scopes: fields.scopes.optional(),
    agent_id: fields.agent_id.default(null),
    ttl_seconds: fields.ttl_seconds.default(LIMITS.oidcTtlSecondsDefault),
    enabled: fields.enabled.default(true),
  })
  .superRefine(({ role_ids, scopes }, context) => {
    if ((role_ids === undefined) === (scopes === undefined))
      context.addIssue({ code: 'custom', path: ['role_ids'], message: ONE_OF_ACCESS });
  })
  .transform(({ name, provider, issuer, audiences, subject, claims, enabled, ...rest }): BindingInput => {
    const access = accessOf(rest) as BindingAccess;
    const { ttl_seconds: ttlSeconds } = rest;
    return { name, provider, issuer, audiences, subject, claims, access, ttlSeconds, enabled };
  });

export const updateBindingBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, 'must name at least one field to change')
  .superRefine(({ role_ids, scopes }, context) => {
    if (role_ids && scopes) context.addIssue({ code: 'custom', path: ['scopes'], message: ONE_OF_ACCESS });
  })
  .transform(({ target: _management, agent_id: _none, role_ids, scopes, ttl_seconds, ...rest }) => {
    const access = accessOf({ role_ids, scopes });
    return {
      ...rest,
      ...(access && { access }),
      ...(ttl_seconds !== undefined && { ttlSeconds: ttl_seconds }),
    } satisfies Partial<BindingInput>;
  });

function accessOf(body: {
  readonly role_ids?: readonly string[] | undefined;
  readonly scopes?: readonly string[] | undefined;
}): BindingAccess | undefined {
  if (body.role_ids) return { roleIds: [...new Set(body.role_ids)] };
  return body.scopes && { scopes: body.scopes };
}

/** OpenID Connect Discovery §4.3: compared to the letter, so it is taken only in the one form that a URL has. */
function isIssuer(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  const isPlain = url.protocol === 'https:' && !/[?#@\\\s]/.test(value);
  return isPlain && (url.href === value || url.href === `${value}/`);
}

export const bindingParams = z.object({ id: shortText.describe('Of the binding.') });

export const bindingListQuery = z.object({
  ...pageQuery,
  sort: z.enum(['created_at', 'name']).default('created_at').describe('What the rows are ordered by.'),
  order: orderQuery,
});

export const bindingResponse = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    provider: fields.provider,
    issuer: z.string(),
    audiences: z.array(z.string()),
    subject: z.string().nullable().describe('Null: any.'),
    claims: z
      .record(z.string(), z.union([z.string(), z.array(z.string())]))
      .describe('A list where several values will do.'),
    target: z.literal('management'),
    role_ids: z.array(z.string()).nullable().describe('Null where scopes are given.'),
    scopes: z.array(z.string()).nullable().describe('Null where roles are given.'),
    agent_id: z.null().describe('Null in this version.'),
    ttl_seconds: z.number().int(),
    enabled: z.boolean(),
    sandbox: z.boolean().describe('True in test mode.'),
    last_used_at: instantText.nullable().describe('Late by up to a minute; null: never.'),
    created_at: instantText,
    updated_at: instantText,
  })
  .meta({ id: 'OidcBinding' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function bindingWire({ sandbox }: Scope, binding: OidcBinding): z.input<typeof bindingResponse> {
  const { access } = binding;
  const claims = Object.entries(binding.claims).map(([name, values]) => [
    name,
    values.length === 1 ? values[0]! : [...values],
  ]);
  return {
    id: binding.id,
    name: binding.name,
    provider: binding.provider,
    issuer: binding.issuer,
    audiences: [...binding.audiences],
    subject: binding.subject,
    claims: Object.fromEntries(claims),
    target: 'management',
    role_ids: 'roleIds' in access ? [...access.roleIds] : null,
    scopes: 'scopes' in access ? [...access.scopes] : null,
    agent_id: null,
    ttl_seconds: binding.ttlSeconds,
    enabled: binding.enabled,
    sandbox,
    last_used_at: isoTimeOrNull(binding.lastUsedAtMs),
    created_at: isoTime(binding.createdAtMs),
    updated_at: isoTime(binding.updatedAtMs),
  };
}
