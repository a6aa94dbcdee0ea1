import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forEachDatabase } from '../../testing/databases.js';
import { type MatrixRig, openMatrixRig, type World } from '../../testing/matrix-rig.js';

const ROOTS = '/v1/pki/roots';
const MANY = 50;

forEachDatabase((_name, open) => {
  let rig: MatrixRig;
  let live: World;
  beforeAll(async () => {
    rig = await openMatrixRig({ open });
    live = rig.world('v1', rig.tenant, 'live');
  });
  afterAll(() => rig.close());

  const post = (path: string, body: unknown = {}) => live.call('POST', `${ROOTS}${path}`, { body });
  async function newRole(root: string, more: object = {}) {
    await post('', { name: root });
    const role = { role_name: 'web', allowed_domains: ['a.b'], allow_subdomains: true, ...more };
    expect((await post(`/${root}/roles`, role)).status).toBe(201);
  }
  const many = <T>(count: number, act: (n: number) => Promise<T>) =>
    Promise.all(Array.from({ length: count }, (_, n) => act(n)));
  const statusesOf = (answers: readonly { readonly status: number }[]) =>
    answers.map(({ status }) => status).sort();

  describe('calls at the same time', () => {
    it('issue without a failure or a repeated serial while the issuing authority rotates', async () => {
      await newRole('load');
      const rotations = many(3, () => post('/load/rotate-intermediate'));
      const issued = await many(MANY, (n) => post('/load/issue/web', { san_dns: [`n${n}.a.b`] }));
      expect(new Set(statusesOf(issued))).toEqual(new Set([200]));
      const serials = issued.map(({ json }) => json['data'].serial_hex);
      expect(new Set(serials).size).toBe(MANY);
      const isKnown = ({ status }: { readonly status: number }) => status === 200 || status === 409;
      expect((await rotations).every(isKnown)).toBe(true);
      const { json } = await live.call('GET', `${ROOTS}/load/certs?per_page=100`);
      expect(json['meta'].total).toBe(MANY);
      const listed = json['data'].map((row: { serial_hex: string }) => row.serial_hex);
      expect(new Set(listed)).toEqual(new Set(serials));
    });

    it('leave one active issuing authority of two rotations, and audit those that were made', async () => {
      await newRole('turn');
      const answers = await many(2, () => post('/turn/rotate-intermediate'));
      const made = answers.filter(({ status }) => status === 200).length;
      expect(made).toBeGreaterThan(0);
      expect(statusesOf(answers).slice(made)).toEqual(Array(2 - made).fill(409));
      const lists = (await live.call('GET', `${ROOTS}/turn/crl`)).text.match(/BEGIN X509 CRL/g);
      // One of each issuing authority that there was, and that of the root.
      expect(lists).toHaveLength(1 + made + 1);
      const chains = await many(5, () => post('/turn/issue/web', { san_dns: ['a.b'] }));
      expect(new Set(chains.map(({ json }) => json['data'].ca_chain_pem)).size).toBe(1);
    });

    it('make one root and one role of a name', async () => {
      const roots = await many(5, () => post('', { name: 'same' }));
      expect(statusesOf(roots)).toEqual([201, 409, 409, 409, 409]);
      const roles = await many(5, () => post('/same/roles', { role_name: 'web' }));
      expect(statusesOf(roles)).toEqual([201, 409, 409, 409, 409]);
    });

    it('revoke once, with one audit row', async () => {
      await newRole('gone');
      const { serial_hex } = (await post('/gone/issue/web', { san_dns: ['a.b'] })).json['data'];
      const revoked = await many(5, () => post('/gone/revoke', { serial_hex }));
      expect(new Set(statusesOf(revoked))).toEqual(new Set([200]));
      const { json } = await live.call('GET', '/v1/audit-logs?action=pki.revoke');
      expect(json['data']).toHaveLength(1);
    });

    it('issue nothing that a retirement has overtaken, and fail by 409 alone', async () => {
      await newRole('end');
      const issuing = many(20, () => post('/end/issue/web', { san_dns: ['a.b'] }));
      expect((await post('/end/retire')).status).toBe(200);
      const answers = await issuing;
      expect(statusesOf(answers).every((status) => status === 200 || status === 409)).toBe(true);
      const made = answers.filter(({ status }) => status === 200).length;
      const { json } = await live.call('GET', `${ROOTS}/end/certs`);
      expect(json['meta'].total).toBe(made);
    });

    it('issue nothing that a role allows no more', async () => {
      await newRole('narrow');
      const issuing = many(20, () => post('/narrow/issue/web', { san_dns: ['x.a.b'] }));
      const body = { allow_subdomains: false };
      const changed = await live.call('PATCH', `${ROOTS}/narrow/roles/web`, { body });
      expect(changed.status).toBe(200);
      const statuses = new Set(statusesOf(await issuing));
      for (const status of statuses) expect([200, 400, 409]).toContain(status);
      const { status } = await post('/narrow/issue/web', { san_dns: ['x.a.b'] });
      expect(status).toBe(400);
    });
  });
});
