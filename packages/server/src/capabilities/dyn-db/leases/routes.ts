import { type RouteDefinition, route } from '../../../platform/http/route.js';
import { DATABASE_ERRORS } from '../errors.js';
import { requireForce } from '../force.js';
import { leaseParams, roleParams } from '../schemas.js';
import {
  acceptedResponse,
  leaseDetailResponse,
  leaseDetailWire,
  leaseIdOf,
  leaseListQuery,
  leaseListResponse,
  leaseListWire,
  mintBody,
  mintedResponse,
  mintedWire,
  renewBody,
  renewedResponse,
  renewedWire,
  revokeBody,
  revokedResponse,
  revokeManyBody,
} from './schemas.js';
import type { Leases } from './service.js';

const PATH = '/v1/dyn-db-credentials';

export function leaseRoutes(dynDb: { readonly leases: Leases }): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: `${PATH}/:name/creds/:role`,
      summary: 'Mint a credential: a database user that lives as long as its lease',
      operationId: 'mintDatabaseCredential',
      permission: 'dyn-db:mint',
      audit: 'dyn_db.credential.mint',
      params: roleParams,
      body: mintBody,
      response: mintedResponse,
      errors: ['conflict', 'connection_disabled', 'plan_limit', ...DATABASE_ERRORS],
      noStore: true,
      handle: ({ caller, params, body }) =>
        dynDb.leases.mint(caller, params.name, params.role, body.ttl_seconds),
      wire: mintedWire,
    }),
    route({
      method: 'GET',
      path: `${PATH}/leases`,
      summary: 'List leases, the newest first',
      permission: 'dyn-db:read',
      audit: null,
      query: leaseListQuery,
      response: leaseListResponse,
      handle: async ({ caller, query }) => leaseListWire(await dynDb.leases.list(caller, query)),
    }),
    route({
      method: 'GET',
      path: `${PATH}/leases/:id`,
      summary: 'Read a lease in any state',
      permission: 'dyn-db:read',
      audit: null,
      params: leaseParams,
      response: leaseDetailResponse,
      handle: async ({ caller, params }) =>
        leaseDetailWire(await dynDb.leases.get(caller, leaseIdOf(params.id))),
    }),
    route({
      method: 'POST',
      path: `${PATH}/leases/:id/renew`,
      summary: 'Let a lease live longer',
      permission: 'dyn-db:revoke',
      audit: 'dyn_db.lease.renew',
      params: leaseParams,
      body: renewBody,
      response: renewedResponse,
      errors: ['conflict', ...DATABASE_ERRORS],
      handle: async ({ caller, params, body }) =>
        dynDb.leases.renew(caller, leaseIdOf(params.id), body.ttl_seconds),
      wire: renewedWire,
    }),
    route({
      method: 'POST',
      path: `${PATH}/leases/:id/revoke`,
      summary: 'End a lease and drop its user, now',
      operationId: 'revokeDatabaseLease',
      permission: 'dyn-db:revoke',
      audit: 'dyn_db.lease.revoke',
      params: leaseParams,
      body: revokeBody,
      response: revokedResponse,
      errors: DATABASE_ERRORS,
      async handle({ caller, params, body }) {
        requireForce(caller, body);
        return dynDb.leases.revoke(caller, leaseIdOf(params.id), body);
      },
      wire: (id) => ({ revoked: id }),
    }),
    route({
      method: 'POST',
      path: `${PATH}/leases/revoke`,
      summary: 'End many leases, in the background',
      operationId: 'revokeDatabaseLeases',
      permission: 'dyn-db:revoke',
      audit: 'dyn_db.lease.revoke',
      body: revokeManyBody,
      response: acceptedResponse,
      handle: ({ caller, body }) => dynDb.leases.revokeMany(caller, body),
      wire: (accepted) => ({ accepted }),
    }),
  ];
}
