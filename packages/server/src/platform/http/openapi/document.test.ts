import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { mountedRoutes } from '../mounts.js';
import { type RouteDefinition, route } from '../route.js';
import type { JsonObject } from './components.js';
import { openApiDocument } from './document.js';
import { operationIdOf } from './operation-id.js';

const thing = z.object({ id: z.string(), note: z.string().nullable() }).meta({ id: 'Thing' });

function definition(fields: Partial<RouteDefinition> = {}): RouteDefinition {
  return route({
    method: 'GET',
    path: '/v1/things',
    summary: 'List things',
    permission: 'things:read',
    audit: null,
    response: thing,
    handle: async () => ({}),
    ...fields,
  });
}

type Document = JsonObject & { paths: Record<string, Record<string, JsonObject>>; components: JsonObject };

function documentOf(...routes: RouteDefinition[]): Document {
  return openApiDocument({
    info: { title: 'Test' },
    securitySchemes: {},
    security: [],
    routes: mountedRoutes(routes),
    described: [],
    tagOf: () => ({ name: 'Things', description: 'All of them.' }),
  }) as Document;
}

function follow(document: JsonObject, value: unknown): JsonObject {
  const ref = (value as JsonObject)['$ref'];
  if (typeof ref !== 'string') return value as JsonObject;
  return ref
    .slice(2)
    .split('/')
    .reduce((at, name) => at[name] as JsonObject, document);
}

/** The types under each status of an operation. */
function errorsOf(document: Document, operation: JsonObject): Record<string, string[]> {
  const answers = Object.entries(operation['responses'] as JsonObject).filter(([status]) => status >= '4');
  return Object.fromEntries(
    answers.map(([status, answer]) => {
      const types = String(follow(document, answer)['description']).matchAll(/`(\w+)`/g);
      return [status, Array.from(types, ([, type = '']) => type)];
    }),
  );
}

