import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDraw } from './crash-load.js';
import { onPostgres, openSqlite, type PostgresDatabase, type Scene, setScene } from './scene.js';
import { killAll, startServer } from './server-process.js';

/** `npm run soak` sets both. */
const KILLS = Number(process.env['KNOX_REFRESH_KILLS'] ?? 5);
const SEED = Number(process.env['KNOX_CRASH_SEED'] ?? 4);

const ACKNOWLEDGEMENTS_MAX = 40;
const TURNS_MAX = 1_000;
const FAMILIES_OF_A_CLIENT = 4;
const GRACE_SECONDS = 60;
const REDIRECT_URI = 'https://app.example.com/callback';
const DAY_MS = 86_400_000;

interface Client {
  readonly id: string;
  readonly authorization: string;
  readonly hasGrace: boolean;
}

interface Family {
  readonly id: string;
  readonly client: Client;
  /** The newest refresh token that an answer has brought, and how many have. */
  held: string;
  answered: number;
}

interface FamilyRow {
  readonly refreshes: number;
  readonly revoked: number;
  readonly unused: number;
  readonly used: number;
  readonly minted: number;
  readonly audited: number;
}

type Run = (sql: string) => Promise<Record<string, unknown>[]>;

afterAll(killAll);

describe('on SQLite', () => suite(async () => ({ ...(await openSqlite()), query: null })));
onPostgres((open) => suite(open));

