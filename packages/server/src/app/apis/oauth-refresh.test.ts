import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountsTables } from '../../capabilities/accounts/tables.js';
import { oauthTables } from '../../capabilities/oauth/tables.js';
import { systemIds } from '../../platform/crypto/random.js';
import { forEachDatabase } from '../../testing/databases.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth, basic } from '../../testing/oauth-calls.js';
import { makeClient, openFamily, type TestClient, userIdOf } from '../../testing/oauth-grants.js';
import { createMember } from '../../testing/tenants.js';

/** Refresh tokens: single use, families, reuse, grace (cases F of oauth-dpop.md). */
forEachDatabase((_name, open) => {
  let rig: MatrixRig;
  let client: TestClient;
  beforeAll(async () => {
    rig = await openMatrixRig({ open });
    client = await makeClient(rig);
  });
  afterAll(() => rig.close());

  const refresh = (of: TestClient, refreshToken: string | undefined, more: Record<string, string> = {}) =>
    askOAuth(rig.ask, '/oauth/token', {
      authorization: of.authorization,
      form: {
        grant_type: 'refresh_token',
        ...(refreshToken !== undefined && { refresh_token: refreshToken }),
        ...(of.authorization === undefined && { client_id: of.clientId }),
        ...more,
      },
    });
  const useOf = async (accessToken: string) =>
    (await rig.ask('GET', '/v1/vaults', { token: accessToken })).status;
  const shown = ({ status, json }: Awaited<ReturnType<typeof refresh>>) => [status, json.error];
  const families = (id: string) =>
    rig.db
      .view(oauthTables)
      .scoped({ tenantId: rig.tenant.id, sandbox: false })
      .selectFrom('oauth_families')
      .selectAll()
      .where('id', '=', id as never)
      .executeTakeFirst();

  describe('a refresh', () => {
    it('gives the next pair of the same family, and the former access token stays good', async () => {
      const family = await openFamily(rig, client);
      const { status, json } = await refresh(client, family.refreshToken);
      expect([status, json]).toEqual([
        200,
        {
          access_token: expect.stringMatching(/^kc_live_[\w-]{43}$/),
          token_type: 'Bearer',
          expires_in: 3600,
          refresh_token: expect.stringMatching(/^[\w-]{43}$/),
          scope: 'vaults:read vaults:write log:list',
          tenant: 'acme',
        },
      ]);
      expect(json.refresh_token).not.toBe(family.refreshToken);
      expect([await useOf(json.access_token), await useOf(family.accessToken)]).toEqual([200, 200]);
      expect((await refresh(client, json.refresh_token)).status).toBe(200);
      expect((await families(family.familyId))?.refreshes).toBe(2);
    });

    it('of a public client names it in the body', async () => {
      const open = await makeClient(rig, { type: 'public' });
      const family = await openFamily(rig, open);
      expect((await refresh(open, family.refreshToken)).status).toBe(200);
    });

    it('narrows the access token and nothing else', async () => {
      const family = await openFamily(rig, client);
      const first = await refresh(client, family.refreshToken, { scope: 'log:list' });
      expect(first.json.scope).toBe('log:list');
      const second = await refresh(client, first.json.refresh_token);
      expect(second.json.scope).toBe('vaults:read vaults:write log:list');
    });

    it('F15: loses what its user has lost, and is over with the membership', async () => {
      const email = await createMember({ ...rig, ids: systemIds }, rig.tenant, 'admin');
      const family = await openFamily(rig, client, { email });
      const people = () => rig.db.view(accountsTables).scoped({ tenantId: rig.tenant.id });
      const userId = await userIdOf(rig, email);
      await people()
        .updateTable('memberships')
        .set({ role: 'viewer' })
        .where('user_id', '=', userId)
        .execute();
      const { json } = await refresh(client, family.refreshToken);
      expect(json.scope).toBe('vaults:read log:list');
      // The token of before has it no more either.
      const write = await rig.ask('POST', '/v1/vaults', { token: family.accessToken, body: { name: 'n' } });
      expect(write.status).toBe(403);
      await people().deleteFrom('memberships').where('user_id', '=', userId).execute();
      expect(shown(await refresh(client, json.refresh_token))).toEqual([400, 'invalid_grant']);
      expect(await useOf(json.access_token)).toBe(401);
    });
  });

  describe('is refused', () => {
    it('F01: without a token', async () => {
      expect(shown(await refresh(client, undefined))).toEqual([400, 'invalid_request']);
    });

    it('F03: to another client, and the family is as it was', async () => {
      const family = await openFamily(rig, client);
      const stranger = await makeClient(rig);
      const foreign = await makeClient(rig, {}, rig.other);
      for (const one of [stranger, foreign])
        expect(shown(await refresh(one, family.refreshToken))).toEqual([400, 'invalid_grant']);
      expect((await refresh(client, family.refreshToken)).status).toBe(200);
    });

    it('F09: a wider scope than was granted, and the token is not used up', async () => {
      const family = await openFamily(rig, client, { permissions: ['log:list'] });
      expect(shown(await refresh(client, family.refreshToken, { scope: 'vaults:read' }))).toEqual([
        400,
        'invalid_scope',
      ]);
      expect((await refresh(client, family.refreshToken)).status).toBe(200);
    });

    it('F11: a bound family without a proof, with a proof that is none', async () => {
      const family = await openFamily(rig, client, { jkt: 'k'.repeat(43) });
      expect(shown(await refresh(client, family.refreshToken))).toEqual([400, 'invalid_dpop_proof']);
    });

    it.each([
      ['a text that is no token', async () => 'nothing'],
      ['an access token', async () => (await openFamily(rig, client)).accessToken],
    ])('%s', async (_what, token) => {
      expect(shown(await refresh(client, await token()))).toEqual([400, 'invalid_grant']);
    });

    it('to a client that may not refresh, is switched off or revoked', async () => {
      const plain = await makeClient(rig, { grant_types: ['client_credentials'] });
      expect(shown(await refresh(plain, 'x'))).toEqual([400, 'unauthorized_client']);
      const world = rig.world('v1', rig.tenant, 'live');
      const gone = await makeClient(rig);
      const family = await openFamily(rig, gone);
      await world.call('PATCH', `/v1/oauth-clients/${gone.id}`, { body: { active: false } });
      expect(shown(await refresh(gone, family.refreshToken))).toEqual([401, 'invalid_client']);
      expect(await useOf(family.accessToken)).toBe(401);
      await world.call('PATCH', `/v1/oauth-clients/${gone.id}`, { body: { active: true } });
      expect(await useOf(family.accessToken)).toBe(200);
      await world.call('DELETE', `/v1/oauth-clients/${gone.id}`);
      expect(shown(await refresh(gone, family.refreshToken))).toEqual([401, 'invalid_client']);
      expect(await useOf(family.accessToken)).toBe(401);
    });

    it('after 30 days without use, and after 90 in all', async () => {
      const DAY_MS = 86_400_000;
      const idle = await openFamily(rig, client);
      let { refreshToken } = await openFamily(rig, client);
      for (let day = 29; day <= 87; day += 29) {
        rig.clock.advance(29 * DAY_MS);
        await rig.services.generations.refresh();
        const { status, json } = await refresh(client, refreshToken);
        expect([day, status]).toEqual([day, 200]);
        refreshToken = json.refresh_token;
      }
      expect(shown(await refresh(client, idle.refreshToken))).toEqual([400, 'invalid_grant']);
      rig.clock.advance(4 * DAY_MS);
      await rig.services.generations.refresh();
      expect(shown(await refresh(client, refreshToken))).toEqual([400, 'invalid_grant']);
    });
  });

  describe('a second use', () => {
    it('F05: ends the family, refresh and access tokens, with one row that is critical', async () => {
      const family = await openFamily(rig, client);
      const { json } = await refresh(client, family.refreshToken);
      rig.clock.advance(1_000);
      await rig.services.generations.refresh();
      for (const _ of [1, 2])
        expect(shown(await refresh(client, family.refreshToken))).toEqual([400, 'invalid_grant']);
      expect(shown(await refresh(client, json.refresh_token))).toEqual([400, 'invalid_grant']);
      expect([await useOf(json.access_token), await useOf(family.accessToken)]).toEqual([401, 401]);
      const rows = await rig.ask('GET', '/v1/audit-logs?action=oauth.token.reuse_detected', {
        key: rig.tenant.live,
      });
      const mine = rows.json.data.filter(
        (row: { resource_id: string }) => row.resource_id === family.familyId,
      );
      expect(mine).toMatchObject([{ details: { severity: 'critical', family_id: family.familyId } }]);
      expect(rows.text).not.toContain(family.refreshToken);
    });

    it('F07: of twenty at once one at most succeeds, and the rest end the family', async () => {
      const family = await openFamily(rig, client);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => refresh(client, family.refreshToken)),
      );
      const good = answers.filter(({ status }) => status === 200);
      const bad = answers.filter(({ status }) => status !== 200);
      expect(good.length).toBe(1);
      expect(bad.map(shown)).toEqual(bad.map(() => [400, 'invalid_grant']));
      expect((await families(family.familyId))?.revoked_reason).toBe('refresh_reuse');
      expect(shown(await refresh(client, good[0]!.json.refresh_token))).toEqual([400, 'invalid_grant']);
      expect(await useOf(good[0]!.json.access_token)).toBe(401);
    });
  });

  describe('with a grace', () => {
    let patient: TestClient;
    beforeAll(async () => {
      patient = await makeClient(rig, { refresh_grace_seconds: 10 });
    });

    it('the same client gets the same answer again, also twenty times at once', async () => {
      const family = await openFamily(rig, patient);
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => refresh(patient, family.refreshToken)),
      );
      expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
      expect(answers[0]!.status).toBe(200);
      expect((await refresh(patient, answers[0]!.json.refresh_token)).status).toBe(200);
    });

    it('another client does not, and after it the family ends', async () => {
      const family = await openFamily(rig, patient);
      const { json } = await refresh(patient, family.refreshToken);
      const stranger = await makeClient(rig, { refresh_grace_seconds: 10 });
      expect(shown(await refresh(stranger, family.refreshToken))).toEqual([400, 'invalid_grant']);
      rig.clock.advance(10_000);
      await rig.services.generations.refresh();
      expect(shown(await refresh(patient, family.refreshToken))).toEqual([400, 'invalid_grant']);
      expect(await useOf(json.access_token)).toBe(401);
    });

    it('keeps the answer so that only the token opens it', async () => {
      const family = await openFamily(rig, patient);
      const { json } = await refresh(patient, family.refreshToken);
      const rows = await rig.db
        .view(oauthTables)
        .scoped({ tenantId: rig.tenant.id, sandbox: false })
        .selectFrom('oauth_refresh_tokens')
        .select('sealed_answer')
        .where('family_id', '=', family.familyId)
        .where('used_at', 'is not', null)
        .execute();
      expect(rows.length).toBe(1);
      expect(rows[0]?.sealed_answer?.includes(Buffer.from(json.access_token))).toBe(false);
    });
  });

  it('a new secret kills what the old one minted, in one transaction', async () => {
    const rotated = await makeClient(rig);
    const family = await openFamily(rig, rotated);
    const world = rig.world('v1', rig.tenant, 'live');
    const answer = await world.call('POST', `/v1/oauth-clients/${rotated.id}/rotate-secret`, { body: {} });
    expect(answer.status).toBe(200);
    expect(await useOf(family.accessToken)).toBe(401);
    const { client_id, client_secret } = answer.json.data;
    const renewed = { ...rotated, authorization: basic(client_id, client_secret) };
    expect(shown(await refresh(renewed, family.refreshToken))).toEqual([400, 'invalid_grant']);
    expect(shown(await refresh(rotated, family.refreshToken))).toEqual([401, 'invalid_client']);
    const next = await openFamily(rig, renewed);
    expect(await useOf(next.accessToken)).toBe(200);
  });
});
