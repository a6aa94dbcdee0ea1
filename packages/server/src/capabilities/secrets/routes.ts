import { type RouteDefinition, route } from '../../platform/http/route.js';
import { oauth2SecretRoutes } from './oauth2/routes.js';
import {
  changedSecretResponse,
  changedSecretWire,
  deletedResponse,
  secretResponse,
  secretRowResponse,
  secretRowWire,
  secretWire,
  shownValueResponse,
  shownValueWire,
  writtenValueResponse,
  writtenValueWire,
} from './responses.js';
import {
  createCertificateBody,
  createSecretBody,
  secretListQuery,
  secretParams,
  setCertificateBody,
  setValueBody,
  updateSecretBody,
  valueQuery,
} from './schemas.js';
import type { Secrets } from './service.js';

export function secretRoutes(secrets: Secrets): RouteDefinition[] {
  return [...recordRoutes(secrets), ...oauth2SecretRoutes(secrets), ...valueRoutes(secrets)];
}

function recordRoutes(secrets: Secrets): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/secrets',
      summary: 'List secrets, without their values',
      permission: 'secrets:read',
      audit: null,
      query: secretListQuery,
      response: secretRowResponse,
      answer: 'page',
      async handle({ caller, query }) {
        const page = await secrets.list(caller, { ...query, perPage: query.per_page });
        return { ...page, rows: page.rows.map(secretRowWire) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/secrets',
      summary: 'Store a text that calls need and callers do not see',
      permission: 'secrets:write',
      audit: 'secret.create',
      body: createSecretBody,
      response: secretRowResponse,
      errors: ['plan_limit', 'conflict', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => secrets.create(caller, body),
      wire: secretRowWire,
    }),
    route({
      method: 'POST',
      path: '/v1/secrets/certificate',
      summary: 'Store a certificate with its key, as upstreams ask for',
      permission: 'secrets:write',
      audit: 'secret.create',
      body: createCertificateBody,
      response: secretRowResponse,
      errors: ['plan_limit', 'conflict', 'tenant_sealed'],
      status: 201,
      handle: ({ caller, body }) => secrets.createCertificate(caller, body),
      wire: secretRowWire,
    }),
    route({
      method: 'GET',
      path: '/v1/secrets/:id',
      summary: 'Read a secret, with the environments that it has values in, without them',
      permission: 'secrets:read',
      audit: null,
      params: secretParams,
      response: secretResponse,
      handle: async ({ caller, params }) => secretWire(await secrets.get(caller, params.id)),
    }),
    route({
      method: 'PATCH',
      path: '/v1/secrets/:id',
      summary: 'Change a secret; who lets it go to further hosts sends its values again',
      permission: 'secrets:write',
      audit: 'secret.update',
      params: secretParams,
      body: updateSecretBody,
      response: changedSecretResponse,
      errors: ['conflict', 'ssrf_blocked', 'egress_blocked', 'tenant_sealed'],
      handle: ({ caller, params, body }) => secrets.update(caller, params.id, body),
      wire: changedSecretWire,
    }),
    route({
      method: 'DELETE',
      path: '/v1/secrets/:id',
      summary: 'Delete a secret with its values',
      permission: 'secrets:write',
      audit: 'secret.delete',
      params: secretParams,
      response: deletedResponse,
      errors: ['conflict'],
      handle: ({ caller, params }) => secrets.delete(caller, params.id),
      wire: () => ({ deleted: true }),
    }),
  ];
}

function valueRoutes(secrets: Secrets): RouteDefinition[] {
  return [
    route({
      method: 'PUT',
      path: '/v1/secrets/:id/value',
      summary: 'Put a value in the place of the one that an environment has',
      permission: 'secrets:write',
      audit: 'secret.rotate',
      params: secretParams,
      body: setValueBody,
      response: writtenValueResponse,
      errors: ['tenant_sealed'],
      handle: ({ caller, params, body }) => secrets.setValue(caller, params.id, body),
      wire: writtenValueWire,
    }),
    route({
      method: 'PUT',
      path: '/v1/secrets/:id/certificate',
      summary: 'Put a certificate in the place of the one that an environment has',
      permission: 'secrets:write',
      audit: 'secret.rotate',
      params: secretParams,
      body: setCertificateBody,
      response: writtenValueResponse,
      errors: ['tenant_sealed'],
      handle: ({ caller, params, body }) => secrets.setCertificate(caller, params.id, body),
      wire: writtenValueWire,
    }),
    route({
      method: 'GET',
      path: '/admin/secrets/:id/value',
      summary: 'Read the value that holds in an environment; each time leaves an audit row',
      permission: 'secrets:read_value',
      audit: 'secret.read',
      params: secretParams,
      query: valueQuery,
      response: shownValueResponse,
      errors: ['tenant_sealed'],
      noStore: true,
      handle: async ({ caller, params, query }) =>
        shownValueWire(await secrets.readValue(caller, params.id, query.environment ?? null)),
    }),
  ];
}
