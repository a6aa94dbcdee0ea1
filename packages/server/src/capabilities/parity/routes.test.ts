import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { FEATURES, featureOf } from './features.js';

let rig: MatrixRig;
beforeAll(async () => {
  rig = await openMatrixRig();
});
afterAll(() => rig.close());

interface Row {
  readonly id: string;
  readonly parity: string;
  readonly note: string | null;
  readonly state: string;
  readonly variable: string | null;
  readonly endpoints: number;
}

async function matrix() {
  const { status, json } = await rig.world('admin', rig.tenant, 'live').call('GET', '/admin/parity-audit');
  expect(status).toBe(200);
  const { features, ...rest } = json['data'] as { features: Row[] };
  return { rows: new Map(features.map((row) => [row.id, row])), rest };
}

it('has every endpoint of the server in one feature, and its state follows from them', async () => {
  const without = rig.registered.filter((name) => !featureOf(name.split(' ')[1]!));
  expect(without).toEqual([]);
  const { rows } = await matrix();
  expect([...rows.keys()]).toEqual(FEATURES.map(({ id }) => id));
  const counted = [...rows.values()].reduce((sum, { endpoints }) => sum + endpoints, 0);
  expect(counted).toBe(new Set(rig.registered.filter((name) => !name.startsWith('HEAD '))).size);
  expect(rows.get('vaults')).toMatchObject({
    state: 'available',
    parity: 'same',
    note: null,
    variable: null,
  });
  expect(rows.get('vaults')!.endpoints).toBeGreaterThan(20);
  expect(rows.get('workflows')).toMatchObject({ state: 'not_built', endpoints: 0 });
  expect(rows.get('billing')).toMatchObject({ state: 'hidden', parity: 'cloud_only', endpoints: 0 });
  expect(rows.get('operator_kms')).toMatchObject({ state: 'off', variable: 'KNOX_KMS_OPERATOR_PROVIDER' });
  expect(rows.get('signup')).toMatchObject({
    state: 'available',
    parity: 'differs',
    variable: 'KNOX_SIGNUP',
  });
  for (const { id, state, parity, note, endpoints, variable } of rows.values()) {
    expect([id, parity === 'same' || note !== null]).toEqual([id, true]);
    if (state === 'not_built' || state === 'hidden') expect([id, endpoints, variable]).toEqual([id, 0, null]);
  }
});

it('counts the features by their state', async () => {
  const { rows, rest } = await matrix();
  const totals: Record<string, number> = {};
  for (const { state } of rows.values()) totals[state] = (totals[state] ?? 0) + 1;
  expect(rest).toEqual({ deployment_mode: 'self_hosted', totals });
});

it('says of what is switched off that it is', async () => {
  const off = await openMatrixRig({ isSignupOn: false });
  const { json } = await off.world('admin', off.tenant, 'live').call('GET', '/admin/parity-audit');
  const signup = json['data']['features'].find(({ id }: Row) => id === 'signup');
  expect(signup).toMatchObject({ state: 'off', endpoints: 0 });
  expect((await off.ask('POST', '/v1/signup', { body: {} })).status).toBe(404);
  expect((await off.ask('GET', '/auth/signup')).status).toBe(404);
  await off.close();
});

it('is for signed-in users alone', async () => {
  expect((await rig.ask('GET', '/admin/parity-audit')).status).toBe(401);
  expect((await rig.ask('GET', '/admin/parity-audit', { key: rig.tenant.live })).status).toBe(401);
  expect((await rig.ask('GET', '/v1/parity-audit', { key: rig.tenant.live })).status).toBe(404);
});
