// Endpoints that do nothing, with the bodies, answers, permissions and limits of encrypt and decrypt.
import { managementRoutes as ofProduct } from '../packages/server/dist/app/management-routes.js';
import {
  decryptBody,
  decryptResponse,
  encryptBody,
  encryptResponse,
} from '../packages/server/dist/capabilities/crypto-keys/cipher-schemas.js';
import { LIMITS } from '../packages/server/dist/kernel/limits.js';
import { route } from '../packages/server/dist/platform/http/route.js';

export * from '../packages/server/dist/app/management-routes.js';

const PLAINTEXT_BYTES = 1_024;
/** Initialisation vector and tag. */
const FURTHER_BYTES = 28;
const base64Of = (length) => Buffer.alloc(length, 'k').toString('base64');

const noOp = (name, definition, answer) =>
  route({
    method: 'POST',
    path: `/v1/no-op/${name}`,
    admin: 'bare',
    summary: 'Nothing',
    permission: `crypto:${name}`,
    audit: null,
    bodyBytesMax: LIMITS.cryptoBodyBytesMax,
    noStore: true,
    handle: async () => answer,
    ...definition,
  });

export function managementRoutes(services) {
  return [
    ...ofProduct(services),
    noOp(
      'encrypt',
      { body: encryptBody, response: encryptResponse },
      { ciphertext: `knoxcall:v1:${base64Of(PLAINTEXT_BYTES + FURTHER_BYTES)}`, key_version: 1 },
    ),
    noOp(
      'decrypt',
      { body: decryptBody, response: decryptResponse },
      { plaintext_b64: base64Of(PLAINTEXT_BYTES), key_version: 1 },
    ),
  ];
}
