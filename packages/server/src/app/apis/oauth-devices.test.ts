import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestAnswer } from '../../testing/calls.js';
import { type MatrixRig, openMatrixRig } from '../../testing/matrix-rig.js';
import { askOAuth } from '../../testing/oauth-calls.js';
import { makeClient, type TestClient } from '../../testing/oauth-grants.js';
import { createPageVisitor, type PageVisitor } from '../../testing/page-visitor.js';
import { OWNER_PASSWORD } from '../../testing/tenants.js';

/** Devices without a browser (RFC 8628, auth.md §2.5). */
let rig: MatrixRig;
let client: TestClient;
beforeAll(async () => {
  rig = await openMatrixRig();
  client = await makeClient(rig, { type: 'public', grant_types: [DEVICE, 'refresh_token'] });
});
afterAll(() => rig.close());

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';
const PAGE = 'http://127.0.0.1:8787/oauth/activate';

const begin = (form: Record<string, string> = {}, ip?: string) =>
  askOAuth(rig.ask, '/oauth/device_authorization', {
    form: { client_id: client.clientId, ...form },
    ...(ip && { ip }),
  });
const poll = (deviceCode: string, clientId = client.clientId) =>
  askOAuth(rig.ask, '/oauth/token', {
    form: { grant_type: DEVICE, device_code: deviceCode, client_id: clientId },
  });
const refusal = (answer: TestAnswer) => [answer.status, answer.json.error];

async function visitor(ip?: string, email = rig.tenant.ownerEmail): Promise<PageVisitor> {
  const one = createPageVisitor(rig.ask, ip ? { ip } : {});
  const page = await one.get('/oauth/activate');
  await one.press(page, 'sign_in', { email, password: OWNER_PASSWORD });
  return one;
}

async function answer(userCode: string, act: string): Promise<TestAnswer> {
  const one = await visitor();
  const page = await one.get(`/oauth/activate?user_code=${userCode}`);
  expect(page.text).toContain(userCode);
  return one.press(page, act);
}

describe('the device flow', () => {
  it('gives tokens once the user has approved', async () => {
    const begun = await begin({ scope: 'vaults:read' });
    expect([begun.status, begun.json]).toEqual([
      200,
      {
        device_code: expect.stringMatching(/^[\w-]{43}$/),
        user_code: expect.stringMatching(/^[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}$/),
        verification_uri: PAGE,
        verification_uri_complete: `${PAGE}?user_code=${begun.json.user_code}`,
        expires_in: 900,
        interval: 5,
      },
    ]);
    const { device_code: code, user_code: userCode } = begun.json;
    expect(refusal(await poll(code))).toEqual([400, 'authorization_pending']);
    expect((await answer(userCode, 'approve')).text).toContain('Device connected');
    const { status, json } = await poll(code);
    expect([status, json]).toEqual([
      200,
      {
        access_token: expect.stringMatching(/^kc_live_/),
        token_type: 'Bearer',
        expires_in: 3600,
        scope: 'vaults:read',
        refresh_token: expect.any(String),
        tenant: 'acme',
      },
    ]);
    expect(refusal(await poll(code))).toEqual([400, 'invalid_grant']);
    await rig.db.flush();
    const { json: rows } = await rig.ask('GET', '/v1/audit-logs?action=oauth.device.approve', {
      key: rig.tenant.live,
    });
    expect(rows.data).toMatchObject([{ resource_type: 'oauth_client', details: { scope: 'vaults:read' } }]);
  });

  it('takes a code however it is typed', async () => {
    const { json } = await begin();
    const typed = String(json.user_code).toLowerCase().replace('-', ' ');
    const page = await (await visitor()).get(`/oauth/activate?user_code=${encodeURIComponent(typed)}`);
    expect(page.text).toContain(json.user_code);
  });

  it('says so when the user turns the device away', async () => {
    const { json } = await begin();
    expect((await answer(json.user_code, 'deny')).text).toContain('turned away');
    expect(refusal(await poll(json.device_code))).toEqual([400, 'access_denied']);
  });

  it('slows down who asks too often, by 5 s each time', async () => {
    const { json } = await begin();
    expect(refusal(await poll(json.device_code))).toEqual([400, 'authorization_pending']);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'slow_down']);
    rig.clock.advance(9_000);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'slow_down']);
    rig.clock.advance(15_000);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'authorization_pending']);
  });

  it('ends after 900 s, before and after an approval', async () => {
    const [waiting, approved] = [await begin(), await begin()];
    await answer(approved.json.user_code, 'approve');
    rig.clock.advance(900_000);
    expect(refusal(await poll(waiting.json.device_code))).toEqual([400, 'expired_token']);
    expect(refusal(await poll(approved.json.device_code))).toEqual([400, 'expired_token']);
    const page = await (await visitor('127.9.0.1')).get(
      `/oauth/activate?user_code=${waiting.json.user_code}`,
    );
    expect(page.status).toBe(404);
  });

  it('mints once for twenty polls at once', async () => {
    const { json } = await begin();
    await answer(json.user_code, 'approve');
    const answers = await Promise.all(Array.from({ length: 20 }, () => poll(json.device_code)));
    expect(answers.filter(({ status }) => status === 200).length).toBe(1);
  });

  it('gives the code of one client to no other', async () => {
    const other = await makeClient(rig, { type: 'public', grant_types: [DEVICE] });
    const { json } = await begin();
    expect(refusal(await poll(json.device_code, other.clientId))).toEqual([400, 'invalid_grant']);
    expect(refusal(await poll(json.device_code, 'knoxcall-cli'))).toEqual([400, 'invalid_grant']);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'authorization_pending']);
  });

  it('takes one answer only', async () => {
    const { json } = await begin();
    const [one, two] = [await visitor(), await visitor()];
    const path = `/oauth/activate?user_code=${json.user_code}`;
    const pages = [await one.get(path), await two.get(path)];
    expect((await one.press(pages[0]!, 'deny')).status).toBe(200);
    expect((await two.press(pages[1]!, 'approve')).status).toBe(404);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'access_denied']);
  });

  it('logs the CLI in and tells it its own client', async () => {
    const { json } = await begin({ client_id: 'knoxcall-cli' });
    await answer(json.user_code, 'approve');
    const given = await poll(json.device_code, 'knoxcall-cli');
    expect([given.status, given.json.client_id, given.json.tenant]).toEqual([
      200,
      expect.stringMatching(/^kcc_live_/),
      'acme',
    ]);
    const refreshBy = (clientId: string) =>
      askOAuth(rig.ask, '/oauth/token', {
        form: {
          grant_type: 'refresh_token',
          client_id: clientId,
          refresh_token: given.json.refresh_token,
        },
      });
    const byAlias = await refreshBy('knoxcall-cli');
    expect([...refusal(byAlias), byAlias.json.error_description]).toEqual([
      401,
      'invalid_client',
      expect.stringContaining('client_id is the one that came with the tokens'),
    ]);
    expect((await refreshBy(given.json.client_id)).status).toBe(200);
  });
});

