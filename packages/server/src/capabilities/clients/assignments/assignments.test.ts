import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forEachDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import type { NewClient } from '../service.js';

const NEW: NewClient = {
  name: 'n',
  type: 'server',
  ipAddress: '',
  ipNotes: {},
  description: null,
  signingSecretId: null,
};
const UNKNOWN = '00000000-0000-4000-8000-00000000dead';
let routes = 0;
/** Each case has a route of its own. */
const freshPlace = () => ({
  routeId: `cccccccc-0000-4000-8000-${String(++routes).padStart(12, '0')}`,
  environment: 'production',
});

forEachDatabase((_name, open) => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await createHarness({ open });
  });
  afterAll(() => harness.close());

  const caller = (mode: 'live' | 'test' = 'live') => harness.callerOf(harness.tenant, mode);
  const live = () => caller().principal.scope;
  const assignments = () => harness.clients.assignments;
  const make = async (mode: 'live' | 'test' = 'live') => (await harness.clients.create(caller(mode), NEW)).id;
  const audits = async (action: string) => {
    const { json } = await harness.call('GET', `/v1/audit-logs?action=${action}&per_page=100`, {
      key: harness.tenant.live,
    });
    return json['data'];
  };

  describe('clients of a route in an environment', () => {
    it('are replaced as a set, with a row for those that came and one for those that went', async () => {
      const at = freshPlace();
      const [a, b, c] = [await make(), await make(), await make()];
      expect(await assignments().list(live(), at)).toEqual([]);
      expect(await assignments().replace(caller(), at, [b, a.toUpperCase(), b])).toEqual([a, b]);
      expect(await assignments().replace(caller(), at, [b, c])).toEqual([b, c]);
      expect(await assignments().list(live(), at)).toEqual([b, c]);
      const details = { route_id: at.routeId, environment: 'production', clients_count: 1 };
      expect((await audits('client.assign'))[0]).toMatchObject({
        resource_type: 'client',
        resource_id: c,
        details: { ...details, client_ids: [c] },
      });
      expect((await audits('client.unassign'))[0]).toMatchObject({
        resource_id: a,
        details: { ...details, client_ids: [a] },
      });
      expect(await assignments().list(live(), { ...at, environment: 'staging' })).toEqual([]);
      await assignments().replace(caller(), at, []);
      expect(await assignments().list(live(), at)).toEqual([]);
    });

    it('come and go one by one, once', async () => {
      const at = freshPlace();
      const id = await make();
      const before = (await audits('client.assign')).length;
      for (let i = 0; i < 2; i++) await assignments().assign(caller(), at, id);
      expect(await assignments().list(live(), at)).toEqual([id]);
      expect((await audits('client.assign')).length).toBe(before + 1);
      const removals = (await audits('client.unassign')).length;
      for (let i = 0; i < 2; i++) await assignments().unassign(caller(), at, id);
      expect(await assignments().list(live(), at)).toEqual([]);
      expect((await audits('client.unassign')).length).toBe(removals + 1);
    });

    it('are 404 where one is unknown, of another mode or another tenant, and nothing is changed', async () => {
      const at = freshPlace();
      const id = await make();
      await assignments().assign(caller(), at, id);
      const foreign = (await harness.clients.create(harness.callerOf(harness.other, 'live'), NEW)).id;
      for (const stranger of [UNKNOWN, 'x', await make('test'), foreign]) {
        const refusal = { type: 'not_found', publicMessage: 'Client not found' };
        await expect(assignments().replace(caller(), at, [stranger])).rejects.toMatchObject(refusal);
        await expect(assignments().assign(caller(), at, stranger)).rejects.toMatchObject(refusal);
        await expect(assignments().unassign(caller(), at, stranger)).rejects.toMatchObject(refusal);
      }
      expect(await assignments().list(live(), at)).toEqual([id]);
    });

    it('are shown with the client, and go with it', async () => {
      const [at, further] = [freshPlace(), freshPlace()];
      const id = await make();
      for (const place of [further, at]) await assignments().assign(caller(), place, id);
      const { json } = await harness.call('GET', `/v1/clients/${id}`, { key: harness.tenant.live });
      expect(json['data'].route_assignments).toEqual(
        [at, further].map(({ routeId }) => ({
          route_id: routeId,
          route_name: null,
          environment_name: 'production',
        })),
      );
      await harness.clients.delete(caller(), id);
      expect(await assignments().list(live(), at)).toEqual([]);
    });

    it('are many, in a few statements', async () => {
      const at = freshPlace();
      const ids: string[] = [];
      while (ids.length < 1_201) ids.push(...(await Promise.all(Array.from({ length: 200 }, () => make()))));
      ids.length = 1_201;
      const assigned = await assignments().replace(caller(), at, ids);
      expect(assigned).toHaveLength(1_201);
      expect(await assignments().list(live(), at)).toEqual(assigned);
      const details = (await audits('client.assign'))[0].details;
      expect([details.clients_count, details.client_ids.length]).toEqual([1_201, 20]);
      await assignments().replace(caller(), at, ids.slice(0, 1));
      expect(await assignments().list(live(), at)).toEqual(ids.slice(0, 1));
    }, 120_000);
  });
});
