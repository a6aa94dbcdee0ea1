import type { ErrorType } from '../../../kernel/errors.js';
import { LIMITS } from '../../../kernel/limits.js';
import type { MountedRoute } from '../mounts.js';
import { bodyBytesMaxOf, type RouteDefinition } from '../route.js';
import type { Components, JsonObject } from './components.js';
import { API_ERRORS, type Described, versionParameter, withHeaders } from './operation.js';
import { capitalised, operationIdOf } from './operation-id.js';

const JSON_TYPE = 'application/json';

export function describeRoute(mounted: MountedRoute, components: Components): Described {
  const { definition: route, path } = mounted;
  const operationId = operationIdOf(mounted);
  return {
    method: route.method,
    path,
    operationId,
    summary: route.summary,
    ...descriptionOf(route),
    credential: credentialOf(mounted),
    permission: route.permission,
    parameters: [
      ...pathParameters(route, components),
      ...queryParameters(route, components),
      ...headerParameters(mounted, components),
    ],
    ...(route.body ? { requestBody: requestBody(route, components) } : {}),
    answers: answersOf(mounted, components),
    errors: errorsOf(route),
  };
}

function credentialOf({ definition: { access }, mount }: MountedRoute): Described['credential'] {
  if (access === 'public') return 'none';
  if (access === 'capability') return 'capability';
  return mount === 'v1' ? 'key' : 'user';
}

function answersOf(mounted: MountedRoute, components: Components): Described['answers'] {
  const { status = 200, isPending, etag } = mounted.definition;
  const done = { [status]: success(mounted, components, status) };
  if (etag) return { ...done, 304: NOT_MODIFIED };
  return isPending ? { ...done, 202: success(mounted, components, 202) } : done;
}

/** `If-None-Match` is what HTTP says of every GET with a validator (RFC 9110 §13.1.2). */
const NOT_MODIFIED = { description: 'What `If-None-Match` names still holds.' };
const SUCCESS = { 200: 'Done.', 201: 'Created.', 202: 'Accepted; it is not done yet.' } as const;

function descriptionOf({ audit, stepUp }: RouteDefinition): { description?: string } {
  const lines: string[] = [];
  if (stepUp) {
    const use = stepUp.isConsumed ? ', which it uses up' : '';
    lines.push(`Step-up: at most ${stepUp.maxAgeSeconds} s old${use}.`);
  }
  if (audit !== null) lines.push(`Audited as \`${audit}\`.`);
  return lines.length === 0 ? {} : { description: lines.join('\n\n') };
}

function pathParameters({ path, params }: RouteDefinition, components: Components): JsonObject[] {
  const known = params ? components.members(params) : [];
  return Array.from(path.matchAll(/:([A-Za-z_]+)/g), ([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    ...parameterOf(known.find((member) => member.name === name)?.schema ?? { type: 'string' }),
  }));
}

function queryParameters({ query }: RouteDefinition, components: Components): JsonObject[] {
  if (!query) return [];
  return components.members(query).map(({ name, isRequired, schema }) => ({
    name,
    in: 'query',
    ...(isRequired ? { required: true } : {}),
    ...parameterOf(schema),
  }));
}

/** A parameter is described beside its schema, not in it. */
function parameterOf({ description, ...schema }: JsonObject): JsonObject {
  return { ...(description === undefined ? {} : { description }), schema };
}

function headerParameters({ definition, mount }: MountedRoute, components: Components): JsonObject[] {
  const { method, access = 'tenant' } = definition;
  const parameters: JsonObject[] = [];
  if (mount === 'admin' && access === 'tenant')
    parameters.push(tenantParameter(components), modeParameter(components));
  if (definition.stepUp) parameters.push(stepUpParameter(components));
  if (method !== 'GET' && access === 'tenant') parameters.push(idempotencyParameter(components));
  return [...parameters, versionParameter(components)];
}

function tenantParameter(components: Components): JsonObject {
  return components.add('parameters', 'TenantId', {
    name: 'X-Tenant-ID',
    in: 'header',
    description: 'The tenant that is meant, of those that the user belongs to.',
    schema: { type: 'string', format: 'uuid' },
  });
}

function modeParameter(components: Components): JsonObject {
  return components.add('parameters', 'Mode', {
    name: 'X-KnoxCall-Mode',
    in: 'header',
    description: 'The mode that is meant, where the host does not say it.',
    schema: { type: 'string', enum: ['live', 'test'] },
  });
}

function stepUpParameter(components: Components): JsonObject {
  return components.add('parameters', 'StepUp', {
    name: 'X-KnoxCall-StepUp',
    in: 'header',
    required: true,
    description: 'From `POST /admin/auth/step-up`: the user has just proven itself anew.',
    schema: { type: 'string' },
  });
}