describe('what is refused', () => {
  it.each([
    ['no client', { client_id: '' }, 401, 'invalid_client'],
    ['an unknown client', { client_id: 'kcc_live_unknown' }, 401, 'invalid_client'],
    ['an unknown scope', { scope: 'everything' }, 400, 'invalid_scope'],
  ])('%s', async (_case, form, status, error) => {
    expect(refusal(await begin(form))).toEqual([status, error]);
  });

  it('a client that may not use the flow', async () => {
    const other = await makeClient(rig, { type: 'public' });
    expect(refusal(await begin({ client_id: other.clientId }))).toEqual([400, 'unauthorized_client']);
  });

  it('more than 50 waiting devices of one network', async () => {
    const ip = '127.5.5.5';
    for (let i = 0; i < 50; i++) expect((await begin({}, ip)).status).toBe(200);
    const refused = await begin({}, ip);
    expect([...refusal(refused), refused.headers['retry-after']]).toEqual([
      429,
      'rate_limit_exceeded',
      '900',
    ]);
    expect((await begin({}, '127.5.5.6')).status).toBe(200);
  });

  it('a sixth guess within a minute, also a right one', async () => {
    const { json } = await begin();
    const one = await visitor('127.6.6.6');
    for (let i = 0; i < 5; i++)
      expect((await one.get('/oauth/activate?user_code=BBBB-BBBB')).status).toBe(404);
    const refused = await one.get(`/oauth/activate?user_code=${json.user_code}`);
    expect([refused.status, Number(refused.headers['retry-after']) > 0]).toEqual([429, true]);
    rig.clock.advance(60_000);
    expect((await one.get(`/oauth/activate?user_code=${json.user_code}`)).status).toBe(200);
  });

  it('more guesses than that at once; a right code is none', async () => {
    const one = await visitor('127.6.6.7');
    const { json } = await begin();
    for (let i = 0; i < 7; i++)
      expect((await one.get(`/oauth/activate?user_code=${json.user_code}`)).status).toBe(200);
    const guesses = Array.from({ length: 12 }, () => one.get('/oauth/activate?user_code=BBBB-BBBB'));
    const statuses = (await Promise.all(guesses)).map(({ status }) => status);
    expect([404, 429].map((status) => statuses.filter((found) => found === status).length)).toEqual([5, 7]);
  });

  it('who asks without a pause, and lets it be again a minute after the last time that counted', async () => {
    const { json } = await begin();
    expect(refusal(await poll(json.device_code))).toEqual([400, 'authorization_pending']);
    for (let i = 0; i < 20; i++) expect(refusal(await poll(json.device_code))).toEqual([400, 'slow_down']);
    rig.clock.advance(59_000);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'slow_down']);
    rig.clock.advance(1_000);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'authorization_pending']);
  });

  it('an approval without the token of its page', async () => {
    const { json } = await begin();
    const one = await visitor();
    const answer = await one.post(`/oauth/activate?user_code=${json.user_code}`, { act: 'approve' });
    expect(answer.status).toBe(403);
    expect(refusal(await poll(json.device_code))).toEqual([400, 'authorization_pending']);
  });
});
