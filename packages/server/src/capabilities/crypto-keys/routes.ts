import { type RouteDefinition, route } from '../../platform/http/route.js';
import {
  destroyedResponse,
  keyLatchResponse,
  keyLatchWire,
  keyParams,
  keyVersionParams,
  updateKeyBody,
} from './schemas.js';
import type { CryptoKeys } from './service.js';

export function cryptoKeyRoutes(cryptoKeys: CryptoKeys): RouteDefinition[] {
  return [
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
