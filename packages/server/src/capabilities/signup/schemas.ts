import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { instantText } from '../../platform/http/pagination.js';
import { isMailAddress } from '../../platform/mail/mail.js';
import { REGIONS } from '../accounts/index.js';
import type { SignupInput } from './service.js';

const EMAIL_CHARACTERS_MAX = 254;
const HANDLE_CHARACTERS_MAX = 200;
const SLUG_CHARACTERS_MAX = 63;

const name = z
  .string()
  .trim()
  .min(1)
  .max(LIMITS.nameCharactersMax)
  .refine((text) => !/[\p{Cc}\p{Zl}\p{Zp}\p{Surrogate}]/u.test(text), 'must be one line of text');

export const signupBody = z
  .strictObject({
    email: z
      .string()
      .trim()
      .max(EMAIL_CHARACTERS_MAX)
      .refine(isMailAddress, 'must be an e-mail address')
      .describe('Where the link goes that confirms.'),
    tenant_name: name.describe('Of the new tenant, for people.'),
    full_name: name.optional().describe('Of its owner; by default the name of the tenant.'),
    tenant_slug: z
      .string()
      .min(1)
      .max(SLUG_CHARACTERS_MAX)
      .optional()
      .describe('Its name in host names; by default made of its name.'),
    country: z
      .string()
      .regex(/^[A-Z]{2}$/, 'must be a country code of ISO 3166-1: two capital letters')
      .optional(),
    region: z.enum(REGIONS).optional().describe('Where the tenant is at home; it cannot be changed later.'),
  })
  .transform(
    ({ email, tenant_name, full_name, tenant_slug, country, region }): SignupInput => ({
      email,
      tenantName: tenant_name,
      fullName: full_name ?? tenant_name,
      tenantSlug: tenant_slug ?? null,
      country: country ?? null,
      region: region ?? null,
    }),
  );

export const claimBody = z.object({
  claim_handle: z.string().min(1).max(HANDLE_CHARACTERS_MAX).describe('From the answer to the signup.'),
});

const pending = {
  status: z.literal('pending'),
  message: z.string().describe('For people.'),
  poll_after_seconds: z.number().int().describe('When to ask again, in seconds.'),
  expires_at: instantText.describe('When handle and link are over.'),
};

export const signupResponse = z.object({
  ...pending,
  claim_handle: z.string().describe('Secret, shown once: it claims the account.'),
  claim_path: z.string(),
  documentation: z.string(),
});

export const claimResponse = z.discriminatedUnion('status', [
  z.object(pending),
  z.object({
    status: z.literal('ready'),
    tenant: z.object({
      id: z.string(),
      slug: z.string(),
      name: z.string(),
      region: z.enum(REGIONS).nullable(),
      plan: z.string(),
    }),
    starter: z.object({
      route: z.null().describe('Null in this version.'),
      api_key: z.object({
        id: z.string(),
        key_id: z.string(),
        api_key: z.string().describe('Shown once.'),
        key_prefix: z.string(),
        key_type: z.literal('test'),
      }),
      sandbox_host: z.string(),
      curl: z.string().describe('A first call with the key.'),
    }),
    sandbox: z.object({
      management_api: z.string(),
      proxy_host: z.string(),
      note: z.string().describe('For people.'),
    }),
    documentation: z.string(),
  }),
]);
