import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { readName } from './names.js';
import type { CaRole, RoleTerms } from './roles.js';
import { keyAlgorithm, mountName, rootParams } from './schemas.js';

/** That of a name, and of one with dots and a star before the conversion to A-labels. */
const DOMAIN_CHARACTERS_MAX = 255;

export const roleParams = z.object({
  ...rootParams.shape,
  role: z.string().min(1).max(LIMITS.nameCharactersMax).describe('Name or id of a role of the root.'),
});

const domain = z
  .string()
  .min(1)
  .max(DOMAIN_CHARACTERS_MAX)
  .transform((text, context) => {
    const reading = readName(text);
    if ('name' in reading) return reading.name;
    context.addIssue({ code: 'custom', message: `${JSON.stringify(text)} ${reading.problem}` });
    return z.NEVER;
  });

const ttl = z.number().int().min(1).max(LIMITS.pkiTtlSecondsMax);

const fields = {
  role_name: mountName.describe('By which it is called in paths.').meta({ examples: ['web'] }),
  allowed_domains: z
    .array(domain)
    .max(LIMITS.pkiDomainsMax)
    .transform((domains) => [...new Set(domains)])
    .describe('Domains, each itself or with `*.` in front for one label below it. Empty: nothing is issued.')
    .meta({ examples: [['example.internal', '*.example.internal']] }),
  allow_subdomains: z.boolean().describe('Whatever lies below an allowed domain is allowed too.'),
  allow_wildcards: z.boolean().describe('A certificate may itself be for `*.example.internal`.'),
  allow_ip_sans: z
    .boolean()
    .describe('A certificate may be for IP addresses, which allowed_domains does not judge.'),
  allow_acme: z.boolean().describe('ACME clients may use the role.'),
  acme_require_eab: z
    .boolean()
    .describe('An ACME account needs a key that was made for it (external account binding).'),
  max_ttl_seconds: ttl.describe('No certificate lives longer.'),
  default_ttl_seconds: ttl.describe('How long one lives that is asked for without a time.'),
  key_algorithm: keyAlgorithm.describe(
    'Of the keys that issuing makes; a request for signing brings its own.',
  ),
};

const TTL_RULE = 'must not be more than max_ttl_seconds';

export const createRoleBody = z
  .strictObject({
    role_name: fields.role_name,
    allowed_domains: fields.allowed_domains.default([]),
    allow_subdomains: fields.allow_subdomains.default(false),
    allow_wildcards: fields.allow_wildcards.default(false),
    allow_ip_sans: fields.allow_ip_sans.default(true),
    allow_acme: fields.allow_acme.default(false),
    acme_require_eab: fields.acme_require_eab.default(true),
    max_ttl_seconds: fields.max_ttl_seconds.default(LIMITS.pkiTtlSecondsMaxDefault),
    default_ttl_seconds: fields.default_ttl_seconds
      .optional()
      .describe(`By default ${LIMITS.pkiTtlSecondsDefault}, or max_ttl_seconds where that is less.`),
    key_algorithm: fields.key_algorithm.default('ecdsa-p256'),
  })
  .transform((body, context): RoleTerms => {
    const { max_ttl_seconds: max, default_ttl_seconds: given } = body;
    if (given !== undefined && given > max)
      context.addIssue({ code: 'custom', path: ['default_ttl_seconds'], message: TTL_RULE });
    const ttlSeconds = given ?? Math.min(LIMITS.pkiTtlSecondsDefault, max);
    return termsOf({ ...body, default_ttl_seconds: ttlSeconds }) as RoleTerms;
  });

export const updateRoleBody = z
  .strictObject(fields)
  .partial()
  .refine((body) => Object.keys(body).length > 0, {
    error: 'must name at least one field to change',
    when: ({ issues }) => issues.length === 0,
  })
  .transform((body): Partial<RoleTerms> => termsOf(body));

type Wire = { readonly [Field in keyof typeof fields]?: z.output<(typeof fields)[Field]> | undefined };

/** Only what was sent. */
function termsOf(body: Wire): Partial<RoleTerms> {
  const terms = {
    name: body.role_name,
    allowedDomains: body.allowed_domains,
    allowSubdomains: body.allow_subdomains,
    allowWildcards: body.allow_wildcards,
    allowIpSans: body.allow_ip_sans,
    allowAcme: body.allow_acme,
    acmeRequireEab: body.acme_require_eab,
    maxTtlSeconds: body.max_ttl_seconds,
    defaultTtlSeconds: body.default_ttl_seconds,
    keyAlgorithm: body.key_algorithm,
  };
  return Object.fromEntries(Object.entries(terms).filter(([, term]) => term !== undefined));
}

export const roleResponse = z
  .object({
    id: z.string().meta({ format: 'uuid' }),
    ca_root_id: z.string().meta({ format: 'uuid' }),
    name: z.string(),
    allowed_domains: z.array(z.string()).describe('In lower case and A-labels.'),
    allow_subdomains: z.boolean(),
    allow_wildcards: z.boolean(),
    allow_ip_sans: z.boolean(),
    allow_acme: z.boolean(),
    acme_require_eab: z.boolean(),
    max_ttl_seconds: z.number().int(),
    default_ttl_seconds: z.number().int(),
    key_algorithm: z.string(),
  })
  .meta({ id: 'CaRole' });

export const deletedResponse = z.object({ deleted: z.literal(true) }).meta({ id: 'Deleted' });

export function roleWire(role: CaRole): z.input<typeof roleResponse> {
  return {
    id: role.id,
    ca_root_id: role.rootId,
    name: role.name,
    allowed_domains: [...role.allowedDomains],
    allow_subdomains: role.allowSubdomains,
    allow_wildcards: role.allowWildcards,
    allow_ip_sans: role.allowIpSans,
    allow_acme: role.allowAcme,
    acme_require_eab: role.acmeRequireEab,
    max_ttl_seconds: role.maxTtlSeconds,
    default_ttl_seconds: role.defaultTtlSeconds,
    key_algorithm: role.keyAlgorithm,
  };
}
