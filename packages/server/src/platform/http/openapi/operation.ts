import { ERROR_STATUS, type ErrorType } from '../../../kernel/errors.js';
import { API_VERSION } from '../caller.js';
import type { Components, JsonObject } from './components.js';
import { capitalised } from './operation-id.js';

/** One endpoint as the document shows it: made of a route definition, or by hand where an endpoint has none. */
export interface Described {
  readonly method: string;
  /** `:name` where the path has a parameter. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  /** Of contract README §2; `null` = any valid credential; `open` = none is looked at. */
  readonly permission: string | null | 'open';
  readonly parameters?: readonly JsonObject[];
  readonly requestBody?: JsonObject;
  /** By status, or `default`. `X-Request-Id` is added. */
  readonly answers: Readonly<Record<string, JsonObject>>;
  readonly errors: readonly ErrorType[];
}

/** What every call with a credential may be refused with, whatever its endpoint (auth.md §5, order of checks). */
const CALLER_ERRORS: readonly ErrorType[] = [
  'validation_error',
  'invalid_api_version',
  'authentication_required',
  'invalid_api_key',
  'invalid_token',
  'wrong_key_type',
  'subscription_inactive',
  'tenant_not_found',
];

/** What any request to this server may be refused with. */
const SERVER_ERRORS: readonly ErrorType[] = ['headers_too_large', 'internal_error', 'dependency_unavailable'];

export function operationOf(described: Described, tag: string, components: Components): JsonObject {
  const { permission } = described;
  const isOpen = permission === 'open';
  const errors = [...described.errors];
  if (!isOpen) errors.push(...CALLER_ERRORS, ...SERVER_ERRORS);
  if (!isOpen && permission !== null) errors.push('forbidden');
  const parameters = [...(described.parameters ?? [])];
  if (!isOpen) parameters.push(versionParameter(components));
  return {
    operationId: described.operationId,
    tags: [tag],
    summary: described.summary,
    ...descriptionOf(described),
    ...(isOpen ? { security: [] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(described.requestBody ? { requestBody: described.requestBody } : {}),
    responses: {
      ...Object.fromEntries(
        Object.entries(described.answers).map(([status, answer]) => [
          status,
          withHeaders(answer, isOpen ? ['X-Request-Id'] : ['X-Request-Id', ...RATE_HEADERS], components),
        ]),
      ),
      ...errorAnswers(errors, components),
    },
  };
}

function descriptionOf({ description, permission }: Described): JsonObject {
  const lines = permission === 'open' ? [] : [permissionLine(permission)];
  if (description) lines.push(description);
  return lines.length === 0 ? {} : { description: lines.join('\n\n') };
}

const permissionLine = (permission: string | null) =>
  permission === null ? 'Any valid credential.' : `Permission: \`${permission}\`.`;

function versionParameter(components: Components): JsonObject {
  return components.add('parameters', 'KnoxCallVersion', {
    name: 'KnoxCall-Version',
    in: 'header',
    description: 'Version of the API the caller was written for; absent: the newest.',
    schema: { type: 'string', enum: [API_VERSION] },
  });
}

const RATE_HEADERS = ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'] as const;

/** Response headers that many answers share (contract README §6). */
const HEADERS = {
  'X-Request-Id': {
    description: 'Id of this request, in every answer, error and log line.',
    required: true,
    schema: { type: 'string', format: 'uuid' },
  },
  'X-RateLimit-Limit': {
    description: 'Requests that the window allows; on limited surfaces.',
    schema: { type: 'integer', minimum: 1 },
  },
  'X-RateLimit-Remaining': {
    description: 'Requests that are left in the window.',
    schema: { type: 'integer', minimum: 0 },
  },
  'X-RateLimit-Reset': {
    description: 'When the window ends, in epoch seconds.',
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
