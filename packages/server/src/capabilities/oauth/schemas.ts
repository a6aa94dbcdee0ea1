import { z } from 'zod';
import { LIMITS } from '../../kernel/limits.js';
import { instantText } from '../../platform/http/pagination.js';
import type { ExplainRequest } from './explain.js';

/** More than any of ours has, so that what is wrong with a longer one can be told. */
const TOKEN_CHARACTERS_MAX = 1_024;
const PROOF_CHARACTERS_MAX = 16 * 1_024;

export const explainBody = z
  .strictObject({
    token: z.string().min(1).max(TOKEN_CHARACTERS_MAX).optional().describe('An access token, `kc_…`.'),
    dpop_proof: z
      .string()
      .min(1)
      .max(PROOF_CHARACTERS_MAX)
      .optional()
      .describe('The value of a `DPoP` header.'),
    method: z.string().min(1).max(32).default('GET').describe('Of the call that the proof was made for.'),
    url: z
      .string()
      .min(1)
      .max(LIMITS.proxyUrlBytesMax)
      .default('')
      .describe('Of that call, its public origin and path.'),
  })
  .superRefine((body, context) => {
    if (body.token === undefined && body.dpop_proof === undefined)
      context.addIssue({ code: 'custom', path: ['token'], message: 'is required without dpop_proof' });
    if (body.dpop_proof !== undefined && body.url === '')
      context.addIssue({ code: 'custom', path: ['url'], message: 'is required with dpop_proof' });
  })
  .transform(
    (body): ExplainRequest => ({
      token: body.token ?? null,
      proof: body.dpop_proof ?? null,
      method: body.method,
      url: body.url,
    }),
  )
  .meta({ id: 'ExplainTokenRequest' });

export const explainResponse = z
  .object({
    ok: z.boolean().describe('Whether each check is.'),
    checks: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        reason: z.string().optional().describe('Why not.'),
      }),
    ),
  })
  .meta({ id: 'TokenExplanation' });

export const tokenParams = z.object({
  id: z
    .string()
    .min(1)
    .max(LIMITS.nameCharactersMax)
    .describe('`jti` of an introspection, or of the audit row.'),
});

const jkt = z.string().nullable().describe('Thumbprint of the key that it is bound to; null: Bearer.');
const ip = z.string().nullable().describe('Where it was asked for from.');

const tokenShape = z.object({
  id: z.string().meta({ format: 'uuid' }),
  grant_type: z.string(),
  scope: z.string(),
  cnf_jkt: jkt,
  ip_address: ip,
  issued_at: instantText,
  expires_at: instantText,
  revoked_at: instantText.nullable(),
});

export const lineageResponse = z
  .object({
    source: z.object({
      kind: z.string().describe('`api_key`, `client`, `user` or `binding`.'),
      api_key_id: z.string().nullable(),
      oauth_client_id: z.string().nullable(),
      user_id: z.string().nullable(),
      binding_id: z.string().nullable(),
    }),
    cnf_jkt: jkt,
    family: z
      .object({
        id: z.string().meta({ format: 'uuid' }),
        grant_type: z.string(),
        scope: z.string(),
        cnf_jkt: jkt,
        refreshes: z.number().describe('How many there were.'),
        created_at: instantText,
        idle_expires_at: instantText,
        expires_at: instantText,
        revoked_at: instantText.nullable(),
        revoked_reason: z.string().nullable(),
        tokens: z.array(tokenShape).describe('The newest access tokens, the oldest of them first.'),
      })
      .nullable()
      .describe('Null: no user consented to it.'),
    exchanges: z.array(tokenShape).describe('What it was exchanged for, itself, and what was given for it.'),
    refreshes: z
      .array(
        z.object({
          issued_at: instantText,
          used_at: instantText.nullable(),
          ip_address: ip,
        }),
      )
      .describe('Refresh tokens of the family, the newest of them, in their order.'),
  })
  .meta({ id: 'TokenLineage' });
