import { z } from 'zod';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import {
  createdKeyResponse,
  createdKeyWire,
  createKeyBody,
  deletedResponse,
  keyParams,
  keyResponse,
  keyWire,
  roleParams,
} from './schemas.js';
import type { AcmeKeys } from './service.js';

const PATH = '/v1/pki/roots/:name/roles/:role/acme-keys';

export function acmeKeyRoutes(acme: { readonly keys: AcmeKeys }): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: PATH,
      admin: 'bare',
      summary: 'List the keys with which ACME clients open accounts at a role',
      permission: 'pki:read',
      audit: null,
      params: roleParams,
      response: z.array(keyResponse),
      handle: async ({ caller, params }) =>
        (await acme.keys.list(caller, params.name, params.role)).map(keyWire),
    }),
    route({
      method: 'POST',
      path: PATH,
      admin: 'bare',
      summary: 'Make a key with which one ACME client opens an account at a role',
      permission: 'pki:write',
      audit: 'pki.role.update',
      params: roleParams,
      body: createKeyBody,
      response: createdKeyResponse,
      errors: ['privilege_escalation', 'conflict', 'tenant_sealed'],
      status: 201,
      noStore: true,
      handle: ({ caller, params, body }) => acme.keys.create(caller, params.name, params.role, body.label),
      wire: createdKeyWire,
    }),
    route({
      method: 'DELETE',
      path: `${PATH}/:kid`,
      admin: 'bare',
      summary: 'Delete such a key, and revoke the account that was opened with it',
      permission: 'pki:write',
      audit: 'pki.role.update',
      params: keyParams,
      response: deletedResponse,
      handle: ({ caller, params }) => acme.keys.delete(caller, params.name, params.role, params.kid),
      wire: () => ({ deleted: true }),
    }),
  ];
}
