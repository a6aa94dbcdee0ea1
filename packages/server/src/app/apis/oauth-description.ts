import type { Components, JsonObject } from '../../platform/http/openapi/components.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import type { Described } from '../../platform/http/openapi/operation.js';

const FORM = 'application/x-www-form-urlencoded';
const TEXT = { type: 'string' };
const CLIENT: JsonObject = {
  client_id: { ...TEXT, description: 'Unless the client authenticates by HTTP Basic.' },
  client_secret: { ...TEXT, description: 'The same; a public client has none.' },
};
const CLIENT_TEXT =
  'The client authenticates by HTTP Basic or in the body. An API key is a client, cut into name and secret at its last underscore.';

function form(required: readonly string[], properties: JsonObject): JsonObject {
  return {
    required: true,
    content: { [FORM]: { schema: { type: 'object', required, properties: { ...properties, ...CLIENT } } } },
  };
}

function answers(components: Components, schema: JsonObject): Described['answers'] {
  const refusal = components.add('responses', 'OAuthRefusal', {
    description: 'Refused, in the shape of RFC 6749 §5.2.',
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['error'],
          properties: {
            error: { ...TEXT, description: 'A code of the standards.' },
            error_description: TEXT,
          },
        },
      },
    },
  });
  const content = { 'application/json': { schema } };
  return { 200: { description: 'Done.', content }, '4XX': refusal, '5XX': refusal };
}

/** The endpoints of the authorization server: bare bodies, and errors of their own shape. */
export const describeOAuth: Describe = (components) => {
  const endpoint = { method: 'POST', credential: 'none', permission: null, errors: [] } as const;
  const proof = components.add('parameters', 'DpopProof', {
    name: 'DPoP',
    in: 'header',
    description: 'A proof (RFC 9449): the token is then bound to its key.',
    schema: TEXT,
  });
  const token: JsonObject = {
    type: 'object',
    required: ['access_token', 'token_type', 'expires_in', 'scope', 'tenant'],
    properties: {
      access_token: { ...TEXT, description: '`kc_live_…` or `kc_test_…`.' },
      token_type: { ...TEXT, enum: ['Bearer', 'DPoP'] },
      expires_in: { type: 'integer', description: 'Seconds.' },
      scope: { ...TEXT, description: 'Permissions that were granted, with a space between.' },
      refresh_token: { ...TEXT, description: 'Where a user stands behind the token; good once.' },
      tenant: { ...TEXT, description: 'Slug of the tenant.' },
    },
  };
  const described: readonly Described[] = [
    {
      ...endpoint,
      path: '/oauth/token',
      operationId: 'createToken',
      summary: 'Get an access token',
      description: CLIENT_TEXT,
      parameters: [proof],
      requestBody: form(['grant_type'], {
        grant_type: { ...TEXT, examples: ['client_credentials', 'refresh_token'] },
        scope: { ...TEXT, description: 'Permissions with a space between; absent: all that is held.' },
        refresh_token: TEXT,
      }),
      answers: answers(components, token),
    },
    {
      ...endpoint,
      path: '/oauth/introspect',
      operationId: 'introspectToken',
      summary: 'Ask about a token of the same tenant and mode (RFC 7662)',
      description: CLIENT_TEXT,
      requestBody: form(['token'], { token: TEXT, token_type_hint: TEXT }),
      answers: answers(components, {
        type: 'object',
        required: ['active'],
        properties: { active: { type: 'boolean', description: 'False: nothing else is said.' } },
      }),
    },
    {
      ...endpoint,
      path: '/oauth/revoke',
      operationId: 'revokeToken',
      summary: 'Revoke a token of the client; a refresh token takes its family with it (RFC 7009)',
      description: CLIENT_TEXT,
      requestBody: form(['token'], { token: TEXT, token_type_hint: TEXT }),
      answers: answers(components, { type: 'object' }),
    },
    {
      ...endpoint,
      method: 'GET',
      path: '/.well-known/oauth-authorization-server',
      operationId: 'getAuthorizationServerMetadata',
      summary: 'What the authorization server can do (RFC 8414)',
      answers: answers(components, { type: 'object', required: ['issuer'], properties: { issuer: TEXT } }),
    },
  ];
  return described;
};
