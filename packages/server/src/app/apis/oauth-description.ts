import type { Components, JsonObject } from '../../platform/http/openapi/components.js';
import type { Describe } from '../../platform/http/openapi/document.js';
import type { Described } from '../../platform/http/openapi/operation.js';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';
const TEXT = { type: 'string' };
const GRANT_TYPES = [
  'client_credentials',
  'authorization_code',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:token-exchange',
] as const;
const CLIENT: JsonObject = {
  client_id: { ...TEXT, description: 'Unless the client authenticates by HTTP Basic.' },
  client_secret: { ...TEXT, description: 'The same; a public client has none.' },
};
const CLIENT_TEXT =
  'The client authenticates by HTTP Basic or in the body. An API key is a client, cut into name and secret at its last underscore.';

const TOKEN_FIELDS: JsonObject = {
  grant_type: { ...TEXT, enum: [...GRANT_TYPES] },
  scope: { ...TEXT, description: 'Permissions with a space between; absent: all that is held.' },
  refresh_token: { ...TEXT, description: 'Of `refresh_token`.' },
  code: { ...TEXT, description: 'Of `authorization_code`, as the next two.' },
  redirect_uri: { ...TEXT, description: 'The one that was given to `/oauth/authorize`.' },
  code_verifier: { ...TEXT, description: 'What the challenge was made of (RFC 7636).' },
  device_code: { ...TEXT, description: 'Of the device flow.' },
  subject_token: { ...TEXT, description: 'Of a token exchange, as the next three.' },
  subject_token_type: { ...TEXT, examples: ['urn:ietf:params:oauth:token-type:id_token'] },
  audience: { ...TEXT, default: 'knoxcall:api' },
  tenant: { ...TEXT, description: 'Slug of the tenant whose bindings count.' },
};

function form(required: readonly string[], properties: JsonObject, mediaTypes = [FORM]): JsonObject {
  const schema = { type: 'object', required, properties: { ...properties, ...CLIENT } };
  return { required: true, content: Object.fromEntries(mediaTypes.map((type) => [type, { schema }])) };
}

function query(name: string, description: string, required = false): JsonObject {
  return { name, in: 'query', required, description, schema: TEXT };
}

const PAGE: JsonObject = {
  description: 'A page for the user, or why there is none.',
  content: { 'text/html': { schema: TEXT } },
};

/** Where a browser is sent; the forms of the pages are the pages' own. */
const PAGES: readonly Described[] = [
  {
    method: 'GET',
    credential: 'none',
    permission: null,
    errors: [],
    path: '/oauth/authorize',
    operationId: 'authorizeClient',
    summary: 'Send a user here to sign in and consent (RFC 6749 §4.1)',
    parameters: [
      query('response_type', '`code`.', true),
      query('client_id', 'The client that asks, or `knoxcall-cli`.', true),
      query('redirect_uri', 'One that is registered; may be absent where there is one.'),
      query('code_challenge', 'SHA-256 of the verifier in base64url (RFC 7636).', true),
      query('code_challenge_method', '`S256`.', true),
      query('scope', 'Permissions with a space between; absent: all that both may have.'),
      query('state', 'Comes back as it is.'),
      query('dpop_jkt', 'Thumbprint of the key that the tokens are bound to (RFC 9449 §10).'),
      query('tenant', 'Slug of the tenant, for `knoxcall-cli`.'),
    ],
    answers: {
      200: PAGE,
      303: {
        description: 'To the client, with a code or an error.',
        headers: { Location: { schema: TEXT } },
      },
      '4XX': PAGE,
    },
  },
  {
    method: 'GET',
    credential: 'none',
    permission: null,
    errors: [],
    path: '/oauth/activate',
    operationId: 'activateDevice',
    summary: 'Send a user here to connect a device (RFC 8628 §3.3)',
    parameters: [query('user_code', 'What the device shows; absent: the page asks for it.')],
    answers: { 200: PAGE, '4XX': PAGE },
  },
];

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
      issued_token_type: { ...TEXT, description: 'Of a token exchange.' },
      tenant: { ...TEXT, description: 'Slug of the tenant.' },
      client_id: { ...TEXT, description: 'Of a log-in as `knoxcall-cli`: who refreshes and revokes.' },
    },
  };
  const device: JsonObject = {
    type: 'object',
    required: [
      'device_code',
      'user_code',
      'verification_uri',
      'verification_uri_complete',
      'expires_in',
      'interval',
    ],
    properties: {
      device_code: { ...TEXT, description: 'To poll with.' },
      user_code: { ...TEXT, description: 'To show to the user.' },
      verification_uri: { ...TEXT, description: 'Where the user types it.' },
      verification_uri_complete: { ...TEXT, description: 'The same with the code in it.' },
      expires_in: { type: 'integer', description: 'Seconds.' },
      interval: { type: 'integer', description: 'Seconds between two polls, at least.' },
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
      requestBody: form(['grant_type'], TOKEN_FIELDS),
      answers: answers(components, token),
    },
    {
      ...endpoint,
      path: '/v1/oauth/token',
      operationId: 'createTokenAtTenantHost',
      summary: 'Get an access token on the host of a tenant, by JSON or a form',
      description: `${CLIENT_TEXT} A token exchange is for the AI gateway here, which this version does not have: 503.`,
      parameters: [proof],
      requestBody: form(['grant_type'], { ...TOKEN_FIELDS, audience: TEXT }, [JSON_TYPE, FORM]),
      answers: answers(components, token),
    },
    ...PAGES,
    {
      ...endpoint,
      path: '/oauth/device_authorization',
      operationId: 'authorizeDevice',
      summary: 'Begin to connect a device without a browser (RFC 8628)',
      description:
        'A client without a secret, or the CLI as `knoxcall-cli`, names itself by `client_id` alone.',
      requestBody: form([], {
        scope: { ...TEXT, description: 'Permissions with a space between; absent: all that both may have.' },
      }),
      answers: answers(components, device),
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
