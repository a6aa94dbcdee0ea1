import { z } from 'zod';
import { isUuid } from '../../kernel/ids.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Grant } from '../../kernel/principal.js';
import { instantQuery, instantText, orderQuery, pageQuery } from '../../platform/http/pagination.js';
import { KEY_PERMISSIONS, NARROWABLE } from '../permissions/index.js';
import type { NewApiKey } from './service.js';

export const keyListQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional().describe('The one order there is.'),
  order: orderQuery,
});

/** Wildcards are for roles alone, and what only users hold is never a key's (auth.md §1.5). */
const permission = z
  .string()
  .max(LIMITS.nameCharactersMax)
  .refine((name) => KEY_PERMISSIONS.has(name), 'is no permission that a key can hold');

const grant = z
  .strictObject({
    permission,
    resource: z
      .string()
      .min(1)
      .max(LIMITS.nameCharactersMax)
      .nullable()
      .default(null)
      .describe('The one vault, or connection, that is meant, by its name; null: all.'),
  })
  .superRefine(({ permission, resource }, context) => {
    if (resource === null) return;
    const refuse = (message: string) => context.addIssue({ code: 'custom', path: ['resource'], message });
    const form = NARROWABLE.get(permission);
    if (!form) refuse(`cannot narrow ${permission}`);
    else if (isUuid(resource)) refuse('must be a name, not an id');
    else if (!form.test(resource)) refuse(`must match ${form.source}`);
  });

const rateLimitPart = z.number().int().min(1).max(LIMITS.keyRateLimitMax).nullable().default(null);
const REQUESTS = 'Requests in a window; null: the limit of the plan.';
const WINDOW = 'Length of that window in seconds.';

const fields = {
  name: z
    .string()
    .trim()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .describe('What the key is for.')
    .meta({ examples: ['payments service'] }),
  role_ids: z
    .array(z.uuid().toLowerCase())
    .max(LIMITS.keyRolesMax)
    .optional()
    .describe(
      'Seeded roles for keys, of `/v1/roles`. Without roles, grants or scopes: what the maker holds.',
    ),
  grants: z
    .array(grant)
    .max(LIMITS.keyGrantsMax)
    .optional()
    .describe('Permissions one by one, in place of roles.'),
  rate_limit_requests: rateLimitPart.describe(REQUESTS),
  rate_limit_window_sec: rateLimitPart.describe(WINDOW),
};

export const keyCreateBody = z
  .strictObject(fields)
  .superRefine(refuseContradictions)
  .transform((body): NewApiKey => ({ ...newKeyOf(body), type: null, expiresAtMs: null }));

/** The dashboard's: there alone an access key can be asked for (auth.md §1.3). */
export const adminKeyCreateBody = z
  .strictObject({
    ...fields,
    key_type: z
      .enum(['standard', 'test', 'access_key'])
      .nullable()
      .default(null)
      .describe('Null: `standard` in live mode, `test` in test mode.'),
    scopes: z
      .array(permission)
      .max(LIMITS.keyGrantsMax)
      .optional()
      .describe('Permissions of an access key, in place of roles.'),
    expires_at: instantQuery.nullable().default(null),
  })
  .superRefine((body, context) => {
    refuseContradictions(body, context);
    if (body.key_type === 'access_key') return;
    const message = 'is for keys of the type access_key';
    if (body.scopes) context.addIssue({ code: 'custom', path: ['scopes'], message });
    if (body.expires_at !== null) context.addIssue({ code: 'custom', path: ['expires_at'], message });
  })
  .transform((body): NewApiKey => ({ ...newKeyOf(body), type: body.key_type, expiresAtMs: body.expires_at }))
  .meta({ id: 'CreateApiKeyOfUserRequest' });

interface KeyFields {
  readonly name: string;
  readonly role_ids?: readonly string[] | undefined;
  readonly grants?: readonly Grant[] | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly rate_limit_requests: number | null;
  readonly rate_limit_window_sec: number | null;
}

function refuseContradictions(body: KeyFields, context: z.RefinementCtx): void {
  const refuse = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [field], message });
  const [, ...others] = (['role_ids', 'grants', 'scopes'] as const).filter((field) => body[field]);
  for (const other of others) refuse(other, 'only one of role_ids, grants and scopes can be given');
  const [requests, window] = [body.rate_limit_requests, body.rate_limit_window_sec];
  if (requests !== null && window === null)
    refuse('rate_limit_window_sec', 'is required with rate_limit_requests');
  if (window !== null && requests === null)
    refuse('rate_limit_requests', 'is required with rate_limit_window_sec');
}

function newKeyOf(body: KeyFields): Pick<NewApiKey, 'name' | 'access' | 'rateLimit'> {
  const {
    name,
    role_ids: roleIds,
    rate_limit_requests: requests,
    rate_limit_window_sec: windowSeconds,
  } = body;
  const grants = body.grants ?? body.scopes?.map((permission) => ({ permission, resource: null }));
  return {
    name,
    access: roleIds ? { roleIds } : grants ? { grants } : 'inherited',
    rateLimit: requests === null || windowSeconds === null ? null : { requests, windowSeconds },
  };
}

export const keyParams = z.object({
  id: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Row id or key id.'),
});

const keyId = z
  .string()
  .describe('The public half of the key, safe in logs.')
  .meta({ examples: ['tk_live_3fkq9tzw2bxc'] });
const keyType = z.string().describe('`standard` or `access_key` of live mode, `test` of test mode.');
/** Of an access key alone, and the expiry also of a key that one with an expiry made. */
const accessKeyFields = {
  scopes: z.array(z.string()).optional().describe('The permissions of an access key.'),
  expires_at: instantText.nullable().optional().describe('When the key ends by itself; null: never.'),
};
const rowId = z.string().meta({ format: 'uuid' });

export const keyRowResponse = z
  .object({
    id: rowId,
    key_id: keyId,
    key_prefix: z.string().describe('The beginning of the key, for people.'),
    key_type: keyType,
    name: z.string(),
    active: z.boolean().describe('False once it is revoked or has ended.'),
    created_at: instantText,
    last_used_at: instantText.nullable().describe('Late by up to a minute; null: never.'),
    rate_limit_requests: z.number().nullable().describe(REQUESTS),
    rate_limit_window_sec: z.number().nullable().describe(WINDOW),
    ...accessKeyFields,
  })
  .meta({ id: 'ApiKey' });

export const keyCreatedResponse = z
  .object({
    id: rowId,
    key_id: keyId,
    api_key: z.string().describe('The key itself: here and never again.'),
    key_prefix: z.string().describe('The beginning of the key, for people.'),
    key_type: keyType,
    name: z.string(),
    role_ids: z.array(z.string()).describe('Roles that the call asked for.'),
    message: z.string().describe('For people.'),
    ...accessKeyFields,
  })
  .meta({ id: 'CreatedApiKey' });

export const keyRevokedResponse = z.object({ revoked: z.literal(true) }).meta({ id: 'Revoked' });