function suite(open: () => Promise<Omit<PostgresDatabase, 'url' | 'query'> & { query: Run | null }>): void {
  describe(`a server killed while it refreshes tokens (seed ${SEED})`, () => {
    const draw = createDraw(SEED);
    const points = Array.from({ length: KILLS }, (_, index) => ({
      number: index + 1,
      acknowledgements: draw(ACKNOWLEDGEMENTS_MAX),
      turns: draw(TURNS_MAX),
    }));
    const families: Family[] = [];
    let scene: Scene;
    let run: Run;

    beforeAll(async () => {
      const database = await open();
      scene = await setScene(database, (_request, response) => response.end());
      run = database.query ?? onSqlite(scene.dataDir);
      for (const client of [await makeClient(0), await makeClient(GRACE_SECONDS)]) {
        for (let n = 0; n < FAMILIES_OF_A_CLIENT; n++) families.push(await consent(client, n));
      }
    });
    afterAll(() => scene?.close());

    async function makeClient(graceSeconds: number): Promise<Client> {
      const { status, text } = await scene.api('POST', '/v1/oauth-clients', {
        name: 'refreshing',
        grant_types: ['authorization_code', 'refresh_token'],
        redirect_uris: [REDIRECT_URI],
        allowed_scopes: ['vaults:read'],
        refresh_grace_seconds: graceSeconds,
      });
      expect([status, text]).toEqual([201, expect.any(String)]);
      const { id, client_id, client_secret } = JSON.parse(text).data as Record<string, string>;
      const authorization = `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`;
      return { id: id!, authorization, hasGrace: graceSeconds > 0 };
    }

    /** What the consent of the owner leaves, without its pages. */
    async function consent(client: Client, n: number): Promise<Family> {
      const id = `family ${n} of ${client.id}`;
      const held = randomBytes(32).toString('base64url');
      const [nowMs, tenant] = [Date.now(), scene.bootstrap.tenant.id];
      const [{ id: userId } = {}] = await run('SELECT id FROM users');
      const hash = createHash('sha256').update(held).digest('hex');
      const bytes = database() === 'sqlite' ? `x'${hash}'` : `'\\x${hash}'`;
      await run(`INSERT INTO oauth_families (tenant_id, sandbox, id, oauth_client_id, user_id, source_epoch, grant_type, scopes,
          refreshes, created_at, idle_expires_at, expires_at)
        VALUES ('${tenant}', 0, '${id}', '${client.id}', '${userId}', 0, 'authorization_code', 'vaults:read',
          0, ${nowMs}, ${nowMs + DAY_MS}, ${nowMs + DAY_MS})`);
      await run(`INSERT INTO oauth_refresh_tokens (tenant_id, sandbox, token_hash, family_id, issued_at)
        VALUES ('${tenant}', 0, ${bytes}, '${id}', ${nowMs})`);
      return { id, client, held, answered: 0 };
    }

    function database(): 'sqlite' | 'postgres' {
      return scene.environment['DATABASE_URL'] === undefined ? 'sqlite' : 'postgres';
    }

    /** Null: the server died before it answered. */
    async function ask(path: string, { client }: Family, form: Record<string, string>) {
      try {
        const answer = await fetch(`${scene.server.url}${path}`, {
          method: 'POST',
          headers: { authorization: client.authorization },
          body: new URLSearchParams(form),
        });
        return { status: answer.status, json: (await answer.json()) as Record<string, string> };
      } catch {
        return null;
      }
    }

    function refresh(family: Family, refreshToken: string) {
      const form = { grant_type: 'refresh_token', refresh_token: refreshToken };
      return ask('/oauth/token', family, form);
    }

    /** Each family is refreshed by one client, one call after the other, until the server is gone. */
    async function runUntil({ acknowledgements, turns }: (typeof points)[number]): Promise<void> {
      let left = acknowledgements;
      let killing: Promise<void> | null = null;
      const kill = async () => {
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        scene.server.signal('SIGKILL');
      };
      const lane = async (family: Family) => {
        for (;;) {
          if (left-- === 0) killing = kill();
          const answer = await refresh(family, family.held);
          if (answer === null) return;
          expect([answer.status, answer.json]).toEqual([200, expect.anything()]);
          family.held = answer.json['refresh_token']!;
          family.answered++;
        }
      };
      await Promise.all(families.map(lane));
      await killing;
      expect(await scene.server.exited).toMatchObject({ signal: 'SIGKILL' });
    }

    async function rowOf({ id }: Family): Promise<FamilyRow> {
      const count = (what: string) => `(SELECT count(*) FROM ${what})`;
      const [row] =
        await run(`SELECT refreshes, ${count(`oauth_refresh_tokens WHERE family_id = '${id}' AND used_at IS NULL`)} AS unused,
        ${count(`oauth_refresh_tokens WHERE family_id = '${id}' AND used_at IS NOT NULL`)} AS used,
        ${count(`oauth_tokens WHERE family_id = '${id}'`)} AS minted,
        ${count(`audit_logs WHERE action = 'oauth.token.mint' AND details LIKE '%${id}%'`)} AS audited,
        ${count(`oauth_families WHERE id = '${id}' AND revoked_at IS NOT NULL`)} AS revoked
        FROM oauth_families WHERE id = '${id}'`);
      const numbers = Object.entries(row!).map(([name, value]) => [name, Number(value)]);
      return Object.fromEntries(numbers) as FamilyRow;
    }

    it.for(points)(
      'kill $number, after $acknowledgements refreshes and $turns turns: of each family the old pair is good or the new one',
      async (point) => {
        await runUntil(point);
        scene.server = await startServer(scene.environment);
        for (const family of families) {
          const { refreshes, ...row } = await rowOf(family);
          // One refresh token is good, never none and never two, and each that was used has left one pair.
          const each = { used: refreshes, minted: refreshes, audited: refreshes };
          expect(row, family.id).toEqual({ revoked: 0, unused: 1, ...each });
          // What was answered is there, and at most the one call that was not.
          expect([family.answered, family.answered + 1], family.id).toContain(refreshes);

          const form = { token: family.held };
          const isOld = (await ask('/oauth/introspect', family, form))?.json['active'];
          if (!isOld && !family.client.hasGrace) {
            // It lost the only answer that names the new one: the rows above have shown that this is good.
            const renewed = await consent(
              family.client,
              1_000 + families.indexOf(family) + 100 * point.number,
            );
            families[families.indexOf(family)] = renewed;
            continue;
          }
          // The old one gives the next pair, or, within the grace, once more the one that was lost.
          const answer = await refresh(family, family.held);
          expect([answer?.status, answer?.json]).toEqual([200, expect.anything()]);
          const { access_token: token, refresh_token: next } = answer!.json;
          expect((await scene.api('GET', '/v1/vaults', undefined, token!)).status).toBe(200);
          expect(await rowOf(family)).toMatchObject({ unused: 1, used: refreshes + (isOld ? 1 : 0) });
          family.held = next!;
          family.answered = refreshes + (isOld ? 1 : 0);
        }
      },
    );
  });
}

function onSqlite(dataDir: string): Run {
  return async (sql) => {
    const db = new DatabaseSync(join(dataDir, 'knox.db'));
    try {
      db.exec('PRAGMA busy_timeout = 10000');
      return db.prepare(sql).all() as Record<string, unknown>[];
    } finally {
      db.close();
    }
  };
}
