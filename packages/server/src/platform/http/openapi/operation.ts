import { ERROR_STATUS, type ErrorType } from '../../../kernel/errors.js';
import { API_VERSION } from '../caller.js';
import type { Components, JsonObject } from './components.js';
import { capitalised } from './operation-id.js';

/** Name of the security scheme of signed-in users. */
export const USER_SCHEME = 'adminToken';
/** That of tokens for one act. */
export const CAPABILITY_SCHEME = 'clientToken';

/** One endpoint as the document shows it: made of a route definition, or by hand where an endpoint has none. */
export interface Described {
  readonly method: string;
  /** `:name` where the path has a parameter. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** What a caller has to show: an API key, the token of a signed-in user, one for this act, or nothing. */
  readonly credential: 'key' | 'user' | 'capability' | 'none';
  /** Of contract README §2; `null` = any valid credential. */
  readonly permission: string | null;
  readonly parameters?: readonly JsonObject[];
  readonly requestBody?: JsonObject;
  /** By status, or `default`. `X-Request-Id` is added. */
  readonly answers: Readonly<Record<string, JsonObject>>;
  readonly errors: readonly ErrorType[];
}

/** What every endpoint of the API may refuse a call with, whoever sends it. */
export const API_ERRORS: readonly ErrorType[] = [
  'validation_error',
  'invalid_api_version',
  'headers_too_large',
  'internal_error',
  'dependency_unavailable',
];

/** The same where a credential is due (auth.md §5, order of checks). */
const CALLER_ERRORS = {
  key: [
    ...API_ERRORS,
    'authentication_required',
    'invalid_api_key',
    'invalid_token',
    'invalid_dpop_proof',
    'use_dpop_nonce',
    'wrong_key_type',
    'subscription_inactive',
    'tenant_not_found',
    'rate_limit_exceeded',
  ],
  user: [
    ...API_ERRORS,
    'authentication_required',
    'invalid_token',
    'subscription_inactive',
    'rate_limit_exceeded',
  ],
  capability: [
    ...API_ERRORS,
    'authentication_required',
    'invalid_token',
    'wrong_key_type',
    'rate_limit_exceeded',
  ],
  none: [],
} as const satisfies Record<Described['credential'], readonly ErrorType[]>;

/** The schemes that the document says hold where an operation names none. */
const SECURITY = {
  key: {},
  user: { security: [{ [USER_SCHEME]: [] }] },
  capability: { security: [{ [CAPABILITY_SCHEME]: [] }] },
  none: { security: [] },
} as const;

export function operationOf(described: Described, tag: string, components: Components): JsonObject {
  const { credential, permission, parameters = [] } = described;
  const errors = [...described.errors, ...CALLER_ERRORS[credential]];
  if (permission !== null) errors.push('forbidden');
  const headers: HeaderName[] = ['X-Request-Id'];
  if (credential !== 'none') headers.push('X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset');
  return {
    operationId: described.operationId,
    tags: [tag],
    summary: described.summary,
    ...descriptionOf(described),
    ...SECURITY[credential],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(described.requestBody ? { requestBody: described.requestBody } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(described.answers).map(([status, answer]) => [
          status,
          withHeaders(answer, headers, components),
        ]),
      ),
      ...errorAnswers(errors, components),
    },
  };
}

function descriptionOf({ description, credential, permission }: Described): JsonObject {
  const lines: string[] = [];
  if (permission !== null) lines.push(`Permission: \`${permission}\`.`);
  else if (credential === 'key' || credential === 'user') lines.push('Any valid credential.');
  if (description) lines.push(description);
  return lines.length === 0 ? {} : { description: lines.join('\n\n') };
}

export function versionParameter(components: Components): JsonObject {
  return components.add('parameters', 'KnoxCallVersion', {
    name: 'KnoxCall-Version',
    in: 'header',
    description: 'Version of the API the caller was written for; absent: the newest.',
    schema: { type: 'string', enum: [API_VERSION] },
  });
}

/** Response headers that many answers share (contract README §6). */
const HEADERS = {
  'X-Request-Id': {
    description: 'Id of this request, in every answer, error and log line.',
    required: true,
    schema: { type: 'string', format: 'uuid' },
  },
  'X-RateLimit-Limit': {
    description: 'Requests that the window allows; on limited surfaces.',
    schema: { type: 'integer', minimum: 0 },
  },
  'X-RateLimit-Remaining': {
    description: 'Requests that are left in the window.',
    schema: { type: 'integer', minimum: 0 },
  },
  'X-RateLimit-Reset': {
    description: 'When the whole limit is there again, in epoch seconds (docs/decisions/0035).',
    schema: { type: 'integer', minimum: 0 },
  },
  'Retry-After': {
    description: 'Seconds to wait before the next try.',
    required: true,
    schema: { type: 'integer', minimum: 1 },
  },
  'WWW-Authenticate': {
    description: 'RFC 6750 §3: which scheme is due, and what was wrong with the credential.',
    required: true,
    schema: { type: 'string' },
  },
  'Cache-Control': {
    description: 'The answer holds a secret.',
    required: true,
    schema: { type: 'string', const: 'no-store' },
  },
} as const;

