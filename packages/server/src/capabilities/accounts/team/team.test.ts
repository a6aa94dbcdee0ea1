import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OAuthClientId, TenantId } from '../../../kernel/ids.js';
import type { UserRole } from '../../../kernel/principal.js';
import { systemIds } from '../../../platform/crypto/random.js';
import { forEachDatabase, storedRows } from '../../../testing/databases.js';
import { type MatrixRig, openMatrixRig } from '../../../testing/matrix-rig.js';
import { createMember, join, OWNER_PASSWORD } from '../../../testing/tenants.js';

forEachDatabase((name, open) => {
  let rig: MatrixRig;
  let owner: string;
  let ownerId: string;
  beforeAll(async () => {
    rig = await openMatrixRig({ open });
  });
  afterAll(() => rig.close());
  beforeAll(async () => {
    owner = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
    ownerId = await idOf(rig.tenant.ownerEmail);
  });

  const ask = (method: string, path: string, token: string, body?: unknown) =>
    rig.ask(method, path, { token, ...(body === undefined ? {} : { body }) });
  const shown = ({ status, json }: { status: number; json: { error?: { type: string } } }) => [
    status,
    json.error?.type,
  ];
  const idOf = async (email: string) => (await rig.services.accounts.findUserId(email))!;
  let made = 0;
  async function member(role: UserRole) {
    const email = `m${++made}@acme.example`;
    await createMember({ ...rig, ids: systemIds }, rig.tenant, role, email);
    return { email, id: await idOf(email), token: await rig.signIn(email, OWNER_PASSWORD) };
  }
  const audited = async (action: string) => {
    const { json } = await ask('GET', `/admin/audit-logs?action=${action}`, owner);
    return json['data'].map(({ resource_id, details }: { resource_id: string; details: object }) => [
      resource_id,
      details,
    ]);
  };
  async function invite(email: string, role: UserRole = 'developer') {
    const answer = await ask('POST', '/admin/invitations', owner, { email, role });
    expect(answer.status).toBe(201);
    return { id: answer.json['data'].id as string, token: tokenTo(email) };
  }
  const tokenTo = (email: string) => /token=(\S+)/.exec(rig.services.mailBox.lastTo(email).text)![1]!;
  const accept = (body: unknown, token?: string) =>
    rig.ask('POST', '/admin/invitations/accept', { body, ...(token && { token }) });

  describe('a member', () => {
    it('is given another role, which holds from the next call on', async () => {
      const { id, token } = await member('viewer');
      expect((await ask('POST', '/admin/vaults', token, { name: 'x' })).status).toBe(403);
      const changed = await ask('PATCH', `/admin/team/${id}`, owner, { role: 'admin' });
      expect([changed.status, changed.json['data'].role]).toEqual([200, 'admin']);
      expect((await ask('GET', '/admin/invitations', token)).status).toBe(200);
      expect(await audited('team.role_change')).toContainEqual([
        id,
        expect.objectContaining({ from: 'viewer', to: 'admin' }),
      ]);
      const { json } = await ask('GET', '/admin/team?per_page=100', token);
      expect(json['data']).toContainEqual(expect.objectContaining({ id, role: 'admin' }));
      expect(json['meta'].total).toBe(json['data'].length);
    });

    it('who is an Admin neither makes an Owner nor touches one', async () => {
      const { id, token } = await member('admin');
      expect(shown(await ask('PATCH', `/admin/team/${id}`, token, { role: 'owner' }))).toEqual([
        403,
        'privilege_escalation',
      ]);
      expect(shown(await ask('PATCH', `/admin/team/${ownerId}`, token, { role: 'viewer' }))).toEqual([
        403,
        'forbidden',
      ]);
      expect(shown(await ask('DELETE', `/admin/team/${ownerId}`, token))).toEqual([403, 'forbidden']);
      const body = { email: 'new-owner@example.org', role: 'owner' };
      expect(shown(await ask('POST', '/admin/invitations', token, body))).toEqual([
        403,
        'privilege_escalation',
      ]);
    });

    it('who is the last Owner stays one, also where two go at once', async () => {
      expect(shown(await ask('DELETE', `/admin/team/${ownerId}`, owner))).toEqual([409, 'conflict']);
      expect(shown(await ask('PATCH', `/admin/team/${ownerId}`, owner, { role: 'admin' }))).toEqual([
        409,
        'conflict',
      ]);
      const second = await member('owner');
      const answers = await Promise.all([
        ask('PATCH', `/admin/team/${ownerId}`, owner, { role: 'admin' }),
        ask('DELETE', `/admin/team/${second.id}`, second.token),
      ]);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
      // For the tests that follow.
      if (answers[0]!.status === 200)
        expect((await ask('PATCH', `/admin/team/${ownerId}`, second.token, { role: 'owner' })).status).toBe(
          200,
        );
    });

    it('who is removed loses what clients hold for it, also where it comes back', async () => {
      const { id, email } = await member('developer');
      const scope = { tenantId: rig.tenant.id, sandbox: false };
      const world = rig.world('v1', rig.tenant, 'live');
      const client = await world.create('/v1/oauth-clients', {
        name: 'app',
        type: 'public',
        grant_types: ['authorization_code'],
        allowed_scopes: ['vaults:read'],
        redirect_uris: ['https://app.example.com/callback'],
      });
      const { tokens, clients } = rig.services.oauth;
      const { secretEpoch: epoch } = (await clients.find(scope, client.id as OAuthClientId))!;
      const source = { kind: 'user', userId: id, oauthClientId: client.id as OAuthClientId, epoch } as const;
      const request = {
        scope,
        source,
        grantType: 'authorization_code',
        permissions: ['vaults:read'],
        jkt: null,
      };
      const actor = { scope, apiKeyId: null, userId: id, requestId: null, ip: null };
      const { accessToken } = await rig.db.transaction((tx) =>
        tokens.mintIn(tx, { ...request, ttlSeconds: 3_600, familyId: null }, actor),
      );
      const call = () => rig.ask('GET', '/v1/vaults', { key: accessToken.reveal() });
      expect((await call()).status).toBe(200);
      expect((await ask('DELETE', `/admin/team/${id}`, owner)).status).toBe(200);
      expect(shown(await call())).toEqual([401, 'invalid_token']);
      await join(rig, email, rig.tenant.id, 'developer');
      expect(shown(await call())).toEqual([401, 'invalid_token']);
      expect((await audited('team.remove'))[0]).toEqual([id, expect.objectContaining({ oauth_tokens: 1 })]);
    });

    it('leaves by itself, whatever its role, and not as the last Owner', async () => {
      const leave = (token: string, id = rig.tenant.id) =>
        ask('DELETE', `/admin/tenants/${id}/membership`, token);
      const before = await ask('GET', '/admin/team', owner);
      for (const role of ['viewer', 'developer', 'admin', 'owner'] as const) {
        const { id, token } = await member(role);
        expect(shown(await leave(token, rig.other.id))).toEqual([404, 'not_found']);
        expect((await leave(token)).json['data']).toEqual({ deleted: true });
        expect((await ask('GET', '/admin/vaults', token)).status).toBe(401);
        expect((await audited('team.remove'))[0]).toEqual([
          id,
          expect.objectContaining({ role, sessions_ended: 1 }),
        ]);
      }
      const alone = await rig.signIn(rig.other.ownerEmail, OWNER_PASSWORD);
      expect(shown(await leave(alone, rig.other.id))).toEqual([409, 'conflict']);
      expect(shown(await leave('no-token'))).toEqual([401, 'invalid_token']);
      expect((await ask('GET', '/admin/team', owner)).json['meta'].total).toBe(before.json['meta'].total);
    });

    it('who is removed has no access from then on, and its sessions end with its last tenant', async () => {
      const { id, email, token } = await member('developer');
      expect((await ask('DELETE', `/admin/team/${id}`, owner)).json['data']).toEqual({ deleted: true });
      expect((await ask('GET', '/admin/vaults', token)).status).toBe(401);
      expect(shown(await ask('DELETE', `/admin/team/${id}`, owner))).toEqual([404, 'not_found']);
      expect((await audited('team.remove'))[0]).toEqual([id, expect.objectContaining({ sessions_ended: 1 })]);
      // Invited once more, it comes back, and none of what it had before.
      const { token: link } = await invite(email, 'viewer');
      expect((await accept({ token: link, password: OWNER_PASSWORD })).status).toBe(200);
      expect((await ask('GET', '/admin/vaults', token)).status).toBe(401);
    });
  });

  describe('an invitation', () => {
    it('makes an account with the password that is chosen, once', async () => {
      const { id, token } = await invite('new@example.org');
      const { subject, text } = rig.services.mailBox.lastTo('new@example.org');
      expect(subject).toBe('You are invited to KnoxCall');
      expect(text).toContain('http://127.0.0.1:8787/auth/invitation?token=');
      expect(text).toContain(
        `${rig.tenant.ownerEmail} invites you to the tenant "acme" at KnoxCall, as developer.`,
      );
      expect(text).toMatch(/good until \d{4}-\d\d-\d\d \d\d:\d\d UTC, once/);
      expect(shown(await accept({ token, password: 'short' }))).toEqual([400, 'validation_error']);
      expect(shown(await accept({ token }))).toEqual([400, 'validation_error']);
      const both = await Promise.all([1, 2].map(() => accept({ token, password: 'a long enough one' })));
      expect(both.map(({ status }) => status).sort()).toEqual([200, 404]);
      const done = both.find(({ status }) => status === 200)!;
      expect(done.json['data']).toMatchObject({
        role: 'developer',
        new_account: true,
        tenant: { slug: 'acme' },
      });
      const session = await rig.signIn('new@example.org', 'a long enough one');
      expect((await ask('GET', '/admin/vaults', session)).status).toBe(200);
      const userId = await idOf('new@example.org');
      expect(await audited('team.accept')).toContainEqual([
        userId,
        expect.objectContaining({ invitation_id: id }),
      ]);
    });

    it('of an account that there is wants its password, or its session', async () => {
      const email = rig.other.ownerEmail;
      const { token } = await invite(email);
      expect(shown(await accept({ token, password: 'wrong horse battery' }))).toEqual([
        401,
        'invalid_credentials',
      ]);
      expect(shown(await accept({ token }))).toEqual([400, 'validation_error']);
      expect(shown(await accept({ token }, owner))).toEqual([404, 'not_found']);
      const session = await rig.signIn(email, OWNER_PASSWORD);
      const answer = await accept({ token }, session);
      expect([answer.status, answer.json['data']['new_account']]).toEqual([200, false]);
      const headers = { 'x-tenant-id': rig.tenant.id };
      expect((await rig.ask('GET', '/admin/vaults', { token: session, headers })).status).toBe(200);
      expect(shown(await ask('POST', '/admin/invitations', owner, { email, role: 'viewer' }))).toEqual([
        409,
        'conflict',
      ]);
    });

    it('is renewed by sending it again, revoked, and over after seven days', async () => {
      const { id, token } = await invite('again@example.org');
      expect(shown(await ask('POST', `/admin/invitations/${id}/resend`, owner))).toEqual([
        429,
        'rate_limit_exceeded',
      ]);
      rig.clock.advance(60_000);
      expect((await ask('POST', `/admin/invitations/${id}/resend`, owner)).status).toBe(200);
      const second = tokenTo('again@example.org');
      expect(rig.services.mailBox.lastTo('again@example.org').text).toContain(
        `${rig.tenant.ownerEmail} invites you`,
      );
      expect(shown(await accept({ token, password: 'a long enough one' }))).toEqual([404, 'not_found']);
      expect(
        shown(await ask('POST', '/admin/invitations', owner, { email: 'AGAIN@example.org', role: 'viewer' })),
      ).toEqual([409, 'conflict']);
      expect((await ask('DELETE', `/admin/invitations/${id}`, owner)).status).toBe(200);
      expect(shown(await accept({ token: second, password: 'a long enough one' }))).toEqual([
        404,
        'not_found',
      ]);
      const { token: late } = await invite('late@example.org');
      rig.clock.advance(7 * 86_400_000);
      expect(shown(await accept({ token: late, password: 'a long enough one' }))).toEqual([404, 'not_found']);
      owner = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
      await invite('late@example.org');
    });

    it('dies with the right to send it: no link of who was removed or demoted brings anybody in', async () => {
      const boss = await member('owner');
      const sent = async (role: UserRole) => {
        const email = `by-boss-${role}@example.org`;
        const answer = await ask('POST', '/admin/invitations', boss.token, { email, role });
        expect(answer.status).toBe(201);
        return { id: answer.json['data'].id as string, token: tokenTo(email) };
      };
      const [asOwner, asViewer] = [await sent('owner'), await sent('viewer')];
      const look = async ({ token }: { token: string }) =>
        (await rig.ask('GET', `/auth/invitation?token=${token}`, {})).status;
      expect((await ask('PATCH', `/admin/team/${boss.id}`, owner, { role: 'admin' })).status).toBe(200);
      expect([await look(asOwner), await look(asViewer)]).toEqual([404, 200]);
      expect((await ask('DELETE', `/admin/team/${boss.id}`, owner)).status).toBe(200);
      const refused = await accept({ token: asViewer.token, password: 'a long enough one' });
      expect(shown(refused)).toEqual([404, 'not_found']);
      expect((await audited('team.remove'))[0]).toEqual([
        boss.id,
        expect.objectContaining({ invitations_revoked: 1 }),
      ]);
    });

    it('to become an Owner is sent again by an Owner alone, who vouches for it from then on', async () => {
      const admin = await member('admin');
      const { id } = await invite('owner-to-be@example.org', 'owner');
      rig.clock.advance(60_000);
      const again = (token: string) => ask('POST', `/admin/invitations/${id}/resend`, token);
      expect(shown(await again(admin.token))).toEqual([403, 'privilege_escalation']);
      const boss = await member('owner');
      expect((await again(boss.token)).json['data'].invited_by).toBe(boss.id);
    });

    it('says what strangers call the tenant, and leads nowhere but to its page', async () => {
      const renamed = async (called: string) =>
        (await ask('PATCH', `/admin/tenants/${rig.tenant.id}`, owner, { name: called })).status;
      expect(await renamed('x\n\nYour account is locked: https://evil.example/a')).toBe(200);
      await invite('named@example.org');
      const { text } = rig.services.mailBox.lastTo('named@example.org');
      expect(text).toContain('"x Your account is locked: https:// evil. example/ a"');
      // Beside the link the address of who invites.
      expect(text.match(/\S+\.\S+/g)).toEqual([rig.tenant.ownerEmail, expect.stringContaining('token=')]);
      expect(await renamed('acme')).toBe(200);
    });

    it('is mailed to one address five times a day by one member, however often it is revoked', async () => {
      const admin = await member('admin');
      const body = { email: 'flooded@example.org', role: 'viewer' };
      const post = () => ask('POST', '/admin/invitations', admin.token, body);
      for (let times = 0; times < 5; times++) {
        const { status, json } = await post();
        expect(status).toBe(201);
        await ask('DELETE', `/admin/invitations/${json['data'].id}`, admin.token);
      }
      expect(shown(await post())).toEqual([429, 'rate_limit_exceeded']);
      expect((await ask('POST', '/admin/invitations', owner, body)).status).toBe(201);
    });

    it('has no more passwords hashed at once than a crowd of sign-ins has', async () => {
      const { token } = await invite('crowd@example.org');
      const all = await Promise.all(
        Array.from({ length: 48 }, () => accept({ token, password: 'a long enough one' })),
      );
      const counts = [200, 404, 429].map((wanted) => all.filter(({ status }) => status === wanted).length);
      expect(counts[0]).toBe(1);
      expect(counts[2]).toBeGreaterThan(0);
    });

    it('that ran out can be sent again for 30 days, and is removed then', async () => {
      const { id } = await invite('kept@example.org');
      const listed = async () => {
        owner = await rig.signIn(rig.tenant.ownerEmail, OWNER_PASSWORD);
        const { json } = await ask('GET', '/admin/invitations?per_page=100', owner);
        return json['data'].map((one: { id: string }) => one.id);
      };
      rig.clock.advance(37 * 86_400_000 - 1);
      await rig.services.auth.removeEnded(500);
      expect(await listed()).toContain(id);
      rig.clock.advance(1);
      await rig.services.auth.removeEnded(500);
      expect(await listed()).not.toContain(id);
    });

    it.each(['', 'nobody', 'a@b, c@d', 'a b@c', 'a@b\r\nBcc: x@y', '"a"@b'])(
      'goes not to %j',
      async (email) => {
        expect((await ask('POST', '/admin/invitations', owner, { email, role: 'viewer' })).status).toBe(400);
      },
    );

    it('stands nowhere in clear', async () => {
      const { token } = await invite('secret@example.org');
      const lines = rig.logLines.join('');
      expect(lines).not.toContain(token);
      if (name !== 'sqlite') return;
      await rig.db.flush();
      expect([...storedRows(rig.db.storage).values()].filter((rows) => rows.includes(token))).toEqual([]);
    });
  });

  describe('the page behind the link', () => {
    const look = (token: string) => rig.ask('GET', `/auth/invitation?token=${token}`, {});
    const send = (form: Record<string, string>) =>
      rig.ask('POST', '/auth/invitation', {
        payload: new URLSearchParams(form).toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });

    it('shows the invitation as often as it is looked at, and accepts it', async () => {
      const { token } = await invite('page@example.org');
      for (let times = 0; times < 2; times++) {
        const { status, text, headers } = await look(token);
        expect(status).toBe(200);
        expect(text).toContain('Join acme');
        expect(text).toContain('new-password');
        expect(text).toContain(`Invited by</strong> <span class="soft">${rig.tenant.ownerEmail}<`);
        // Not type=hidden: password managers would keep the password without its user.
        expect(text).toContain('type="email" name="email" autocomplete="username" value="page@example.org"');
        expect(headers['content-security-policy']).toContain("default-src 'none'");
        expect(headers['referrer-policy']).toBe('no-referrer');
      }
      const refused = await send({ token, password: 'short' });
      expect([refused.status, refused.text.includes('role="alert"')]).toEqual([400, true]);
      const done = await send({ token, password: 'a long enough one' });
      expect([done.status, done.text.includes('You belong to acme now')]).toEqual([200, true]);
      for (const answer of [
        await look(token),
        await send({ token, password: 'a long enough one' }),
        await look('x'),
      ])
        expect([answer.status, answer.text.includes('leads nowhere')]).toEqual([404, true]);
    });
  });

  it('is of its own tenant alone', async () => {
    const stranger = await rig.signIn(rig.other.ownerEmail, OWNER_PASSWORD);
    const headers = { 'x-tenant-id': rig.other.id as TenantId };
    const answer = await rig.ask('DELETE', `/admin/team/${ownerId}`, { token: stranger, headers });
    expect(shown(answer)).toEqual([404, 'not_found']);
  });
});