describe('an operation', () => {
  it('says permission, audit action, success and the refusals that every call may meet', () => {
    const document = documentOf(definition());
    const operation = document.paths['/v1/things']!['get']!;
    expect(operation).toMatchObject({
      operationId: 'getThings',
      tags: ['Things'],
      summary: 'List things',
      description: 'Permission: `things:read`.',
    });
    expect(errorsOf(document, operation)).toEqual({
      400: ['validation_error', 'invalid_api_version'],
      401: [
        'authentication_required',
        'invalid_api_key',
        'invalid_token',
        'invalid_dpop_proof',
        'use_dpop_nonce',
      ],
      403: ['wrong_key_type', 'subscription_inactive', 'forbidden'],
      404: ['tenant_not_found'],
      429: ['rate_limit_exceeded'],
      431: ['headers_too_large'],
      500: ['internal_error'],
      503: ['dependency_unavailable'],
    });
  });

  it('adds what a row’s name, a body and the endpoint itself may be refused with', () => {
    const document = documentOf(
      definition({
        method: 'PATCH',
        path: '/v1/things/:id',
        permission: null,
        audit: 'thing.update',
        body: z.object({ note: z.string() }),
        errors: ['conflict'],
      }),
    );
    const operation = document.paths['/v1/things/{id}']!['patch']!;
    expect(operation['description']).toBe('Any valid credential.\n\nAudited as `thing.update`.');
    expect(errorsOf(document, operation)).toMatchObject({
      403: ['wrong_key_type', 'subscription_inactive'],
      404: ['not_found', 'tenant_not_found'],
      409: ['conflict', 'idempotency_conflict'],
      413: ['payload_too_large'],
      415: ['unsupported_media_type'],
    });
  });

  it('names the headers of its answers', () => {
    const document = documentOf(definition({ noStore: true }));
    const answers = document.paths['/v1/things']!['get']!['responses'] as Record<string, JsonObject>;
    const headersOf = (status: string) => Object.keys(follow(document, answers[status])['headers'] as object);
    expect(headersOf('200')).toEqual([
      'X-Request-Id',
      'X-RateLimit-Limit',
      'X-RateLimit-Remaining',
      'X-RateLimit-Reset',
      'Cache-Control',
    ]);
    expect(headersOf('401')).toContain('WWW-Authenticate');
    expect(headersOf('503')).toContain('Retry-After');
  });

  it.each([
    ['single', 'Meta', { $ref: '#/components/schemas/Thing' }],
    ['page', 'PageMeta', { type: 'array', items: { $ref: '#/components/schemas/Thing' } }],
    ['feed', 'FeedMeta', { type: 'array', items: { $ref: '#/components/schemas/Thing' } }],
  ] as const)('wraps a %s', (answer, meta, data) => {
    const document = documentOf(definition({ answer }));
    const answers = document.paths['/v1/things']!['get']!['responses'] as Record<string, JsonObject>;
    const content = answers['200']!['content'] as Record<string, JsonObject>;
    expect(content['application/json']!['schema']).toMatchObject({
      required: ['data', 'meta'],
      properties: { data, meta: { $ref: `#/components/schemas/${meta}` } },
    });
  });

  it('describes its parameters: path, query, headers', () => {
    const document = documentOf(
      definition({
        method: 'DELETE',
        path: '/v1/things/:id/parts/:part_id',
        params: z.object({ id: z.string().max(9).describe('Which thing.') }),
        query: z.object({ force: z.enum(['true', 'false']).default('false'), of: z.string() }),
      }),
    );
    const parameters = document.paths['/v1/things/{id}/parts/{part_id}']!['delete']!['parameters'];
    expect((parameters as JsonObject[]).map((one) => follow(document, one))).toMatchObject([
      { name: 'id', in: 'path', required: true, description: 'Which thing.', schema: { maxLength: 9 } },
      { name: 'part_id', in: 'path', required: true, schema: { type: 'string' } },
      { name: 'force', in: 'query', schema: { enum: ['true', 'false'], default: 'false' } },
      { name: 'of', in: 'query', required: true },
      { name: 'X-Idempotency-Key', in: 'header' },
      { name: 'KnoxCall-Version', in: 'header' },
    ]);
  });
});

describe('a twin under /admin', () => {
  const operationAt = (path: string, fields: Partial<RouteDefinition>) =>
    documentOf(definition({ method: 'POST', body: z.object({}), ...fields })).paths[path]!['post']!;

  it('takes the token of a user, says which tenant is meant, and has a name of its own', () => {
    const document = documentOf(definition({ method: 'POST' }));
    const operation = document.paths['/admin/things']!['post']!;
    expect(operation).toMatchObject({ operationId: 'adminCreateThing', security: [{ adminToken: [] }] });
    const parameters = (operation['parameters'] as JsonObject[]).map((one) => follow(document, one)['name']);
    expect(parameters).toEqual(['X-Tenant-ID', 'X-KnoxCall-Mode', 'X-Idempotency-Key', 'KnoxCall-Version']);
    expect(errorsOf(document, operation)[401]).toEqual(['authentication_required', 'invalid_token']);
  });

  it('is bare where its definition says so, with the schemas of its twin', () => {
    const answers = operationAt('/admin/things', { admin: 'bare' })['responses'];
    expect(answers).toMatchObject({
      200: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Thing' } } } },
    });
  });

  it('is not there where its definition has none', () => {
    expect(Object.keys(documentOf(definition({ admin: 'none' })).paths)).toEqual(['/v1/things']);
  });

  it('needs no credential where it is public, and no tenant before one is chosen', () => {
    const open = operationAt('/admin/auth/login', {
      path: '/admin/auth/login',
      permission: null,
      access: 'public',
    });
    expect(open).toMatchObject({ security: [] });
    expect(open['responses']).not.toHaveProperty('401');
    expect(open['responses']).toHaveProperty('400');
    const session = operationAt('/admin/auth/x', {
      path: '/admin/auth/x',
      permission: null,
      access: 'session',
    });
    expect(session['parameters']).toEqual([{ $ref: '#/components/parameters/KnoxCallVersion' }]);
  });
});

