import { type RouteDefinition, route } from '../../platform/http/route.js';
import { cipherRoutes } from './cipher-routes.js';
import type { CryptoKeyRecords } from './records.js';
import {
  createKeyBody,
  destroyedResponse,
  keyLatchResponse,
  keyLatchWire,
  keyParams,
  keyResponse,
  keysResponse,
  keyVersionParams,
  keyWire,
  listedKeyWire,
  publicKeyQuery,
  publicKeyResponse,
  publicKeyWire,
  rotatedKeyResponse,
  rotateKeyBody,
  updateKeyBody,
} from './schemas.js';
import type { CryptoKeys } from './service.js';
import type { Transit } from './transit.js';

export interface CryptoKeyServices {
  readonly cryptoKeys: CryptoKeys;
  readonly records: CryptoKeyRecords;
  readonly transit: Transit;
}

export function cryptoKeyRoutes(services: CryptoKeyServices): RouteDefinition[] {
  return [...recordRoutes(services), ...versionRoutes(services), ...cipherRoutes(services.transit)];
}

function recordRoutes({ cryptoKeys, records }: CryptoKeyServices): RouteDefinition[] {
  return [
    route({
      method: 'GET',
      path: '/v1/crypto/keys',
      admin: 'bare',
      summary: 'List crypto keys',
      permission: 'crypto:read',
      audit: null,
      response: keysResponse,
      handle: async ({ caller }) => (await records.list(caller)).map(listedKeyWire),
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys',
      admin: 'bare',
      summary: 'Create a crypto key with its first version',
      permission: 'crypto:write',
      audit: 'crypto.create',
      body: createKeyBody,
      response: keyResponse,
      status: 201,
      errors: ['conflict', 'tenant_sealed'],
      handle: ({ caller, body }) => records.create(caller, body),
      wire: (key, { caller }) => keyWire(caller.principal.scope, key),
    }),
    route({
      method: 'GET',
      path: '/v1/crypto/keys/:name',
      admin: 'bare',
      summary: 'Read a crypto key',
      permission: 'crypto:read',
      audit: null,
      params: keyParams,
      response: keyResponse,
      handle: async ({ caller, params }) =>
        keyWire(caller.principal.scope, await records.get(caller, params.name)),
    }),
    route({
      method: 'PATCH',
      path: '/v1/crypto/keys/:name',
      admin: 'bare',
      summary: 'Allow or forbid that versions of a key are destroyed',
      permission: 'crypto:write',
      audit: 'crypto.update',
      params: keyParams,
      body: updateKeyBody,
      response: keyLatchResponse,
      handle: ({ caller, params, body }) =>
        cryptoKeys.allowDeletion(caller, params.name, body.deletion_allowed),
      wire: keyLatchWire,
    }),
  ];
}

function versionRoutes({ cryptoKeys, records }: CryptoKeyServices): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/rotate',
      admin: 'bare',
      summary: 'Encrypt and sign what is new with a new version of a key',
      permission: 'crypto:write',
      audit: 'crypto.rotate',
      params: keyParams,
      body: rotateKeyBody,
      response: rotatedKeyResponse,
      errors: ['tenant_sealed'],
      handle: ({ caller, params }) => records.rotate(caller, params.name),
      wire: (version) => ({ new_version: version }),
    }),
    route({
      method: 'GET',
      path: '/v1/crypto/keys/:name/public-key',
      admin: 'bare',
      summary: 'Read the public half of a key',
      permission: 'crypto:read',
      audit: null,
      params: keyParams,
      query: publicKeyQuery,
      response: publicKeyResponse,
      errors: ['key_version_destroyed'],
      handle: async ({ caller, params, query }) =>
        publicKeyWire(await records.publicKey(caller, params.name, query.version)),
    }),
    route({
      method: 'DELETE',
      path: '/v1/crypto/keys/:name/versions/:n',
      admin: 'bare',
      summary: 'Destroy a version of a key: what it has encrypted is lost for ever',
      permission: 'crypto:destroy',
      audit: 'crypto.destroy',
      params: keyVersionParams,
      response: destroyedResponse,
      errors: ['deletion_not_allowed', 'version_active'],
      handle: ({ caller, params }) => cryptoKeys.destroyVersion(caller, params.name, params.n),
      wire: (destroyed) => ({ destroyed }),
    }),
  ];
}
