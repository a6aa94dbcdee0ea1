import type { Components, JsonObject } from '../../platform/http/openapi/components.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import type { Described } from '../../platform/http/openapi/operation.js';
import { ACME_PREFIX, JOSE, PEM_CHAIN, PROBLEM } from './acme-api.js';

const TEXT: JsonObject = { type: 'string' };

function named(name: string, description: string): JsonObject {
  return { name, in: 'path', required: true, description, schema: TEXT };
}

const ADDRESS: readonly JsonObject[] = [
  named('tenantId', 'Id of the tenant.'),
  named('rootId', 'Id of the root.'),
  named('roleId', 'Id of a role with `allow_acme`.'),
];

const NONCE = { 'Replay-Nonce': { description: 'For the next request.', schema: TEXT } };
const LOCATION = { Location: { schema: TEXT } };

/** Path below the prefix, name, what it does (RFC 8555 by section), what a success is. */
const POSTS: readonly (readonly [
  path: string,
  id: string,
  summary: string,
  of: 'json' | 'pem' | 'nothing',
])[] = [
  ['/new-account', 'newAcmeAccount', 'Open an account, or find one by its key (§7.3)', 'json'],
  ['/account/:id', 'updateAcmeAccount', 'Read, change or deactivate an account (§7.3.2, §7.3.6)', 'json'],
  ['/account/:id/orders', 'listAcmeOrders', 'List the orders of an account (§7.1.2.1)', 'json'],
  ['/new-order', 'newAcmeOrder', 'Ask for a certificate (§7.4)', 'json'],
  ['/order/:id', 'getAcmeOrder', 'Read an order', 'json'],
  ['/order/:id/finalize', 'finalizeAcmeOrder', 'Send the signing request of an order that is ready', 'json'],
  [
    '/certificate/:id',
    'getAcmeCertificate',
    'Read the certificate of an order, and its issuers (§7.4.2)',
    'pem',
  ],
  ['/authorization/:id', 'updateAcmeAuthorization', 'Read or deactivate an authorization (§7.5)', 'json'],
  ['/challenge/:id', 'respondToAcmeChallenge', 'Read a challenge, or have it tried (§7.5.1)', 'json'],
  ['/revoke-cert', 'revokeAcmeCertificate', 'Revoke a certificate (§7.6)', 'nothing'],
  ['/key-change', 'changeAcmeAccountKey', 'Change the key of an account (§7.3.5)', 'json'],
];

function problemOf(components: Components): JsonObject {
  return components.add('responses', 'AcmeProblem', {
    description: 'Refused: a problem document (RFC 8555 §6.7).',
    headers: NONCE,
    content: {
      [PROBLEM]: {
        schema: {
          type: 'object',
          required: ['type', 'detail', 'status'],
          properties: {
            type: { ...TEXT, examples: ['urn:ietf:params:acme:error:badNonce'] },
            detail: TEXT,
            status: { type: 'integer' },
            subproblems: { type: 'array', items: { type: 'object' } },
          },
        },
      },
    },
  });
}

const BODY: JsonObject = {
  required: true,
  content: {
    [JOSE]: {
      schema: {
        type: 'object',
        required: ['protected', 'payload', 'signature'],
        properties: {
          protected: {
            ...TEXT,
            description: '`alg` (ES256, ES384, RS256, EdDSA), `nonce`, `url`, `kid` or `jwk`.',
          },
          payload: { ...TEXT, description: 'Empty where it is only read (§6.3).' },
          signature: TEXT,
        },
      },
    },
  },
};

function successOf(of: (typeof POSTS)[number][3]): JsonObject {
  const headers = { ...NONCE, ...(of === 'json' && LOCATION) };
  if (of === 'nothing') return { description: 'Done.', headers };
  const content =
    of === 'pem' ? { [PEM_CHAIN]: { schema: TEXT } } : { 'application/json': { schema: { type: 'object' } } };
  return { description: 'The object as RFC 8555 §7.1 has it.', headers, content };
}

/** RFC 8555; what its clients are told by the directory. */
export const describeAcme: Describe = (components) => {
  const open = { credential: 'none', permission: null, errors: [] } as const;
  const refused = { '4XX': problemOf(components), '5XX': problemOf(components) };
  const nonce = { headers: NONCE, description: 'A nonce.' };
  const described: Described[] = [
    {
      ...open,
      method: 'GET',
      path: `${ACME_PREFIX}/directory`,
      operationId: 'getAcmeDirectory',
      summary: 'Read where an ACME client finds what (RFC 8555 §7.1.1)',
      parameters: ADDRESS,
      answers: {
        200: {
          description: 'The directory.',
          content: { 'application/json': { schema: { type: 'object' } } },
        },
        ...refused,
      },
    },
    {
      ...open,
      method: 'HEAD',
      path: `${ACME_PREFIX}/new-nonce`,
      operationId: 'headAcmeNonce',
      summary: 'Get a nonce (§7.2)',
      parameters: ADDRESS,
      answers: { 200: nonce, ...refused },
    },
    {
      ...open,
      method: 'GET',
      path: `${ACME_PREFIX}/new-nonce`,
      operationId: 'getAcmeNonce',
      summary: 'Get a nonce (§7.2)',
      parameters: ADDRESS,
      answers: { 204: nonce, ...refused },
    },
  ];
  for (const [path, operationId, summary, of] of POSTS)
    described.push({
      ...open,
      method: 'POST',
      path: ACME_PREFIX + path,
      operationId,
      summary,
      parameters: path.includes(':id')
        ? [...ADDRESS, named('id', 'As it stands in the URL that was given.')]
        : ADDRESS,
      requestBody: BODY,
      answers: {
        200: successOf(of),
        ...(path.startsWith('/new-') && { 201: successOf(of) }),
        ...refused,
      },
    });
  return described;
};