export type HeaderName = keyof typeof HEADERS;

export function withHeaders(
  answer: JsonObject,
  names: readonly HeaderName[],
  components: Components,
): JsonObject {
  // A named answer has its own.
  if (answer['$ref'] !== undefined) return answer;
  const headers = names.map((name) => [name, components.add('headers', name, { ...HEADERS[name] })]);
  return { ...answer, headers: { ...Object.fromEntries(headers), ...(answer['headers'] as JsonObject) } };
}

/** One answer for each status, with the types that an endpoint gives under it. */
function errorAnswers(errors: readonly ErrorType[], components: Components): JsonObject {
  const types = (Object.keys(ERROR_STATUS) as ErrorType[]).filter((type) => errors.includes(type));
  const statuses = new Set(types.map((type) => ERROR_STATUS[type]));
  return Object.fromEntries(
    [...statuses].map((status) => {
      const ofStatus = types.filter((type) => ERROR_STATUS[type] === status);
      return [String(status), errorAnswer(status, ofStatus, components)];
    }),
  );
}

function errorAnswer(status: number, types: readonly ErrorType[], components: Components): JsonObject {
  const name = types.map((type) => type.split('_').map(capitalised).join('')).join('Or');
  const headers: HeaderName[] = ['X-Request-Id'];
  if (status === 401) headers.push('WWW-Authenticate');
  if (status === 503 || status === 429) headers.push('Retry-After');
  const answer = {
    description: types.map((type) => `\`${type}\``).join(', '),
    content: {
      'application/json': {
        schema: {
          allOf: [
            components.add('schemas', 'Error', ERROR_SCHEMA),
            {
              type: 'object',
              properties: { error: { type: 'object', properties: { type: { enum: types } } } },
            },
          ],
        },
      },
    },
  };
  return components.add('responses', name, withHeaders(answer, headers, components));
}

/** Contract README §1.1, the common shape. */
const ERROR_SCHEMA: JsonObject = {
  type: 'object',
  description: 'Every refusal of this server. A type has one status everywhere.',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['type', 'message', 'request_id'],
      properties: {
        type: { type: 'string', description: 'What went wrong, for programs.' },
        message: { type: 'string', description: 'What went wrong, for people; its wording may change.' },
        request_id: { type: 'string', format: 'uuid', description: 'The same as `X-Request-Id`.' },
        dependency: { type: 'string', description: 'With 503: which part of the server did not answer.' },
        retry_after: {
          type: 'integer',
          minimum: 1,
          description: 'With 503: seconds to wait before the next try, as `Retry-After`.',
        },
        reason: {
          type: 'string',
          enum: ['access_denied', 'key_unusable', 'unreachable', 'throttled', 'bad_ciphertext'],
          description: 'With `kms_verify_failed`, `kms_wrap_failed` and `unseal_failed`: why the key failed.',
        },
        max_age_seconds: {
          type: 'integer',
          minimum: 1,
          description: 'With `step_up_required` and `step_up_expired`: how old the proof may be.',
        },
        limit: {
          type: 'object',
          description: 'With 429: the limit that refused.',
          required: ['scope', 'limit', 'window_sec', 'reset_at'],
          properties: {
            scope: { enum: ['tenant', 'key', 'proxy'], description: 'Whose limit it is.' },
            limit: { type: 'integer', minimum: 0, description: 'Requests that the window allows.' },
            window_sec: { type: 'integer', minimum: 1, description: 'Length of the window, in seconds.' },
            reset_at: {
              type: 'string',
              format: 'date-time',
              description: 'When the whole limit is there again.',
            },
          },
        },
      },
    },
    fields: {
      type: 'object',
      description: 'With `validation_error`: the rules that each field broke.',
      additionalProperties: { type: 'array', items: { type: 'string' } },
    },
  },
  examples: [
    {
      error: {
        type: 'validation_error',
        message: 'name: is required',
        request_id: '6f2c1f0e-3a55-4c0d-9d0a-5a1de2b0c7aa',
      },
      fields: { name: ['is required'] },
    },
  ],
};
