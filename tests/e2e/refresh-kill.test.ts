import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MIGRATIONS } from '../../packages/server/src/app/migrations.js';
import { commitHook } from '../../packages/server/src/capabilities/audit-logs/index.js';
import { oauthTables } from '../../packages/server/src/capabilities/oauth/tables.js';
import { createFamilyStore } from '../../packages/server/src/capabilities/oauth/tokens/family-store.js';
import { hashToken } from '../../packages/server/src/capabilities/oauth/tokens/token-format.js';
import { systemClock } from '../../packages/server/src/kernel/clock.js';
import type {
  OAuthClientId,
  OAuthFamilyId,
  Scope,
  TenantId,
  UserId,
} from '../../packages/server/src/kernel/ids.js';
import { createLogger } from '../../packages/server/src/platform/log/logger.js';
import { openDatabase } from '../../packages/server/src/platform/storage/open-database.js';
import { type E2eDatabase, forEachDatabase } from './scene.js';
import {
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

/** A server killed in the middle of a refresh (auth.md §2.6): the former pair is good, or the new one, never none and never two. */
/** How many turns of this loop after the request a server dies; the last one dies behind its answer. */
const KILLS = [0, 300, 1_000, 3_000, 10_000, 30_000, 90_000, Number.POSITIVE_INFINITY];
const YEAR_MS = 31_536_000_000;

afterAll(killAll);

forEachDatabase((open) => {
  const dataDir = makeDataDir();
  let database: E2eDatabase;
  let server: ServerProcess;
  let client: { id: OAuthClientId; authorization: string };
  let scope: Scope;
  let userId: UserId;

  const start = async () => {
    server = await startServer({ KNOX_DATA_DIR: dataDir.path, ...database.environment });
  };
  const api = async (method: string, path: string, credential: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${credential}`, 'content-type': 'application/json' };
    const answer = await fetch(server.url + path, {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    // biome-ignore lint/suspicious/noExplicitAny: an answer of whatever shape
    return (await answer.json()) as any;
  };
  const refresh = (refreshToken: string) =>
    fetch(`${server.url}/oauth/token`, {
      method: 'POST',
      headers: { authorization: client.authorization },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
    });

  beforeAll(async () => {
    database = await open();
    await start();
    const { live_api_key: key, admin, tenant } = readBootstrap(dataDir.path);
    const made = await api('POST', '/v1/oauth-clients', key, {
      name: 'patient',
      grant_types: ['refresh_token'],
      allowed_scopes: ['vaults:read'],
      refresh_grace_seconds: 60,
    });
    const { client_id, client_secret, id } = made.data;
    client = {
      id,
      authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`,
    };
    const { token } = await api('POST', '/admin/auth/login', '', { ...admin, cookie: false });
    userId = (await api('GET', '/admin/auth/me', token)).user.id;
    scope = { tenantId: tenant.id as TenantId, sandbox: false };
    await stopServer(server);
  });
  afterAll(async () => {
    await database?.remove();
    dataDir.remove();
  });

  /** What lies in the database of a server that is down. */
  async function withTables<T>(
    work: (db: Awaited<ReturnType<typeof openDatabase>>) => Promise<T>,
  ): Promise<T> {
    const url = database.environment['DATABASE_URL'];
    const file = (name: string) => join(dataDir.path, name);
    const storage = url
      ? ({ kind: 'postgres', url, poolMax: 2 } as const)
      : ({ kind: 'sqlite', path: file('knox.db'), logPath: file('knox-log.db') } as const);
    const logger = createLogger('error', { write: () => {} });
    const db = await openDatabase(storage, {
      migrations: MIGRATIONS,
      clock: systemClock,
      logger,
      commitHook,
    });
    try {
      return await work(db);
    } finally {
      await db.close();
    }
  }

  async function openFamily(refreshToken: string): Promise<OAuthFamilyId> {
    const familyId = `family of ${refreshToken}` as OAuthFamilyId;
    const nowMs = Date.now();
    await withTables((db) =>
      db.transaction(async (tx) => {
        const families = createFamilyStore(db);
        await families.insert(tx, {
          id: familyId,
          scope,
          source: { kind: 'user', userId, oauthClientId: client.id, epoch: 0 },
          grantType: 'authorization_code',
          permissions: new Set(['vaults:read']),
          jkt: null,
          refreshes: 0,
          createdAtMs: nowMs,
          idleExpiresAtMs: nowMs + YEAR_MS,
          expiresAtMs: nowMs + YEAR_MS,
          revokedAtMs: null,
          revokedReason: null,
        });
        const token = { hash: hashToken(refreshToken), familyId, issuedAtMs: nowMs };
        await families.insertRefreshToken(tx, scope, token);
      }),
    );
    return familyId;
  }

  /** Refresh tokens of the family that are good, access tokens, and whether it was ended. */
  function stateOf(familyId: OAuthFamilyId) {
    return withTables(async (db) => {
      const queries = db.view(oauthTables).scoped(scope);
      const refreshTokens = await queries
        .selectFrom('oauth_refresh_tokens')
        .select('used_at')
        .where('family_id', '=', familyId)
        .execute();
      const tokens = await queries
        .selectFrom('oauth_tokens')
        .select('id')
        .where('family_id', '=', familyId)
        .execute();
      const family = await createFamilyStore(db).find(scope, familyId);
      return {
        good: refreshTokens.filter((row) => row.used_at === null).length,
        used: refreshTokens.filter((row) => row.used_at !== null).length,
        access: tokens.length,
        refreshes: family?.refreshes,
        isRevoked: family?.revokedAtMs !== null,
      };
    });
  }

  it(`over ${KILLS.length} kills`, async () => {
    const rounds: { first: string; familyId: OAuthFamilyId; turns: number }[] = [];
    for (const [round, turns] of KILLS.entries()) {
      const first = `refresh token ${round}`;
      rounds.push({ first, familyId: await openFamily(first), turns });
    }
    const outcomes = [];
    let last: OAuthFamilyId | null = null;
    /** What refreshes after the kill have left: seen when the server is down again. */
    const expectRefreshedTwice = async (familyId: OAuthFamilyId) =>
      expect(await stateOf(familyId)).toEqual({
        good: 1,
        used: 2,
        access: 2,
        refreshes: 2,
        isRevoked: false,
      });
    await start();
    for (const { first, familyId, turns } of rounds) {
      // Whoever waits for the first answer of a process does not wait for the refresh.
      await fetch(`${server.url}/healthz`);
      const answer = refresh(first).then(
        ({ status }) => status,
        () => null,
      );
      let isAnswered = false;
      void answer.then(() => {
        isAnswered = true;
      });
      for (let turn = 0; turn < turns && !isAnswered; turn++) await nextTurn();
      server.signal('SIGKILL');
      await server.exited;
      const status = await answer;
      const state = await stateOf(familyId);
      const wasUsed = state.used === 1;
      if (status !== null) expect([status, wasUsed]).toEqual([200, true]);
      expect(state).toEqual({
        good: 1,
        used: wasUsed ? 1 : 0,
        access: wasUsed ? 1 : 0,
        refreshes: wasUsed ? 1 : 0,
        isRevoked: false,
      });
      outcomes.push(wasUsed);
      if (last !== null) await expectRefreshedTwice(last);
      last = familyId;

      await start();
      const again = await refresh(first);
      expect(again.status).toBe(200);
      const { refresh_token: second } = (await again.json()) as { refresh_token: string };
      expect((await refresh(second)).status).toBe(200);
    }
    await stopServer(server);
    await expectRefreshedTwice(last!);
    // Kills that all came on one side of the commit would say nothing of the other.
    expect([outcomes[0], outcomes.at(-1)]).toEqual([false, true]);
  });
});
