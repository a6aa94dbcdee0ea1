import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { USER_ROLES } from '../../kernel/principal.js';
import { instantText } from '../../platform/http/pagination.js';
import { FACTOR_METHODS } from './factors/types.js';
import { PASSWORD_CHARACTERS_MIN } from './passwords.js';
import { endOf, type Membership, type Session, type User } from './sessions/service.js';

const EMAIL_CHARACTERS_MAX = 254;
const REFRESH_TOKEN_CHARACTERS_MAX = 200;

const refreshToken = z
  .string()
  .min(1)
  .max(REFRESH_TOKEN_CHARACTERS_MAX)
  .describe('From the last answer; absent: the cookie is meant, with `X-CSRF-Token`.');

const passwordOf = (charactersMin: number) =>
  z
    .string()
    .min(charactersMin)
    .refine((text) => Buffer.byteLength(text) <= LIMITS.passwordBytesMax, {
      error: `must have at most ${LIMITS.passwordBytesMax} bytes`,
    })
    .describe(`At most ${LIMITS.passwordBytesMax} bytes.`);

export const presentPassword = passwordOf(1);

export const cookieSwitch = z
  .boolean()
  .default(true)
  .describe('False: the refresh token is in the answer, for a client that keeps no cookies.');

export const loginBody = z.object({
  email: z.string().trim().min(1).max(EMAIL_CHARACTERS_MAX),
  password: presentPassword,
  cookie: cookieSwitch,
});

export const passwordBody = z.object({
  current_password: presentPassword
    .optional()
    .describe('Absent: a step-up of at most 300 s in `X-KnoxCall-StepUp` stands for it.'),
  new_password: passwordOf(PASSWORD_CHARACTERS_MIN),
});

export const passwordChangedResponse = z.object({
  changed: z.literal(true),
  sessions_ended: z.number().describe('How many other sessions of the user there were.'),
});

export const refreshBody = z.object({ refresh_token: refreshToken.optional() });

export const sessionParams = z.object({ id: z.uuid().toLowerCase().describe('Of the session.') });

const userResponse = z.object({ id: z.string(), email: z.string(), created_at: instantText });

const tenantResponse = z.object({
  id: z.string(),
  slug: z.string().describe('Its name in host names.'),
  name: z.string(),
  role: z.enum(USER_ROLES).describe('Of the user in this tenant.'),
});

export const signedInResponse = z.object({
  token: z.string().describe('The admin token, for `Authorization: Bearer` under `/admin`.'),
  expires_in: z.number().describe('Seconds for which it is good.'),
  user: userResponse,
  tenants: z.array(tenantResponse),
  refresh_token: z
    .string()
    .optional()
    .describe('Gives the next token, once; absent where it is in a cookie.'),
});

export const secondFactorDueResponse = z.object({
  mfa_required: z.literal(true),
  mfa_token: z.string().describe('For `POST /admin/auth/mfa/verify`.'),
  expires_in: z.number().describe('Seconds for which it is good.'),
  methods: z.array(z.enum(FACTOR_METHODS)).describe('By which of them the sign-in can be finished.'),
});

export const signInResponse = z.union([signedInResponse, secondFactorDueResponse]);

export const loggedOutResponse = z.object({ logged_out: z.literal(true) });

export const meResponse = z.object({
  user: userResponse,
  tenants: z.array(tenantResponse),
  tenant_id: z.string().nullable().describe('The tenant that the call names, or the only one; else null.'),
  role: z.enum(USER_ROLES).nullable().describe('Of the user in that tenant.'),
  permissions: z.array(z.string()).describe('What the user may do in that tenant.'),
});

export const sessionsResponse = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      current: z.boolean().describe('The session that makes this call.'),
      amr: z
        .array(z.string())
        .describe('How the user proved who it is (RFC 8176; `email` = by a mailed link).'),
      ip_address: z.string().nullable().describe('Of the last sign-in or refresh.'),
      user_agent: z.string().nullable().describe('Of the last sign-in or refresh.'),
      created_at: instantText,
      last_used_at: instantText.describe('The last sign-in or refresh.'),
      expires_at: instantText.describe('When it ends unless it is used before.'),
    }),
  ),
});

export const sessionDeletedResponse = z.object({ deleted: z.literal(true) });

export function userWire(user: User): z.input<typeof userResponse> {
  return { id: user.id, email: user.email, created_at: isoTime(user.createdAtMs) };
}

export function tenantWire(membership: Membership): z.input<typeof tenantResponse> {
  const { tenantId, slug, name, role } = membership;
  return { id: tenantId, slug, name, role };
}

export function sessionWire(session: Session, isCurrent: boolean) {
  return {
    id: session.id,
    current: isCurrent,
    amr: [...session.amr],
    ip_address: session.ip,
    user_agent: session.userAgent,
    created_at: isoTime(session.createdAtMs),
    last_used_at: isoTime(session.lastUsedAtMs),
    expires_at: isoTime(endOf(session)),
  };
}
