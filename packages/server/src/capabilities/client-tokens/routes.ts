import { LIMITS } from '../../kernel/limits.js';
import { Secret } from '../../kernel/secret.js';
import { type RouteDefinition, route } from '../../platform/http/route.js';
import { decryptedResponse, decryptedWire, type PortableDocuments } from '../crypto-keys/index.js';
import {
  detokenizedResponse,
  detokenizedWire,
  tokenResponse,
  tokenWire,
  type Vaults,
} from '../vaults/index.js';
import { hashOfData, hashOfText } from './pinned-data.js';
import {
  clientDecryptBody,
  clientDetokenizeBody,
  clientTokenizeBody,
  clientTokenResponse,
  clientTokenWire,
  createTokenBody,
} from './schemas.js';
import type { ClientTokens } from './service.js';
import { capabilityOf } from './terms.js';

export interface ClientTokenRoutesDeps {
  readonly clientTokens: ClientTokens;
  readonly portable: Pick<PortableDocuments, 'decrypt'>;
  readonly vaults: Pick<Vaults, 'tokenize' | 'detokenize'>;
}

/** clients-pki.md §5. */
export function clientTokenRoutes({
  clientTokens,
  portable,
  vaults,
}: ClientTokenRoutesDeps): RouteDefinition[] {
  const ofPages = { admin: 'none', access: 'capability', permission: null, noStore: true } as const;
  return [
    route({
      method: 'POST',
      path: '/v1/client-tokens',
      summary: 'Make a token with which a browser does one act',
      permission: null,
      audit: 'crypto.client_token.create',
      body: createTokenBody,
      jsonTexts: ['data'],
      response: clientTokenResponse,
      status: 201,
      errors: ['forbidden', 'not_found', 'vault_disabled'],
      bodyBytesMax: LIMITS.cryptoBodyBytesMax,
      noStore: true,
      handle: ({ caller, body }) => clientTokens.create(caller, capabilityOf(body)),
      wire: clientTokenWire,
    }),
    route({
      ...ofPages,
      method: 'POST',
      path: '/v1/client/decrypt',
      capability: { action: 'decrypt', readers: 'any' },
      summary: 'Open the data that a client token was made for',
      audit: 'crypto.client_token.use',
      body: clientDecryptBody,
      jsonTexts: ['data'],
      response: decryptedResponse,
      errors: ['decryption_failed', 'key_version_destroyed', 'tenant_sealed'],
      bodyBytesMax: LIMITS.cryptoBodyBytesMax,
      handle: ({ caller, body: { data, role } }) =>
        clientTokens.use(
          caller,
          { dataHash: hashOfData(data), ...(role !== undefined && { role }) },
          (maker) => portable.decrypt(maker, data, role ?? caller.capability.role ?? ''),
        ),
      wire: decryptedWire,
    }),
    route({
      ...ofPages,
      method: 'POST',
      path: '/v1/client/detokenize',
      capability: { action: 'detokenize', readers: 'any' },
      summary: 'Read the value of the token that a client token was made for',
      audit: 'crypto.client_token.use',
      body: clientDetokenizeBody,
      response: detokenizedResponse,
      errors: ['not_found', 'vault_disabled', 'token_erased', 'tenant_sealed'],
      handle: ({ caller, body: { vault, token } }) =>
        clientTokens.use(caller, { dataHash: hashOfText(token), vault }, (maker) =>
          vaults.detokenize(maker, vault, token),
        ),
      wire: detokenizedWire,
    }),
    route({
      ...ofPages,
      method: 'POST',
      path: '/v1/client/tokenize',
      capability: { action: 'tokenize', readers: 'pinned' },
      summary: 'Put a value into the vault that a client token was made for',
      audit: 'crypto.client_token.use',
      body: clientTokenizeBody,
      response: tokenResponse,
      status: 201,
      errors: ['vault_disabled', 'token_space_exhausted', 'tenant_sealed'],
      bodyBytesMax: LIMITS.tokenizeBodyBytesMax,
      handle: ({ caller, body: { vault, value, card_exp_month: month, card_exp_year: year } }) =>
        clientTokens.use(caller, { vault }, (maker) =>
          vaults.tokenize(maker, vault, {
            value: new Secret(value),
            metadata: null,
            ttlSeconds: null,
            cardExpiry: month === null || year === null ? null : { month, year },
          }),
        ),
      wire: tokenWire,
    }),
  ];
}