describe('schemas', () => {
  function schemasOf(fields: Partial<RouteDefinition>): Record<string, JsonObject> {
    return documentOf(definition({ method: 'POST', status: 201, ...fields })).components['schemas'] as Record<
      string,
      JsonObject
    >;
  }

  it('are named by their id, or after their operation', () => {
    const schemas = schemasOf({ body: z.object({ a: z.string() }), response: z.object({ b: z.string() }) });
    expect(Object.keys(schemas)).toEqual(expect.arrayContaining(['CreateThingRequest', 'CreateThingData']));
    expect(Object.keys(schemasOf({}))).toContain('Thing');
  });

  it('of bodies refuse what they do not name, of answers leave room for more', () => {
    const schemas = schemasOf({ body: z.object({ a: z.string() }) });
    expect(schemas['CreateThingRequest']).toHaveProperty('additionalProperties', false);
    expect(schemas['Thing']).not.toHaveProperty('additionalProperties');
  });

  it('show what is on the wire, not what code makes of it', () => {
    const body = z
      .strictObject({
        at: z.iso.datetime({ offset: true }).transform((text) => Date.parse(text)),
        never: z.undefined('cannot be changed').optional(),
        kind: z.enum(['a', 'b']).nullable(),
        count: z.number().int(),
      })
      .transform(() => 1);
    expect(schemasOf({ body })['CreateThingRequest']).toEqual({
      type: 'object',
      properties: {
        at: { type: 'string', format: 'date-time' },
        kind: { type: ['string', 'null'], enum: ['a', 'b', null] },
        count: { type: 'integer' },
      },
      required: ['at', 'kind', 'count'],
      additionalProperties: false,
    });
  });

  it('cannot share a name', () => {
    const other = z.object({ other: z.string() });
    expect(() =>
      documentOf(
        definition(),
        definition({ path: '/v1/others', response: z.object({ a: other }), operationId: 'Thin' }),
        definition({ path: '/v1/more', response: other, operationId: 'thin' }),
      ),
    ).toThrow(/called ThinData/);
  });
});

it('two endpoints cannot share an operationId', () => {
  expect(() => documentOf(definition(), definition({ path: '/v1/thing', operationId: 'getThings' }))).toThrow(
    /operationId getThings/,
  );
});

describe('operationId', () => {
  it.each([
    ['GET', '/v1/vaults', { answer: 'page' }, 'listVaults'],
    ['GET', '/v1/vaults/:id', {}, 'getVault'],
    ['GET', '/v1/vaults/:id/tokens', { answer: 'page' }, 'listVaultTokens'],
    ['POST', '/v1/vaults/:id/tokens', { status: 201 }, 'createVaultToken'],
    ['DELETE', '/v1/vaults/:id/tokens/:token', {}, 'deleteVaultToken'],
    ['PATCH', '/v1/redaction-rules/:id', {}, 'updateRedactionRule'],
    ['POST', '/v1/redaction-rules/test', {}, 'testRedactionRule'],
    ['POST', '/v1/vaults/:id/rotate', {}, 'rotateVault'],
    ['GET', '/v1/account', {}, 'getAccount'],
    ['GET', '/v1/account/usage', {}, 'getAccountUsage'],
    ['GET', '/v1/policies/:id', {}, 'getPolicy'],
    ['GET', '/admin/vaults', { answer: 'page' }, 'adminListVaults'],
  ] as const)('%s %s', (method, path, fields, expected) => {
    const [place] = mountedRoutes([definition({ method, path, ...fields })]);
    expect(operationIdOf(place!)).toBe(expected);
  });
});
