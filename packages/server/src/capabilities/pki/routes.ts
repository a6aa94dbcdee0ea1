import { z } from 'zod';
import { isoSeconds } from '../../kernel/clock.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { certificateRoutes } from './certificate-routes.js';
import {
  createRoleBody,
  deletedResponse,
  roleParams,
  roleResponse,
  roleWire,
  updateRoleBody,
} from './role-schemas.js';
import {
  certificatesText,
  createdRootResponse,
  createRootBody,
  emptyBody,
  listsText,
  retiredResponse,
  rootParams,
  rootResponse,
  rootWire,
  rotatedResponse,
} from './schemas.js';
import type { Pki } from './service.js';

const ROOTS = '/v1/pki/roots';

export function pkiRoutes(pki: Pki): RouteDefinition[] {
  return [...rootRoutes(pki), ...roleRoutes(pki), ...certificateRoutes(pki)];
}

function rootRoutes(pki: Pki): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: ROOTS,
      admin: 'bare',
      summary:
        'List certificate authorities; `_clients` is there from the first issued client certificate on',
      permission: 'pki:read',
      audit: null,
      response: z.array(rootResponse),
      async handle({ caller }) {
        const { scope } = caller.principal;
        return (await pki.roots.list(caller)).map((root) => rootWire(scope, root));
      },
    }),
    route({
      method: 'POST',
      path: ROOTS,
      admin: 'bare',
      summary: 'Make a root and its first issuing authority',
      permission: 'pki:write',
      audit: 'pki.root.create',
      body: createRootBody,
      response: createdRootResponse,
      errors: ['conflict', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => pki.roots.create(caller, body),
      wire: ({ root, issuing }, { caller }) => ({
        root: rootWire(caller.principal.scope, root),
        intermediate_not_after: isoSeconds(issuing.notAfterMs),
      }),
    }),
    route({
      method: 'GET',
      path: `${ROOTS}/:name/cert`,
      admin: 'bare',
      summary: 'Read the certificate of a root; of `_clients` also those before it that have not ended',
      permission: 'pki:read',
      audit: null,
      params: rootParams,
      response: certificatesText,
      text: 'text/x-pem-file',
      handle: ({ caller, params }) => pki.roots.rootsPem(caller, params.name),
    }),
    route({
      method: 'GET',
      path: `${ROOTS}/:name/crl`,
      admin: 'bare',
      summary: 'Read what the authorities of a root have revoked',
      permission: 'pki:read',
      audit: null,
      params: rootParams,
      response: listsText,
      text: 'text/plain',
      errors: ['tenant_sealed'],
      handle: ({ caller, params }) => pki.roots.listsPem(caller, params.name),
    }),
    route({
      method: 'POST',
      path: `${ROOTS}/:name/rotate-intermediate`,
      admin: 'bare',
      summary: 'Put a new issuing authority in the place of the present one',
      permission: 'pki:write',
      audit: 'pki.intermediate.rotate',
      params: rootParams,
      body: emptyBody,
      response: rotatedResponse,
      errors: ['forbidden', 'conflict', 'tenant_sealed'],
      handle: ({ caller, params }) => pki.roots.rotateIssuing(caller, params.name),
      wire: ({ id, notAfterMs }) => ({ intermediate_id: id, not_after: isoSeconds(notAfterMs) }),
    }),
    route({
      method: 'POST',
      path: `${ROOTS}/:name/retire`,
      admin: 'bare',
      summary: 'Retire a root: it signs nothing new, and goes on saying what it has revoked',
      permission: 'pki:write',
      audit: 'pki.root.retire',
      params: rootParams,
      body: emptyBody,
      response: retiredResponse,
      errors: ['forbidden'],
      handle: ({ caller, params }) => pki.roots.retire(caller, params.name),
      wire: () => ({ retired: true }),
    }),
  ];
}

function roleRoutes(pki: Pki): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: `${ROOTS}/:name/roles`,
      admin: 'bare',
      summary: 'List the roles of a root',
      permission: 'pki:read',
      audit: null,
      params: rootParams,
      response: z.array(roleResponse),
      errors: ['forbidden'],
      handle: async ({ caller, params }) => (await pki.roles.list(caller, params.name)).map(roleWire),
    }),
    route({
      method: 'POST',
      path: `${ROOTS}/:name/roles`,
      admin: 'bare',
      summary: 'Make a role: what may be issued below a root',
      permission: 'pki:write',
      audit: 'pki.role.create',
      params: rootParams,
      body: createRoleBody,
      response: roleResponse,
      errors: ['forbidden', 'privilege_escalation', 'conflict'],
      status: 201,
      handle: ({ caller, params, body }) => pki.roles.create(caller, params.name, body),
      wire: (role) => roleWire(role),
    }),
    route({
      method: 'PATCH',
      path: `${ROOTS}/:name/roles/:role`,
      admin: 'bare',
      summary: 'Change a role',
      permission: 'pki:write',
      audit: 'pki.role.update',
      params: roleParams,
      body: updateRoleBody,
      response: roleResponse,
      errors: ['forbidden', 'privilege_escalation', 'conflict'],
      handle: ({ caller, params, body }) => pki.roles.update(caller, params.name, params.role, body),
      wire: (role) => roleWire(role),
    }),
    route({
      method: 'DELETE',
      path: `${ROOTS}/:name/roles/:role`,
      admin: 'bare',
      summary: 'Delete a role; what was issued under it stays good',
      permission: 'pki:write',
      audit: 'pki.role.delete',
      params: roleParams,
      response: deletedResponse,
      errors: ['forbidden'],
      handle: ({ caller, params }) => pki.roles.delete(caller, params.name, params.role),
      wire: () => ({ deleted: true }),
    }),
  ];
}
