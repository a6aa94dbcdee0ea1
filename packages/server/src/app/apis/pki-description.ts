import type { JsonObject } from '../../platform/http/openapi/components.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import type { Described } from '../../platform/http/openapi/operation.js';
import { CACHED_SECONDS } from './pki-api.js';

const BINARY: JsonObject = { type: 'string', format: 'binary' };

function named(name: string, description: string): JsonObject {
  return { name, in: 'path', required: true, description, schema: { type: 'string' } };
}

const ADDRESS: readonly JsonObject[] = [
  named('tenantId', 'Id of the tenant.'),
  named('rootId', 'Id of the root that the issuer descends from, or is.'),
];
const KEY_ID = named('keyId', 'Subject key identifier of the issuer, in lower-case hex.');

const RESPONSE: Described['answers'] = {
  200: {
    description: 'An OCSP response (RFC 6960); a refusal too, its status inside.',
    content: { 'application/ocsp-response': { schema: BINARY } },
  },
};

const KEPT = `An answer may be kept for ${CACHED_SECONDS} seconds.`;

/** What verifiers read; certificates name these addresses. */
export const describePki: Describe = () => {
  const open = { credential: 'none', permission: null } as const;
  const described: readonly Described[] = [
    {
      ...open,
      method: 'GET',
      path: '/pki/:tenantId/:rootId/:list',
      operationId: 'getRevocationList',
      summary: 'Read what an issuer has revoked',
      description: KEPT,
      parameters: [
        ...ADDRESS,
        named('list', 'Subject key identifier of the issuer, in lower-case hex, and `.crl`.'),
      ],
      answers: {
        200: {
          description: 'A revocation list (RFC 5280) in DER.',
          content: { 'application/pkix-crl': { schema: BINARY } },
        },
      },
      errors: ['not_found', 'rate_limit_exceeded', 'tenant_sealed'],
    },
    {
      ...open,
      method: 'POST',
      path: '/pki/:tenantId/:rootId/:keyId/ocsp',
      operationId: 'askOcsp',
      summary: 'Ask whether certificates of an issuer are good',
      description: `Up to 20 in one request. ${KEPT} With a nonce in the request it must not be.`,
      parameters: [...ADDRESS, KEY_ID],
      requestBody: { required: true, content: { 'application/ocsp-request': { schema: BINARY } } },
      answers: RESPONSE,
      errors: ['payload_too_large', 'unsupported_media_type'],
    },
    {
      ...open,
      method: 'GET',
      path: '/pki/:tenantId/:rootId/:keyId/ocsp/:request',
      operationId: 'askOcspByPath',
      summary: 'Ask whether certificates of an issuer are good, the request in the path',
      description: `Up to 20 in one request. ${KEPT} With a nonce in the request it must not be.`,
      parameters: [...ADDRESS, KEY_ID, named('request', 'The request in base64, percent-encoded.')],
      answers: RESPONSE,
      errors: ['validation_error'],
    },
  ];
  return described;
};
