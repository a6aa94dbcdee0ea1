import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../../kernel/ids.js';
import { Secret } from '../../../kernel/secret.js';
import { createEgress } from '../../../platform/egress/guarded-fetch.js';
import type { Database } from '../../../platform/storage/database.js';
import {
  ACCOUNT_PASSWORD,
  type AuthorizationServer,
  CLIENT_SECRET,
  REDIRECT_ORIGIN,
  startAuthorizationServer,
} from '../../../testing/authorization-server.js';
import { forEachDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { createSecretNames } from '../service.js';
import { secretTables } from '../tables.js';
import type { StoredSecret } from '../types.js';
import type { Outcome } from './connecting.js';
import { CALLBACK_PATH, createOAuth2Secrets, type NewOAuth2, type OAuth2Secrets } from './service.js';
import { oauth2Tables } from './tables.js';

const SECRET_ID = 'aaaaaaaa-0000-4000-8000-00000000c0de';

/** Against a real authorization server: refresh tokens rotate, and one that comes twice ends them all. */
export function oauth2Suite(): void {
  forEachDatabase((_name, open) => {
    let server: AuthorizationServer;
    let harness: Harness;
    /** Two processes on one database. */
    let secrets: OAuth2Secrets;
    let elsewhere: OAuth2Secrets;
    let scope: Scope;
    let count = 0;

    beforeAll(async () => {
      server = await startAuthorizationServer({ redirectUris: [redirectUri(SECRET_ID)] });
      harness = await createHarness({ open, egress: server.egress });
      scope = { tenantId: harness.tenant.id, sandbox: false };
      secrets = process();
      elsewhere = process();
    });
    afterAll(async () => {
      await harness.close();
      await server.close();
    });
    beforeEach(() => {
      server.answer = null;
      server.held = null;
      server.person = 'consents';
    });

    const redirectUri = (id: string) => `${REDIRECT_ORIGIN}${CALLBACK_PATH}${id}`;

    function process(): OAuth2Secrets {
      return createOAuth2Secrets({
        ...harness,
        tenantKeys: harness.kms,
        egress: createEgress({
          clock: harness.clock,
          allowPrivateUpstreams: '',
          dnsServers: [],
          extraCaPem: null,
          nat64: false,
          ownNames: [],
          ...server.egress,
        }),
        origin: () => REDIRECT_ORIGIN,
        nameOf: createSecretNames(harness.db),
      });
    }

    const caller = () => harness.callerOf(harness.tenant, 'live');

    function secretCalled(id: string, name: string): StoredSecret {
      return {
        id,
        scope,
        name,
        type: 'oauth2',
        baseEnvironment: 'production',
        description: null,
        collectionId: null,
        expiresAtMs: null,
        isExpiryStrict: false,
        allowedHosts: null,
        createdBy: null,
        createdAtMs: 0,
        updatedAtMs: 0,
      };
    }

    const codeInput = (more: Partial<NewOAuth2> = {}): NewOAuth2 => ({
      provider: 'custom',
      grantType: 'authorization_code',
      clientId: 'code client',
      clientSecret: new Secret(CLIENT_SECRET),
      username: null,
      password: null,
      authUrl: server.authUrl,
      tokenUrl: server.tokenUrl,
      scopes: ['openid', 'offline_access'],
      ...more,
    });

    const machineInput = (more: Partial<NewOAuth2> = {}): NewOAuth2 =>
      codeInput({
        grantType: 'client_credentials',
        clientId: 'machine',
        authUrl: null,
        scopes: ['api:read'],
        ...more,
      });

    async function create(input: NewOAuth2, id: string = harness.ids.uuid()): Promise<StoredSecret> {
      const secret = secretCalled(id, `SECRET_${++count}`);
      const prepared = await secrets.prepare(caller(), input);
      await harness.db.transaction(async (tx) => {
        const queries = (harness.db as Database).view(secretTables).scoped(scope, tx);
        await secrets.remove(tx, scope, id);
        await queries.deleteFrom('secrets').where('id', '=', id).execute();
        await queries
          .insertInto('secrets')
          .values({
            id,
            name: secret.name,
            name_folded: secret.name.toLowerCase(),
            secret_type: 'oauth2',
            base_environment: 'production',
            description: null,
            collection_id: null,
            expires_at: null,
            is_expiry_strict: 0,
            allowed_hosts: null,
            created_by: null,
            created_at: 0,
            updated_at: 0,
          })
          .execute();
        await prepared.write(tx, secret);
      });
      return secret;
    }

    async function visit(secret: StoredSecret, environment: string | null = null): Promise<URL> {
      const begun = await secrets.connect(caller(), secret, environment);
      return server.browse(begun.authorizationUrl.reveal());
    }

    function comeBack(back: URL, id = SECRET_ID, at = secrets): Promise<Outcome> {
      const visitor = { requestId: 'request' as never, ip: '192.0.2.7' };
      return at.complete({ secretId: id, params: back.searchParams, visitor });
    }

    async function connected(input = codeInput()): Promise<StoredSecret> {
      const secret = await create(input, SECRET_ID);
      expect(await comeBack(await visit(secret))).toMatchObject({ kind: 'connected', name: secret.name });
      return secret;
    }

    const tokenOf = async (secret: StoredSecret, at = secrets) =>
      (await at.render(scope, secret, 'production')).reveal();
    const statusOf = async (secret: StoredSecret) => (await secrets.describe(secret, null)).status;
    const rowOf = async (secret: StoredSecret) =>
      (harness.db as Database)
        .view(oauth2Tables)
        .scoped(scope)
        .selectFrom('oauth2_connections')
        .selectAll()
        .where('secret_id', '=', secret.id)
        .executeTakeFirstOrThrow();
    const due = () => secrets.renewDue({ batchMax: 100, isStopping: () => false });
    const refreshes = () => server.calls.filter(({ grantType }) => grantType === 'refresh_token');

    describe('a person connects it', () => {
      it('by the page of consent, with PKCE and a state that is good once', async () => {
        const secret = await create(codeInput(), SECRET_ID);
        expect(await statusOf(secret)).toBe('pending');
        await expect(tokenOf(secret)).rejects.toMatchObject({ type: 'conflict' });
        const begun = await secrets.connect(caller(), secret, null);
        const asked = new URL(begun.authorizationUrl.reveal()).searchParams;
        expect(Object.fromEntries(asked)).toMatchObject({
          response_type: 'code',
          client_id: 'code client',
          redirect_uri: redirectUri(SECRET_ID),
          scope: 'openid offline_access',
          code_challenge_method: 'S256',
        });
        const back = await server.browse(begun.authorizationUrl.reveal());
        expect(back.searchParams.get('state')).toBe(asked.get('state'));
        expect(await comeBack(back)).toMatchObject({
          kind: 'connected',
          environment: 'production',
          code: null,
        });
        expect(await comeBack(back)).toEqual({ kind: 'nowhere' });
        expect(await statusOf(secret)).toBe('connected');
        expect((await tokenOf(secret)).length).toBeGreaterThan(20);
      });

      it('and of two who come back with one state one is let in', async () => {
        const secret = await create(codeInput(), SECRET_ID);
        const back = await visit(secret);
        const outcomes = await Promise.all([comeBack(back), comeBack(back, SECRET_ID, elsewhere)]);
        expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['connected', 'nowhere']);
      });

      it('not with the state of another secret, a changed one, or after its time', async () => {
        const secret = await create(codeInput(), SECRET_ID);
        const back = await visit(secret);
        expect(await comeBack(back, harness.ids.uuid())).toEqual({ kind: 'nowhere' });
        const forged = new URL(back);
        forged.searchParams.set('state', `${back.searchParams.get('state')}x`);
        expect(await comeBack(forged)).toEqual({ kind: 'nowhere' });
        harness.clock.advance(15 * 60_000);
        expect(await comeBack(back)).toEqual({ kind: 'nowhere' });
        expect(await statusOf(secret)).toBe('pending');
      });

      it('and a code of another visit does not fit its verifier', async () => {
        const secret = await create(codeInput(), SECRET_ID);
        const [mine, foreign] = [await visit(secret), await visit(secret)];
        mine.searchParams.set('code', foreign.searchParams.get('code')!);
        expect(await comeBack(mine)).toMatchObject({ kind: 'refused', code: 'invalid_grant' });
        expect(await statusOf(secret)).toBe('pending');
      });

      it('or does not, which is told and changes nothing', async () => {
        const secret = await connected();
        const token = await tokenOf(secret);
        server.person = 'denies';
        expect(await comeBack(await visit(secret))).toMatchObject({ kind: 'refused', code: 'access_denied' });
        expect(await statusOf(secret)).toBe('connected');
        expect(await tokenOf(secret)).toBe(token);
        expect((await secrets.describe(secret, null)).lastError).toBe('access_denied');
      });

      it('with a client that the provider knows by the form alone, which is then remembered', async () => {
        const secret = await connected(codeInput({ clientId: 'posting client' }));
        const before = server.arrived();
        await harness.advance(3_600_000 - 30_000);
        await tokenOf(secret);
        expect(server.arrived()).toBe(before + 1);
      });

      it('for an environment of its own; the others use that of the base', async () => {
        const secret = await connected();
        const base = await tokenOf(secret);
        expect((await secrets.render(scope, secret, 'staging')).reveal()).toBe(base);
        expect(await comeBack(await visit(secret, 'staging'))).toMatchObject({ environment: 'staging' });
        expect((await secrets.render(scope, secret, 'staging')).reveal()).not.toBe(base);
        expect(await tokenOf(secret)).toBe(base);
      });

      it('and of many that are begun the newest twenty are waited for', async () => {
        const secret = await create(codeInput(), SECRET_ID);
        const first = await visit(secret);
        for (let i = 0; i < 20; i++) await secrets.connect(caller(), secret, null);
        expect(await comeBack(first)).toEqual({ kind: 'nowhere' });
      });
    });

    describe('a token is renewed', () => {
      it('60 s before its end, once for all who ask in all processes, and the refresh token that rotated is kept', async () => {
        const secret = await connected();
        const first = await tokenOf(secret);
        await harness.advance(3_600_000 - 61_000);
        expect(await tokenOf(secret)).toBe(first);
        await harness.advance(1_500);
        const before = refreshes().length;
        const crowd = [...Array(10).keys()].map((i) => tokenOf(secret, i % 2 === 0 ? secrets : elsewhere));
        const tokens = new Set(await Promise.all(crowd));
        // Who finds it being renewed elsewhere takes the old one, which is still good.
        const second = await tokenOf(secret);
        expect(second).not.toBe(first);
        expect([...tokens].every((token) => token === first || token === second)).toBe(true);
        expect(refreshes().length).toBe(before + 1);
        await harness.advance(3_600_000);
        expect(await tokenOf(secret, elsewhere)).not.toBe(second);
        const used = refreshes().slice(before);
        expect(used.map(({ error }) => error)).toEqual([null, null]);
        expect(new Set(used.map(({ refreshToken }) => refreshToken)).size).toBe(2);
      });

      it('and who needs one that has ended waits for the process that renews it', async () => {
        const secret = await connected();
        await harness.advance(3_700_000);
        let letGo = () => {};
        server.held = new Promise((resolve) => {
          letGo = resolve;
        });
        const arrived = server.arrived();
        const here = tokenOf(secret);
        await until(() => server.arrived() === arrived + 1);
        const there = tokenOf(secret, elsewhere);
        await harness.advance(2_000);
        letGo();
        const token = await here;
        await until(() => harness.clock.timers() > 0);
        await harness.advance(1_000);
        expect(await there).toBe(token);
        expect(server.arrived()).toBe(arrived + 1);
      });

      it('by the job, before anybody asks', async () => {
        const secret = await connected();
        const first = await tokenOf(secret);
        await harness.advance(3_600_000 - 151_000);
        await due();
        expect(await tokenOf(secret)).toBe(first);
        await harness.advance(1_500);
        await due();
        const before = server.arrived();
        expect(await tokenOf(secret)).not.toBe(first);
        expect(server.arrived()).toBe(before);
      });

      it('and is stored although its caller is gone, before the process ends', async () => {
        const secret = await connected();
        await harness.advance(3_700_000);
        let letGo = () => {};
        server.held = new Promise((resolve) => {
          letGo = resolve;
        });
        const arrived = server.arrived();
        const given = tokenOf(secret).catch(() => {});
        await until(() => server.arrived() === arrived + 1);
        const closed = secrets.close();
        letGo();
        await closed;
        expect((await rowOf(secret)).token_version).toBe(2);
        await given;
      });
    });

    describe('a provider that is away', () => {
      const outage = () => {
        server.answer = (_request, response) => response.writeHead(503).end('down for maintenance');
      };

      it('changes nothing while the token lasts, is asked ever less, and found when it is back', async () => {
        const secret = await connected();
        const first = await tokenOf(secret);
        outage();
        await harness.advance(3_600_000 - 59_000);
        const before = server.arrived();
        expect(await tokenOf(secret)).toBe(first);
        expect(await tokenOf(secret)).toBe(first);
        expect(server.arrived()).toBe(before + 1);
        expect(await secrets.describe(secret, null)).toMatchObject({
          status: 'connected',
          lastError: 'http_503',
        });
        await harness.advance(60_000);
        await expect(tokenOf(secret)).rejects.toMatchObject({ type: 'token_error' });
        await expect(tokenOf(secret)).rejects.toMatchObject({
          type: 'token_error',
          publicMessage: expect.stringContaining('http_503'),
        });
        expect(server.arrived()).toBe(before + 2);
        expect(await statusOf(secret)).toBe('expired');
        for (let hour = 0; hour < 60; hour++) {
          await harness.advance(60_000);
          await due();
        }
        // 4, 8, ... s, then every 15 minutes: not once a minute.
        expect(server.arrived() - before).toBeLessThan(15);
        server.answer = null;
        await harness.advance(15 * 60_000);
        await due();
        expect(await statusOf(secret)).toBe('connected');
        expect(await tokenOf(secret)).not.toBe(first);
      });

      it('or refuses the refresh token for good: an error, and nobody asks on behalf of nobody', async () => {
        const secret = await connected();
        await harness.advance(3_700_000);
        server.answer = (_request, response) =>
          response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}');
        await expect(tokenOf(secret)).rejects.toMatchObject({ type: 'token_error' });
        expect(await statusOf(secret)).toBe('error');
        const before = server.arrived();
        await harness.advance(3_600_000);
        await due();
        expect(server.arrived()).toBe(before);
        server.answer = null;
        expect(await comeBack(await visit(secret))).toMatchObject({ kind: 'connected' });
        expect(await statusOf(secret)).toBe('connected');
      });

      it('answers with what is no token: nothing of it is shown, nothing is lost', async () => {
        const secret = await connected();
        await harness.advance(3_700_000);
        const answers: readonly [number, string, string][] = [
          [200, 'text/html', '<h1>sign in</h1>'],
          [200, 'application/json', '{"access_token":"with a space"}'],
          [200, 'application/json', '{"access_token":7}'],
          [200, 'application/json', '[]'],
          [302, 'text/plain', ''],
          [200, 'application/json', `{"access_token":"${'a'.repeat(300_000)}"}`],
          [400, 'application/json', '{"error":"<script>"}'],
        ];
        for (const [status, type, body] of answers) {
          server.answer = (_request, response) =>
            response
              .writeHead(status, { 'content-type': type, location: 'https://elsewhere.example' })
              .end(body);
          const failure = await tokenOf(secret).catch((error: unknown) => error);
          expect(failure).toMatchObject({ type: 'token_error' });
          expect(String((failure as Error).message)).toMatch(/: [a-z_0-9]+$/);
          await harness.advance(900_000);
        }
        server.answer = null;
        await tokenOf(secret);
      });

      it('and a process that dies between asking and storing leaves a claim that ends, and says what may have been lost', async () => {
        const secret = await connected();
        await harness.advance(3_700_000);
        const { id, token_version } = await rowOf(secret);
        const nowMs = harness.clock.nowMs();
        await (harness.db as Database)
          .view(oauth2Tables)
          .scoped(scope)
          .updateTable('oauth2_connections')
          .set({ claim_owner: 'dead', claim_until: nowMs + 60_000, began_at: nowMs })
          .where('id', '=', id)
          .execute();
        let outcome: unknown = null;
        const waiting = tokenOf(secret).catch((error: unknown) => {
          outcome = error;
        });
        // Its own queries are answered before the clock, by which the database has time limits too, goes on.
        while (outcome === null) {
          for (let i = 0; i < 4; i++) await rowOf(secret);
          await harness.advance(200);
        }
        await waiting;
        expect(outcome).toMatchObject({ type: 'token_error' });
        await harness.advance(60_000);
        server.answer = (_request, response) =>
          response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}');
        await expect(tokenOf(secret)).rejects.toMatchObject({ type: 'token_error' });
        expect((await secrets.describe(secret, null)).lastError).toBe('renewal_interrupted');
        expect((await rowOf(secret)).token_version).toBe(token_version);
      });
    });

    describe('grants without a person', () => {
      it('client credentials are asked for at once, and again at their end', async () => {
        const secret = await create(machineInput());
        expect(await statusOf(secret)).toBe('connected');
        const first = await tokenOf(secret);
        await harness.advance(3_600_000);
        expect(await tokenOf(secret)).not.toBe(first);
        await expect(secrets.connect(caller(), secret, null)).rejects.toMatchObject({
          type: 'validation_error',
        });
      });

      it('a password too, of a client without a secret', async () => {
        const password = { grantType: 'password', clientId: 'mobile app', clientSecret: null } as const;
        const who = {
          username: new Secret('alice'),
          password: new Secret(ACCOUNT_PASSWORD),
          scopes: ['openid'],
        };
        const secret = await create(machineInput({ ...password, ...who }));
        expect((await tokenOf(secret)).length).toBeGreaterThan(20);
        const wrong = { ...password, ...who, password: new Secret('wrong') };
        await expect(create(machineInput(wrong))).rejects.toMatchObject({
          type: 'validation_error',
          fields: { password: ['the provider refused: invalid_grant'] },
        });
      });

      it('what the provider refuses is refused, and nothing written', async () => {
        const wrong = machineInput({ clientSecret: new Secret('wrong') });
        await expect(create(wrong)).rejects.toMatchObject({
          fields: { client_secret: [expect.any(String)] },
        });
        const scopes = machineInput({ scopes: ['openid'] });
        await expect(create(scopes)).rejects.toMatchObject({ fields: { scopes: [expect.any(String)] } });
      });

      it('a provider that is away is asked again by the job', async () => {
        server.answer = (_request, response) => response.writeHead(500).end();
        const secret = await create(machineInput());
        expect(await secrets.describe(secret, null)).toMatchObject({
          status: 'pending',
          lastError: 'http_500',
        });
        server.answer = null;
        await due();
        expect(await statusOf(secret)).toBe('connected');
      });
    });

    describe('a token URL', () => {
      it('that moves takes the client secret with it, and leaves the tokens behind', async () => {
        const secret = await connected();
        const tokenUrl = 'https://moved.example.com/token';
        const move = (more = {}) => secrets.prepareChange(caller(), secret, { tokenUrl, ...more });
        await expect(move()).rejects.toMatchObject({
          type: 'validation_error',
          fields: { token_url: [expect.any(String)], client_secret: [expect.any(String)] },
        });
        const back = await visit(secret);
        const change = await move({ clientSecret: new Secret(CLIENT_SECRET) });
        await harness.db.transaction((tx) => change.write(tx));
        expect(await secrets.describe(secret, null)).toMatchObject({ status: 'pending', tokenUrl });
        await expect(tokenOf(secret)).rejects.toMatchObject({ type: 'conflict' });
        expect(await comeBack(back)).toEqual({ kind: 'nowhere' });
        expect(await comeBack(await visit(secret))).toMatchObject({ kind: 'connected' });
      });

      it('does not come back by a renewal that was under way', async () => {
        const secret = await connected();
        await harness.advance(3_700_000);
        let letGo = () => {};
        server.held = new Promise((resolve) => {
          letGo = resolve;
        });
        const arrived = server.arrived();
        const given = tokenOf(secret).catch((error: unknown) => error);
        await until(() => server.arrived() === arrived + 1);
        const tokenUrl = 'https://moved.example.com/token';
        const change = await secrets.prepareChange(caller(), secret, {
          tokenUrl,
          clientSecret: new Secret(CLIENT_SECRET),
        });
        await harness.db.transaction((tx) => change.write(tx));
        letGo();
        expect(await given).toMatchObject({ type: 'conflict' });
        expect(await statusOf(secret)).toBe('pending');
        expect((await rowOf(secret)).tokens_envelope).toBeNull();
      });

      it('is judged by the guard when it is written and when it is called', async () => {
        const to = (tokenUrl: string) => create(codeInput({ tokenUrl }));
        for (const url of [
          'https://10.0.0.1/token',
          'https://localhost/token',
          `${server.tokenUrl.replace('/token', ':22/token')}`,
        ])
          await expect(to(url)).rejects.toMatchObject({
            type: 'validation_error',
            fields: { token_url: [expect.any(String)] },
          });
        await expect(to('https://nowhere.example.com/token')).resolves.toBeDefined();
      });
    });

    it('stores no credential or token in clear', async () => {
      const secret = await connected();
      const token = await tokenOf(secret);
      const views = (harness.db as Database).view(oauth2Tables).scoped(scope);
      const tables = ['oauth2_secrets', 'oauth2_connections', 'oauth2_visits'] as const;
      const rows = await Promise.all(tables.map((table) => views.selectFrom(table).selectAll().execute()));
      const text = rows
        .flat()
        .map((row) =>
          Object.values(row)
            .map((v) => (Buffer.isBuffer(v) ? v.toString('latin1') : String(v)))
            .join(' '),
        )
        .join('\n');
      expect(text).not.toContain(token);
      expect(text).not.toContain(CLIENT_SECRET);
      expect(harness.logLines.join('\n')).not.toContain(token);
    });
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
