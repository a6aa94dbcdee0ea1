import type { InvitationId, TenantId, UserId } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { splitAuthorization } from '../../../platform/http/authorization.js';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import type { Invitations } from './invitations.js';
import {
  acceptBody,
  acceptedResponse,
  acceptedWire,
  deletedResponse,
  invitationParams,
  invitationResponse,
  invitationWire,
  inviteBody,
  memberParams,
  memberResponse,
  memberWire,
  roleBody,
  teamQuery,
  tenantParams,
} from './schemas.js';
import type { Team } from './service.js';

export interface TeamRoutesDeps {
  readonly team: Team;
  readonly invitations: Invitations;
}

export function teamRoutes({ team, invitations }: TeamRoutesDeps): RouteDefinition[] {
  return [...memberRoutes(team), ...invitationRoutes(invitations)];
}

function memberRoutes(team: Team): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/admin/team',
      summary: 'List who belongs to the tenant',
      permission: 'team:read',
      audit: null,
      query: teamQuery,
      response: memberResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const found = await team.list(caller, { ...query, perPage: query.per_page });
        return { ...found, rows: found.rows.map(memberWire) };
      },
    }),
    route({
      method: 'PATCH',
      path: '/admin/team/:id',
      summary: 'Give a member another role',
      permission: 'team:write',
      audit: 'team.role_change',
      errors: ['conflict', 'forbidden', 'privilege_escalation'],
      params: memberParams,
      body: roleBody,
      response: memberResponse,
      handle: ({ caller, params, body }) =>
        team.changeRole(caller, params.id.toLowerCase() as UserId, body.role),
      wire: memberWire,
    }),
    route({
      method: 'DELETE',
      path: '/admin/team/:id',
      summary: 'Remove a member',
      permission: 'team:write',
      audit: 'team.remove',
      errors: ['conflict', 'forbidden'],
      params: memberParams,
      response: deletedResponse,
      handle: ({ caller, params }) => team.remove(caller, params.id.toLowerCase() as UserId),
    }),
    route({
      method: 'DELETE',
      path: '/admin/tenants/:id/membership',
      summary: 'Leave a tenant, whatever the role; the last Owner stays',
      access: 'session',
      permission: null,
      audit: 'team.remove',
      errors: ['conflict'],
      params: tenantParams,
      response: deletedResponse,
      async handle({ caller, params }) {
        await team.leave(caller, params.id.toLowerCase() as TenantId);
        return { deleted: true };
      },
    }),
  ];
}

function invitationRoutes(invitations: Invitations): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/admin/invitations',
      summary: 'List invitations that nobody has accepted yet',
      permission: 'team:read',
      audit: null,
      query: teamQuery,
      response: invitationResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const found = await invitations.list(caller, { ...query, perPage: query.per_page });
        return { ...found, rows: found.rows.map(invitationWire) };
      },
    }),
    route({
      method: 'POST',
      path: '/admin/invitations',
      summary: 'Invite somebody by e-mail',
      permission: 'team:write',
      audit: 'team.invite',
      errors: ['conflict', 'privilege_escalation', 'rate_limit_exceeded'],
      status: 201,
      body: inviteBody,
      response: invitationResponse,
      handle: ({ caller, body }) => invitations.invite(caller, body.email, body.role),
      wire: invitationWire,
    }),
    route({
      method: 'POST',
      path: '/admin/invitations/:id/resend',
      summary: 'Send an invitation again, with a new link',
      permission: 'team:write',
      audit: 'team.invite',
      errors: ['privilege_escalation', 'rate_limit_exceeded'],
      params: invitationParams,
      response: invitationResponse,
      handle: ({ caller, params }) => invitations.resend(caller, idOf(params)),
      wire: invitationWire,
    }),
    route({
      method: 'DELETE',
      path: '/admin/invitations/:id',
      summary: 'Revoke an invitation',
      permission: 'team:write',
      audit: 'team.revoke_invitation',
      params: invitationParams,
      response: deletedResponse,
      handle: ({ caller, params }) => invitations.revoke(caller, idOf(params)),
    }),
    route({
      method: 'POST',
      path: '/admin/invitations/accept',
      summary: 'Accept an invitation by the token of its link',
      access: 'public',
      permission: null,
      audit: 'team.accept',
      errors: ['not_found', 'conflict', 'invalid_credentials', 'invalid_token', 'rate_limit_exceeded'],
      body: acceptBody,
      response: acceptedResponse,
      async handle({ caller, headers, body }) {
        const { scheme, credential } = splitAuthorization(headers.authorization ?? '');
        const token = scheme === 'bearer' && credential !== '' ? credential : null;
        const password = body.password === undefined ? null : new Secret(body.password);
        return acceptedWire(await invitations.accept(new Secret(body.token), { password, token }, caller));
      },
    }),
  ];
}

function idOf({ id }: { readonly id: string }): InvitationId {
  return id.toLowerCase() as InvitationId;
}
