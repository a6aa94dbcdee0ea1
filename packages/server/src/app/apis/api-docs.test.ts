import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ERROR_STATUS } from '../../kernel/errors.js';
import { mountedRoutes } from '../../platform/http/mounts.js';
import { createHarness, type Harness } from '../../testing/harness.js';
import { managementRoutes } from '../management-routes.js';
import type { Services } from '../services.js';
import { apiDescription } from './api-description.js';
import { createApiDocs } from './api-docs.js';

type Json = ReturnType<typeof JSON.parse>;

/** Definitions keep their services for the handlers, which nobody calls here. */
const noServices: Services = new Proxy({} as Services, { get: () => noServices });
const description: Json = apiDescription(managementRoutes(noServices));

let harness: Harness;
beforeAll(async () => {
  harness = await createHarness({
    extend: (app) => app.register(createApiDocs({ describe: () => description })),
  });
});
afterAll(() => harness.close());

const operations: [string, string, Json][] = Object.entries<Json>(description.paths).flatMap(([path, item]) =>
  Object.entries<Json>(item).map(([method, operation]): [string, string, Json] => [path, method, operation]),
);

const OF_OTHER_APIS = new Set(['/v1/proxy', '/proxy/{route}/{path}', '/v1/oauth/token']);

describe('the description', () => {
  it('has every management route, and none that is not there', () => {
    const described = operations
      .filter(([path]) => /^\/(v1|admin)\//.test(path) && !OF_OTHER_APIS.has(path))
      .map(([path, method]) => `${method.toUpperCase()} ${path}`);
    const registered = mountedRoutes(managementRoutes(noServices)).map(
      ({ definition, path }) => `${definition.method} ${path.replace(/:([A-Za-z_]+)/g, '{$1}')}`,
    );
    expect(described.sort()).toEqual(registered.sort());
  });

  it('has every error type somewhere, under its status', () => {
    const responses = Object.values<Json>(description.components.responses);
    const described = new Set(
      responses.flatMap(({ description: text }) => text.match(/(?<=`)\w+(?=`)/g) ?? []),
    );
    const missing = Object.keys(ERROR_STATUS).filter((type) => !described.has(type));
    expect(missing).toEqual([]);
  });

  it('says of every operation what it is and who may call it', () => {
    const silent = operations.filter(
      ([, , { summary, tags, description: text, security }]) =>
        !summary || tags.length !== 1 || !(security || /Permission: |Any valid credential/.test(text)),
    );
    expect(silent).toEqual([]);
  });
});

describe('answers fit their description', () => {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(description, 'api');

  function fit(method: string, path: string, status: number, body: unknown): unknown {
    const pointer = ['paths', path, method.toLowerCase(), 'responses', String(status)];
    const answer = pointer.reduce((at: Json, name) => at[name], description);
    const at = answer.$ref ? answer.$ref.slice(2).split('/') : pointer;
    const escaped = at.map((name: string) =>
      encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1')),
    );
    const validate = ajv.compile({
      $ref: `api#/${[...escaped, 'content', 'application~1json', 'schema'].join('/')}`,
    });
    return validate(body) ? null : validate.errors;
  }

  it.each([
    ['GET', '/v1/api-keys', 200, undefined],
    ['GET', '/v1/api-keys', 400, { path: '/v1/api-keys?page=x' }],
    ['GET', '/v1/api-keys', 401, { key: '' }],
    ['POST', '/v1/api-keys', 201, { body: { name: 'n' } }],
    ['POST', '/v1/api-keys', 400, { body: {} }],
    ['POST', '/v1/api-keys', 415, { body: {}, headers: { 'content-type': 'text/plain' } }],
    ['GET', '/v1/audit-logs', 200, undefined],
    ['DELETE', '/v1/api-keys/{id}', 404, { path: '/v1/api-keys/unknown' }],
    ['GET', '/healthz', 200, { key: '' }],
    ['GET', '/readyz', 200, { key: '' }],
  ])('%s %s %d', async (method, path, status, call: Json = {}) => {
    const { path: url = path, key = harness.tenant.live, ...options } = call;
    const answer = await harness.call(method, url, { ...options, ...(key ? { key } : {}) });
    expect([answer.status, fit(method, path, status, answer.json)]).toEqual([status, null]);
  });

  it('and the check can fail', () => {
    expect(fit('GET', '/v1/api-keys', 200, { data: [{}], meta: {} })).not.toBeNull();
  });
});

describe('/openapi.json', () => {
  it('is bare and open', async () => {
    const answer = await harness.call('GET', '/openapi.json');
    expect([answer.status, answer.json.openapi]).toEqual([200, '3.1.1']);
  });
});

describe('/docs', () => {
  it.each([
    ['/docs', 'text/html; charset=utf-8', 'KnoxCall API'],
    ['/docs/page.js', 'text/javascript; charset=utf-8', 'SwaggerUIBundle'],
    ['/docs/page.css', 'text/css; charset=utf-8', 'body'],
    ['/docs/swagger-ui.css', 'text/css; charset=utf-8', '.swagger-ui'],
    ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8', 'SwaggerUIBundle'],
  ])('%s', async (path, type, content) => {
    const answer = await harness.call('GET', path);
    expect([answer.status, answer.headers['content-type']]).toEqual([200, type]);
    expect(answer.text).toContain(content);
    expect(answer.headers).toMatchObject({
      'content-security-policy': expect.stringMatching(
        /^default-src 'none'; script-src 'self'; style-src 'self';/,
      ),
      'x-content-type-options': 'nosniff',
    });
    expect(answer.headers['content-security-policy']).not.toMatch(/unsafe|http/);
  });

  it('loads nothing from elsewhere', async () => {
    const { text } = await harness.call('GET', '/docs');
    const loaded = Array.from(text.matchAll(/(?:src|href)="([^"]+)"/g), ([, url]) => url);
    expect(loaded.filter((url) => !url!.startsWith('/') && url !== 'data:,')).toEqual([]);
  });

  it.each(['/docs/package.json', '/docs/../package.json', '/docs/%2e%2e/package.json', '/docs/'])(
    '%s is 404',
    async (path) => {
      expect((await harness.call('GET', path)).status).toBe(404);
    },
  );
});
