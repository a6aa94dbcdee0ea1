import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mountedRoutes } from '../../platform/http/mounts.js';
import type { RouteDefinition } from '../../platform/http/route.js';
import { openInstallation, type TestInstallation } from '../../testing/installation.js';

/** The conventions of auth.md §5 at every list there is. Keys with a meaning of their own are in idempotency.test.ts. */
let installation: TestInstallation;
let lists: RouteDefinition[];
let webhookId: string;
beforeAll(async () => {
  installation = await openInstallation();
  lists = installation.routes.filter(({ method }) => method === 'GET');
  for (const name of ['cards', 'second', 'third'])
    await installation.call('POST', '/v1/vaults', { body: { name } });
  for (const value of ['a', 'b', 'c'])
    await installation.call('POST', '/v1/vaults/cards/tokens', { body: { value } });
  const webhook = { name: 'ops', url: 'https://hooks.example.com/in', event_types: ['request.completed'] };
  webhookId = (await installation.call('POST', '/v1/webhooks', { body: webhook })).json.data.id;
  const roots = '/v1/pki/roots';
  await installation.call('POST', roots, { body: { name: 'corp' } });
  const role = { role_name: 'web', allowed_domains: ['*.example.com'] };
  await installation.call('POST', `${roots}/corp/roles`, { body: role });
  for (const host of ['a', 'b', 'c']) {
    const body = { san_dns: [`${host}.example.com`] };
    await installation.call('POST', `${roots}/corp/issue/web`, { body });
  }
});
afterAll(() => installation.close());

const listsOf = (answer: RouteDefinition['answer']) =>
  lists
    .filter((definition) => definition.answer === answer)
    .map(({ path }) =>
      path
        .replace(':nameOrId', 'cards')
        .replace('/webhooks/:id/', `/webhooks/${webhookId}/`)
        .replace('/roots/:name/', '/roots/corp/')
        .replace('/roles/:role/', '/roles/web/'),
    )
    // Of a row that would have to be made: its own suite looks at it.
    .filter((path) => !path.includes(':'));
const get = (path: string) => installation.call('GET', path, {});
const metaOf = async (path: string) => (await get(path)).json.meta;
const statusOf = async (path: string) => [path, (await get(path)).status];

describe('every paged list', () => {
  it('is there to be looked at', () => {
    expect(listsOf('page')).toEqual(
      expect.arrayContaining(['/v1/api-keys', '/v1/vaults/cards/tokens', '/v1/pki/roots/corp/certs']),
    );
  });

  it('says where it is, by default on page 1 of 20 rows each', async () => {
    for (const path of listsOf('page')) {
      const { json, headers } = await get(path);
      expect([path, json.meta]).toEqual([
        path,
        {
          total: json.data.length,
          page: 1,
          per_page: 20,
          total_pages: 1,
          request_id: headers['x-request-id'],
        },
      ]);
    }
  });

  it('gives at most 100 rows, and nothing past its end', async () => {
    for (const path of listsOf('page')) {
      expect([path, (await metaOf(`${path}?per_page=101`)).per_page]).toEqual([path, 100]);
      expect([path, (await metaOf(`${path}?per_page=1000000`)).per_page]).toEqual([path, 100]);
      const past = await get(`${path}?page=1000`);
      expect([path, past.status, past.json.data]).toEqual([path, 200, []]);
      expect(past.json.meta.total_pages).toBeGreaterThanOrEqual(1);
    }
  });

  it('is in order of creation, newest first unless asked otherwise, and pages do not overlap', async () => {
    for (const path of listsOf('page')) {
      // The roles of the product have no time of creation: their list is by name. Secrets are by name as well
      // (dataplane.md §3), and the tries of a webhook by the time of their execution.
      if (path === '/v1/roles' || path === '/v1/secrets' || path.endsWith('/logs')) continue;
      const idsOf = async (query: string) =>
        (await get(`${path}?${query}`)).json.data.map(
          (row: { readonly id?: string; readonly serial_hex?: string }) => row.id ?? row.serial_hex,
        );
      const newestFirst = await idsOf('sort=created_at&order=desc');
      expect([path, await idsOf('')]).toEqual([path, newestFirst]);
      expect([path, await idsOf('order=asc')]).toEqual([path, newestFirst.toReversed()]);
      const inPages = [...(await idsOf('per_page=2')), ...(await idsOf('per_page=2&page=2'))];
      expect([path, inPages]).toEqual([path, newestFirst.slice(0, 4)]);
    }
  });

  it.each(['page=0', 'page=x', 'page=1.5', 'page=', 'page=1&page=2', 'per_page=0', 'per_page=-1'])(
    'refuses %s and names the field',
    async (query) => {
      for (const path of listsOf('page')) {
        const { status, json } = await get(`${path}?${query}`);
        expect([path, status, Object.keys(json.fields)]).toEqual([path, 400, [query.split('=')[0]]]);
      }
    },
  );

  it.each(['sort=secret', 'order=sideways', 'limit=5', 'cursor=x'])('refuses %s', async (query) => {
    for (const path of listsOf('page'))
      expect(await statusOf(`${path}?${query}`)).toEqual([expect.any(String), 400]);
  });
});

describe('every cursor feed', () => {
  it('says how it is delivered; null is the end for now', async () => {
    for (const path of listsOf('feed')) {
      const { json, headers } = await get(path);
      expect([path, json.meta]).toEqual([
        path,
        {
          next_cursor: null,
          limit: 100,
          delivery: 'at_least_once',
          dedupe_on: expect.any(String),
          watermark_seconds: expect.any(Number),
          request_id: headers['x-request-id'],
        },
      ]);
    }
  });

  it('clamps its limit to 1 and 1,000, and refuses a cursor that is not its own', async () => {
    for (const path of listsOf('feed')) {
      const limits = [];
      for (const limit of [-5, 0, 1, 1000, 1001]) limits.push((await metaOf(`${path}?limit=${limit}`)).limit);
      expect([path, limits]).toEqual([path, [1, 1, 1, 1000, 1000]]);
      expect(await statusOf(`${path}?limit=x`)).toEqual([expect.any(String), 400]);
      const { status, json } = await get(`${path}?cursor=none`);
      expect([path, status, Object.keys(json.fields)]).toEqual([path, 400, ['cursor']]);
    }
  });
});

describe('every route', () => {
  it('refuses a version it does not know, before it asks for a credential', async () => {
    for (const { definition, path } of mountedRoutes(installation.routes)) {
      for (const version of ['2020-01-01', '', '2026-08-05, 2026-08-05', 'latest']) {
        const { status, json } = await installation.call(definition.method, path.replaceAll(':', 'x'), {
          key: 'nobody',
          headers: { 'knoxcall-version': version },
        });
        expect([path, status, json.error.type]).toEqual([path, 400, 'invalid_api_version']);
      }
    }
  });

  it('takes its own version, and telemetry of any shape', async () => {
    for (const telemetry of ['{"v":1}', 'not json', '"\\', 'x'.repeat(8_000)]) {
      const headers = { 'knoxcall-version': '2026-08-05', 'x-knoxcall-telemetry': telemetry };
      expect((await installation.call('GET', '/v1/vaults', { headers })).status).toBe(200);
    }
  });

  it('answers 200, 201 where it adds a row to a collection, or 202 where it is only asked for; never 204', () => {
    for (const { method, status = 200, path } of installation.routes)
      expect([path, method === 'POST' ? [200, 201, 202] : [200]]).toEqual([
        path,
        expect.arrayContaining([status]),
      ]);
  });
});
