import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JsonTree } from '../../../testing/calls.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { type MatrixRig, openMatrixRig, type World } from '../../../testing/matrix-rig.js';

const PATH = '/v1/wrap/intercept-manifest';

forEachDatabase((_name, open) => {
  describe('GET /v1/wrap/intercept-manifest', () => {
    let rig: MatrixRig;
    let world: World;
    beforeAll(async () => {
      rig = await openMatrixRig({ open });
      world = rig.world('v1', rig.tenant, 'live');
      await world.create('/v1/environments', { name: 'staging' });
    });
    afterAll(() => rig.close());

    let made = 0;
    async function routeTo(target_base_url: string, terms: object = {}): Promise<string> {
      const body = { name: `route-${++made}`, target_base_url, intercept_enabled: true, ...terms };
      return (await world.create('/v1/routes', body)).id;
    }
    const patch = async (id: string, body: object) => {
      const { status, text } = await world.call('PATCH', `/v1/routes/${id}`, { body });
      expect(status, text).toBe(200);
    };
    const remove = (...ids: string[]) =>
      Promise.all(ids.map((id) => world.call('DELETE', `/v1/routes/${id}`)));
    const read = async (query = '', of: World = world) =>
      (await of.call('GET', `${PATH}${query}`)).json['data'] as unknown as JsonTree;
    const routes = async (query = '') => (await read(query))['routes'] as unknown as JsonTree[];

    it('is empty, and says for what', async () => {
      expect(await read()).toEqual({
        version: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
        ttl_seconds: 60,
        environment: 'production',
        sandbox: false,
        routes: [],
      });
      expect(await read('', rig.world('v1', rig.tenant, 'test'))).toMatchObject({
        sandbox: true,
        routes: [],
      });
    });

    it('has routes that say so, in order, without port and dot', async () => {
      const ids = [
        await routeTo('https://B.example.com/', { slug: 'last' }),
        await routeTo('https://a.example.com/v1', { slug: 'short' }),
        await routeTo('https://a.example.com:8443/v1/long/', { slug: 'long' }),
        await routeTo('https://c.example.com/', { slug: 'off', intercept_enabled: false }),
      ];
      expect(await routes()).toEqual([
        {
          host: 'a.example.com',
          base_path: '/v1/long',
          slug: 'long',
          route_id: ids[2],
          requires_clients: false,
          allowed_methods: null,
          updated_at: expect.any(String),
        },
        expect.objectContaining({ host: 'a.example.com', base_path: '/v1', slug: 'short' }),
        expect.objectContaining({ host: 'b.example.com', base_path: '/', slug: 'last' }),
      ]);
      for (const of of [rig.world('v1', rig.tenant, 'test'), rig.world('v1', rig.other, 'live')])
        expect((await read('', of))['routes']).toEqual([]);
      await remove(...ids);
    });

    it('tells of two with one target that they are ambiguous', async () => {
      const ids = [
        await routeTo('https://same.example.com/v1', { slug: 'two' }),
        await routeTo('https://same.example.com/v1/', { slug: 'one' }),
        await routeTo('https://same.example.com/', { slug: 'other' }),
      ];
      expect((await routes()).map((entry) => [entry['slug'], entry['ambiguous']])).toEqual([
        ['one', true],
        ['two', true],
        ['other', undefined],
      ]);
      await remove(...ids);
    });

    it('follows the environment: its own terms, else those of the base; not what is off', async () => {
      const id = await routeTo('https://env.example.com/', {
        slug: null,
      });
      await patch(id, { allowed_methods: ['GET'], http_method_restrictions_enabled: true });
      expect(await routes('?environment=staging')).toEqual([]);
      const put = (body: object) => world.call('PUT', `/v1/routes/${id}/environments/staging`, { body });
      expect((await put({})).status).toBe(200);
      expect(await routes('?environment=staging')).toEqual([
        expect.objectContaining({ host: 'env.example.com', slug: null, allowed_methods: ['GET'] }),
      ]);
      await put({ target_base_url: 'https://staging.example.com/x', allowed_methods: ['POST'] });
      expect(await routes('?environment=staging')).toEqual([
        expect.objectContaining({
          host: 'staging.example.com',
          base_path: '/x',
          allowed_methods: ['POST'],
        }),
      ]);
      await put({ intercept_enabled: false });
      expect(await routes('?environment=staging')).toEqual([]);
      expect(await routes()).toHaveLength(1);
      await patch(id, { enabled: false });
      expect(await routes()).toEqual([]);
      await remove(id);
    });

    it('400 of an environment that there is not', async () => {
      const { status, json } = await world.call('GET', `${PATH}?environment=nowhere`);
      expect([status, Object.keys(json['fields'] ?? {})]).toEqual([400, ['environment']]);
    });

    it('304 to who has it, until a route changes', async () => {
      const id = await routeTo('https://etag.example.com/', { slug: 'etag' });
      const first = await world.call('GET', PATH);
      const version = first.json['data']?.['version'];
      const etag = `${first.headers['etag']}`;
      expect([etag, first.headers['cache-control']]).toEqual([`W/"${version}"`, 'private, no-cache']);
      const ask = (tag: string) => world.call('GET', PATH, { headers: { 'if-none-match': tag } });
      for (const tag of [etag, etag.slice(2), `"x", ${etag}`, '*']) {
        const again = await ask(tag);
        expect([again.status, again.text, again.headers['etag']]).toEqual([304, '', etag]);
      }
      expect((await ask('W/"sha256:0"')).status).toBe(200);
      rig.clock.advance(1);
      await patch(id, { requires_clients: true });
      const changed = await ask(etag);
      expect([changed.status, changed.json['data']?.['version']]).not.toEqual([304, version]);
      expect(await routes()).toEqual([expect.objectContaining({ requires_clients: true })]);
      await remove(id);
      expect((await ask(etag)).status).toBe(200);
    });
  });
});
