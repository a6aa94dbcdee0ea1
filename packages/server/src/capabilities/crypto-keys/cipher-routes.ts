import { validationError } from '../../kernel/errors.js';
import { LIMITS } from '../../kernel/limits.js';
import type { Caller } from '../../kernel/principal.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import type { Outcome } from './batch.js';
import {
  batchIn,
  decryptBody,
  decryptedWire,
  decryptQuery,
  decryptResponse,
  encryptBody,
  encryptedResponse,
  encryptedWire,
  encryptResponse,
  outcomesWire,
  readerOf,
  rewrapBody,
} from './cipher-schemas.js';
import { keyParams } from './schemas.js';
import type { Decrypted, Encrypted, Transit } from './transit.js';

const LIMIT = { bodyBytesMax: LIMITS.cryptoBodyBytesMax, noStore: true } as const;

/** Several are a list, one is an object. */
type OneOrSeveral<Reply> = Reply | Outcome<Reply>[];

export function cipherRoutes(transit: Transit): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/encrypt',
      admin: 'bare',
      summary: 'Encrypt with the active version of a key',
      permission: 'crypto:encrypt',
      audit: 'crypto.encrypt',
      params: keyParams,
      body: encryptBody,
      response: encryptResponse,
      errors: ['conflict', 'tenant_sealed'],
      ...LIMIT,
      handle({ caller, params, body }): Promise<OneOrSeveral<Encrypted>> {
        const batch = batchIn(body);
        return batch
          ? transit.encryptBatch(caller, params.name, batch.map(readerOf))
          : transit.encrypt(caller, params.name, readerOf(body));
      },
      wire: (result) => wireOf(result, encryptedWire),
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/decrypt',
      admin: 'bare',
      summary: 'Decrypt what a key has encrypted',
      permission: 'crypto:decrypt',
      audit: 'crypto.decrypt',
      params: keyParams,
      query: decryptQuery,
      body: decryptBody,
      response: decryptResponse,
      errors: ['decryption_failed', 'key_version_destroyed', 'tenant_sealed'],
      ...LIMIT,
      handle({ caller, params, query, body }): Promise<OneOrSeveral<Decrypted>> {
        const wanted = query.format ? 'required' : showsText(caller) ? 'where_it_is_one' : 'no';
        const batch = batchIn(body);
        if (batch) {
          const ciphertexts = batch.map(({ ciphertext }) => ciphertext);
          return transit.decryptBatch(caller, params.name, ciphertexts, wanted);
        }
        if (body.ciphertext === undefined) throw validationError('ciphertext', 'is required');
        return transit.decrypt(caller, params.name, body.ciphertext, wanted);
      },
      wire: (result, { caller, query }) =>
        wireOf(result, (one) => decryptedWire(one, query.format !== undefined || showsText(caller))),
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/rewrap',
      admin: 'bare',
      summary: 'Encrypt under the active version what a former one has encrypted, without showing it',
      permission: 'crypto:encrypt',
      audit: 'crypto.rewrap',
      params: keyParams,
      body: rewrapBody,
      response: encryptedResponse,
      errors: ['conflict', 'decryption_failed', 'key_version_destroyed', 'tenant_sealed'],
      ...LIMIT,
      handle: ({ caller, params, body }) => transit.rewrap(caller, params.name, body.ciphertext),
      wire: encryptedWire,
    }),
  ];
}

/** Under `/admin`, where users are, the answer has both forms (clients-pki.md §4.2). */
function showsText({ principal }: Caller): boolean {
  return principal.kind === 'user';
}

function wireOf<Reply, Wire>(result: OneOrSeveral<Reply>, wire: (reply: Reply) => Wire) {
  return Array.isArray(result) ? outcomesWire(result, wire) : wire(result);
}