function idempotencyParameter(components: Components): JsonObject {
  return components.add('parameters', 'IdempotencyKey', {
    name: 'X-Idempotency-Key',
    in: 'header',
    description:
      'The same key over retries of one call: within 24 h the answer of the first is given again, with `X-Idempotent-Replay: true`.',
    schema: { type: 'string', minLength: 1, maxLength: 255, examples: ['01JAC4Q2N8XWZ6T5R9V3K7M1YB'] },
  });
}

function requestBody(route: RouteDefinition, components: Components): JsonObject {
  const bytesMax = bodyBytesMaxOf(route);
  return {
    description: `At most ${sizeOf(bytesMax)} of JSON in UTF-8. A field that is not named here is refused.`,
    required: true,
    content: {
      [JSON_TYPE]: { schema: components.input(route.body!, `${schemaNameOf(route)}Request`) },
    },
  };
}

/** Both mounts of a definition share its schemas. */
function schemaNameOf(definition: RouteDefinition): string {
  return capitalised(operationIdOf({ definition, mount: 'v1' }));
}

function success(
  { definition: route, body }: MountedRoute,
  components: Components,
  status: keyof typeof SUCCESS,
): JsonObject {
  const row = components.output(route.response, `${schemaNameOf(route)}Data`);
  const schema = body === 'bare' || route.text ? row : enveloped(route, row, components);
  const answer = {
    description: SUCCESS[status],
    content: { [route.text ?? JSON_TYPE]: { schema } },
  };
  return route.noStore ? withHeaders(answer, ['Cache-Control'], components) : answer;
}

function enveloped(route: RouteDefinition, row: JsonObject, components: Components): JsonObject {
  const { answer } = route;
  if (route.meta === 'none') {
    const warning = { type: 'string', description: 'For people: what to know before going on.' };
    return {
      type: 'object',
      required: ['data'],
      properties: { data: row, ...(route.warning && { warning }) },
    };
  }
  const isList = answer === 'page' || answer === 'feed';
  return {
    type: 'object',
    required: ['data', 'meta'],
    properties: { data: isList ? { type: 'array', items: row } : row, meta: metaOf(answer, components) },
  };
}

const REQUEST_ID = { type: 'string', format: 'uuid', description: 'The same as `X-Request-Id`.' };

function metaOf(answer: RouteDefinition['answer'], components: Components): JsonObject {
  if (answer === 'page') return components.add('schemas', 'PageMeta', PAGE_META);
  if (answer === 'feed') return components.add('schemas', 'FeedMeta', FEED_META);
  return components.add('schemas', 'Meta', {
    type: 'object',
    required: ['request_id'],
    properties: { request_id: REQUEST_ID },
  });
}

const PAGE_META: JsonObject = {
  type: 'object',
  required: ['total', 'page', 'per_page', 'total_pages', 'request_id'],
  properties: {
    total: { type: 'integer', minimum: 0, description: 'Rows that match, on all pages.' },
    page: { type: 'integer', minimum: 1 },
    per_page: { type: 'integer', minimum: 1, maximum: LIMITS.perPageMax },
    total_pages: { type: 'integer', minimum: 1, description: 'A page past the last is empty.' },
    request_id: REQUEST_ID,
  },
};

const FEED_META: JsonObject = {
  type: 'object',
  required: ['next_cursor', 'limit', 'delivery', 'dedupe_on', 'watermark_seconds', 'request_id'],
  properties: {
    next_cursor: {
      type: ['string', 'null'],
      description:
        'For the next call. Null: drained up to the watermark; ask again later with the last cursor.',
    },
    limit: { type: 'integer', minimum: 1, maximum: LIMITS.feedLimitMax },
    delivery: { type: 'string', const: 'at_least_once' },
    dedupe_on: { type: 'string', description: 'The field that tells a row that came twice.' },
    watermark_seconds: {
      type: 'integer',
      minimum: 0,
      description: 'Rows younger than this, in seconds, are not shown yet.',
    },
    _redacted: {
      type: 'array',
      items: { type: 'string' },
      description: 'Groups of fields that this credential may not see.',
    },
    request_id: REQUEST_ID,
  },
};

function errorsOf({
  method,
  path,
  body,
  errors = [],
  access = 'tenant',
  stepUp,
}: RouteDefinition): ErrorType[] {
  const found = access === 'public' ? [...errors, ...API_ERRORS] : [...errors];
  if (path.includes('/:')) found.push('not_found');
  if (method !== 'GET' && access === 'tenant') found.push('idempotency_conflict');
  if (stepUp) found.push('step_up_required', 'step_up_expired', 'forbidden');
  if (body) found.push('payload_too_large', 'unsupported_media_type');
  return found;
}

function sizeOf(bytes: number): string {
  const kib = bytes / 1024;
  return kib < 1024 ? `${kib} KiB` : `${kib / 1024} MiB`;
}
