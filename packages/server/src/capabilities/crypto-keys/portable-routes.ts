import { LIMITS } from '../../kernel/limits.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { inspect } from './inspect.js';
import type { PortableDocuments } from './portable-documents.js';
import {
  bundleQuery,
  bundleResponse,
  bundleWire,
  decryptBody,
  decryptedResponse,
  decryptedWire,
  encryptBody,
  encryptedResponse,
  encryptedWire,
  inspectBody,
  inspectedResponse,
  inspectedWire,
} from './portable-schemas.js';

/** clients-pki.md §5. */
export function portableRoutes(portable: PortableDocuments): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/encrypt',
      summary: 'Seal every value of a JSON document, its shape kept',
      permission: 'crypto:encrypt',
      audit: 'crypto.encrypt',
      body: encryptBody,
      jsonTexts: ['data'],
      response: encryptedResponse,
      errors: ['not_found', 'tenant_sealed'],
      bodyBytesMax: LIMITS.cryptoBodyBytesMax,
      handle: ({ caller, body: { data, key, role = '' } }) =>
        portable.encrypt(caller, data, { ...(key !== undefined && { key }), role }),
      wire: encryptedWire,
    }),
    route({
      method: 'POST',
      path: '/v1/decrypt',
      summary: 'Open every sealed value of a JSON document',
      permission: 'crypto:decrypt',
      audit: 'crypto.decrypt',
      body: decryptBody,
      jsonTexts: ['data'],
      response: decryptedResponse,
      errors: ['decryption_failed', 'key_version_destroyed', 'tenant_sealed'],
      bodyBytesMax: LIMITS.cryptoBodyBytesMax,
      noStore: true,
      handle: ({ caller, body: { data, role = '' } }) => portable.decrypt(caller, data, role),
      wire: decryptedWire,
    }),
    route({
      method: 'POST',
      path: '/v1/inspect',
      summary: 'Tell whether a value is sealed, and under which key',
      permission: 'crypto:read',
      audit: null,
      body: inspectBody,
      jsonTexts: ['value'],
      response: inspectedResponse,
      handle: async ({ body }) => inspect(body.value),
      wire: inspectedWire,
    }),
    route({
      method: 'GET',
      path: '/v1/encrypt/sealing-bundle',
      summary: 'Get what seals values without this server: the public half of a key',
      permission: 'crypto:read',
      audit: null,
      query: bundleQuery,
      response: bundleResponse,
      errors: ['not_found', 'tenant_sealed'],
      handle: ({ caller, query }) => portable.sealingBundle(caller, query.key),
      wire: bundleWire,
    }),
  ];
}
