import { z } from 'zod';
import { isoTime } from '../../kernel/clock.js';
import { LIMITS } from '../../kernel/limits.js';
import { USER_ROLES } from '../../kernel/principal.js';
import { endOf, type Membership, type Session, type User } from './sessions/service.js';

const EMAIL_CHARACTERS_MAX = 254;
const REFRESH_TOKEN_CHARACTERS_MAX = 200;

const refreshToken = z.string().min(1).max(REFRESH_TOKEN_CHARACTERS_MAX);

export const loginBody = z.object({
  email: z.string().trim().min(1).max(EMAIL_CHARACTERS_MAX),
  password: z
    .string()
    .min(1)
    .refine((text) => Buffer.byteLength(text) <= LIMITS.passwordBytesMax, {
      error: `must have at most ${LIMITS.passwordBytesMax} bytes`,
    }),
  /** False: the refresh token is in the answer, for a client that keeps no cookies. */
  cookie: z.boolean().default(true),
});

/** Without the token the cookie is meant. */
export const refreshBody = z.object({ refresh_token: refreshToken.optional() });

export const sessionParams = z.object({ id: z.uuid().toLowerCase() });

const userResponse = z.object({ id: z.string(), email: z.string(), created_at: z.string() });

const tenantResponse = z.object({
  id: z.string(),
  slug: z.string(),
  name: z.string(),
  role: z.enum(USER_ROLES),
});

export const signedInResponse = z.object({
  token: z.string(),
  expires_in: z.number(),
  user: userResponse,
  tenants: z.array(tenantResponse),
  refresh_token: z.string().optional(),
});

export const loggedOutResponse = z.object({ logged_out: z.literal(true) });

export const meResponse = z.object({
  user: userResponse,
  tenants: z.array(tenantResponse),
  tenant_id: z.string().nullable(),
  role: z.enum(USER_ROLES).nullable(),
  permissions: z.array(z.string()),
});

export const sessionsResponse = z.object({
  sessions: z.array(
    z.object({
      id: z.string(),
      current: z.boolean(),
      amr: z.array(z.string()),
      ip_address: z.string().nullable(),
      user_agent: z.string().nullable(),
      created_at: z.string(),
      last_used_at: z.string(),
      expires_at: z.string(),
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
