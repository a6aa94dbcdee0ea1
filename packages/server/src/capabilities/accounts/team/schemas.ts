import { z } from 'zod';
import { isoTime } from '../../../kernel/clock.js';
import { LIMITS } from '../../../kernel/limits.js';
import { USER_ROLES } from '../../../kernel/principal.js';
import { instantText, orderQuery, pageQuery } from '../../../platform/http/pagination.js';
import type { Acceptance } from './invitations.js';
import type { Invitation, TeamMember } from './store.js';

const role = z.enum(USER_ROLES);

export const teamQuery = z.object({
  ...pageQuery,
  sort: z.literal('created_at').optional().describe('The one order there is.'),
  order: orderQuery,
});
export const memberParams = z.object({ id: z.string().min(1).max(64).describe('Of the user.') });
export const tenantParams = z.object({ id: z.string().min(1).max(64).describe('Of the tenant.') });
export const invitationParams = z.object({ id: z.string().min(1).max(64).describe('Of the invitation.') });
export const roleBody = z.object({ role });
export const inviteBody = z.object({ email: z.string().trim().min(1).max(254), role });

export const acceptBody = z.object({
  token: z.string().min(1).max(200).describe('Of the link in the mail.'),
  password: z
    .string()
    .min(1)
    .refine((text) => Buffer.byteLength(text) <= LIMITS.passwordBytesMax, {
      error: `must have at most ${LIMITS.passwordBytesMax} bytes`,
    })
    .optional()
    .describe(
      'Of the account of that address; where there is none, the one that it gets. Not needed where it is signed in.',
    ),
});

export const memberResponse = z.object({
  id: z.string().describe('Of the user.'),
  email: z.string(),
  role,
  joined_at: instantText,
});

export const invitationResponse = z.object({
  id: z.string(),
  email: z.string(),
  role,
  invited_by: z.string().describe('Id of the user.'),
  created_at: instantText,
  sent_at: instantText,
  expires_at: instantText,
});

export const deletedResponse = z.object({ deleted: z.literal(true) });

export const acceptedResponse = z.object({
  tenant: z.object({ id: z.string(), slug: z.string(), name: z.string() }),
  email: z.string(),
  role,
  new_account: z.boolean(),
});

export function memberWire({ userId, email, role, joinedAtMs }: TeamMember) {
  return { id: userId, email, role, joined_at: isoTime(joinedAtMs) };
}

export function invitationWire(invitation: Invitation) {
  return {
    id: invitation.id,
    email: invitation.email,
    role: invitation.role,
    invited_by: invitation.invitedBy,
    created_at: isoTime(invitation.createdAtMs),
    sent_at: isoTime(invitation.sentAtMs),
    expires_at: isoTime(invitation.expiresAtMs),
  };
}

export function acceptedWire({ tenant, email, role, isNewAccount }: Acceptance) {
  return {
    tenant: { id: tenant.id, slug: tenant.slug, name: tenant.name },
    email,
    role,
    new_account: isNewAccount,
  };
}
