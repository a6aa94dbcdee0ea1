import { LIMITS } from '../../../kernel/limits.js';
import { type RouteDefinition, route } from '../../../platform/http/route.js';
import type { Outcome } from '../batch.js';
import { batchIn, outcomesWire } from '../cipher-schemas.js';
import { keyParams } from '../schemas.js';
import {
  jwtBody,
  jwtResponse,
  jwtWire,
  signBody,
  signedWire,
  signInputOf,
  signResponse,
  verifiedJwtWire,
  verifiedWire,
  verifyBody,
  verifyInputOf,
  verifyJwtBody,
  verifyJwtResponse,
  verifyResponse,
  webhookSignBody,
  webhookSignResponse,
  webhookWire,
} from './schemas.js';
import type { Signatures, Signed, Verified } from './service.js';

/** Several are a list, one is an object. */
type OneOrSeveral<Reply> = Reply | Outcome<Reply>[];

const bodyBytesMax = LIMITS.cryptoBodyBytesMax;

export function signingRoutes(signatures: Signatures): RouteDefinition[] {
  return [
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/sign',
      admin: 'bare',
      summary: 'Sign data, or several pieces of data in `batch`',
      permission: 'crypto:sign',
      audit: 'crypto.sign',
      errors: ['tenant_sealed'],
      bodyBytesMax,
      params: keyParams,
      body: signBody,
      response: signResponse,
      handle({ caller, params, body }): Promise<OneOrSeveral<Signed>> {
        const batch = batchIn(body);
        return batch
          ? signatures.signBatch(caller, params.name, batch.map(signInputOf))
          : signatures.sign(caller, params.name, signInputOf(body));
      },
      wire: (result) => wireOf(result, signedWire),
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/verify',
      admin: 'bare',
      summary: 'Say whether a signature is one of the key over data; one that is not is no error',
      permission: 'crypto:verify',
      audit: null,
      errors: ['tenant_sealed'],
      bodyBytesMax,
      params: keyParams,
      body: verifyBody,
      response: verifyResponse,
      handle({ caller, params, body }): Promise<OneOrSeveral<Verified>> {
        const batch = batchIn(body);
        return batch
          ? signatures.verifyBatch(caller, params.name, batch.map(verifyInputOf))
          : signatures.verify(caller, params.name, verifyInputOf(body));
      },
      wire: (result) => wireOf(result, verifiedWire),
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/jwt',
      admin: 'bare',
      summary: 'Sign claims as a JWT',
      permission: 'crypto:sign',
      audit: 'crypto.jwt',
      noStore: true,
      errors: ['tenant_sealed'],
      params: keyParams,
      body: jwtBody,
      response: jwtResponse,
      handle: ({ caller, params, body }) => signatures.signJwt(caller, params.name, body),
      wire: jwtWire,
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/jwt/verify',
      admin: 'bare',
      summary: 'Say whether a JWT was signed with the key and is good now; one that is not is no error',
      permission: 'crypto:verify',
      audit: null,
      errors: ['tenant_sealed'],
      params: keyParams,
      body: verifyJwtBody,
      response: verifyJwtResponse,
      handle: ({ caller, params, body }) => signatures.verifyJwt(caller, params.name, body),
      wire: verifiedJwtWire,
    }),
    route({
      method: 'POST',
      path: '/v1/crypto/keys/:name/webhook-sign',
      admin: 'bare',
      summary: 'Sign a webhook with an HMAC key, in the way that its receiver expects',
      permission: 'crypto:sign',
      audit: 'crypto.webhook_sign',
      errors: ['tenant_sealed'],
      bodyBytesMax,
      params: keyParams,
      body: webhookSignBody,
      response: webhookSignResponse,
      handle: ({ caller, params, body }) => signatures.signWebhook(caller, params.name, body),
      wire: webhookWire,
    }),
  ];
}

function wireOf<Reply, Wire>(result: OneOrSeveral<Reply>, wire: (reply: Reply) => Wire) {
  return Array.isArray(result) ? outcomesWire(result, wire) : wire(result);
}
