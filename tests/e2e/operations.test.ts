import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { forEachDatabase, onPostgres, openSqlite, type Scene, setScene } from './scene.js';
import { type Environment, killAll, runToEnd, startServer, stopServer } from './server-process.js';

const CARD = '5200828282828210';

afterAll(killAll);

let scene: Scene;
let token: string;
/** Of each call that reached the upstream. */
let vias: string[];

async function setTheScene(open: Parameters<typeof setScene>[0]): Promise<void> {
  vias = [];
  scene = await setScene(open, (request, response) => {
    vias.push(String(request.headers.via));
    response.end('ok');
  });
  await scene.api('POST', '/v1/vaults', { name: 'cards', token_format: 'pan' });
  token = await tokenOf(CARD);
}

async function tokenOf(value: string): Promise<string> {
  const { text } = await scene.api('POST', '/v1/vaults/cards/tokens', { value });
  return JSON.parse(text).data.token;
}

async function readBack(of = token): Promise<unknown> {
  const { text } = await scene.api('GET', `/v1/vaults/cards/tokens/${of}`);
  return JSON.parse(text).data?.value;
}

async function idsOf(path: string): Promise<string[]> {
  const { text } = await scene.api('GET', path);
  return (JSON.parse(text).data as { id: string | number }[]).map(({ id }) => String(id));
}

async function restart(change: Environment = {}): Promise<void> {
  await stopServer(scene.server);
  scene.server = await startServer({ ...scene.environment, ...change });
}

/** Every chain, on the data of the running server as it is now. */
async function verified(change: Environment = {}): Promise<void> {
  const { code, out, error } = await runToEnd(['audit', 'verify'], { ...scene.environment, ...change });
  expect([code, error]).toEqual([0, '']);
  expect(out).toMatch(/tenant default: [1-9]\d* rows verified/);
}

/** The feed ends at its watermark, which on PostgreSQL stays behind the newest row: asked again until it has them. */
async function logIds(count: number): Promise<string[]> {
  for (;;) {
    const ids = await idsOf('/v1/logs');
    if (ids.length >= count) return ids;
  }
}

forEachDatabase((open) => {
  describe('a change of the root key', () => {
    beforeEach(async () => setTheScene(await open()));
    afterEach(() => scene.close());

    it('by one restart with both keys: everything reads before, during and after', async () => {
      const former = join(scene.dataDir, 'root.key');
      const key = { MASTER_KEY_B64: randomBytes(32).toString('base64') };
      expect(await readBack()).toBe(CARD);
      await scene.proxied(scene.target);

      await restart({ ...key, MASTER_KEY_B64_PREVIOUS_FILE: former });
      const changing = scene.server;
      expect(await readBack()).toBe(CARD);
      const made = await tokenOf('4242424242424242');
      await verified(key);

      await restart(key);
      expect(changing.output().out).toContain(
        'The root key is changed. MASTER_KEY_B64_PREVIOUS may be unset',
      );
      expect(await readBack()).toBe(CARD);
      await verified(key);
      expect(await readBack(made)).toBe('4242424242424242');
      await scene.proxied(scene.target);
      expect(vias[1]).toBe(vias[0]);

      await stopServer(scene.server);
      const back = await runToEnd(['start'], { ...scene.environment, KNOX_PORT: '0' });
      expect([back.code, back.error]).toEqual([1, expect.stringContaining('The root key is not the one')]);
      scene.server = await startServer({ ...scene.environment, ...key });
      expect(await readBack()).toBe(CARD);
    });
  });
});

describe('a backup of a running server', () => {
  beforeEach(async () => setTheScene(await openSqlite()));
  afterEach(() => scene.close());

  it('is whole while the server writes, and starts elsewhere with the root key', async () => {
    const dir = join(scene.dataDir, '..', "back up's");
    let isDone = false;
    const written: string[] = [];
    const writing = (async () => {
      while (!isDone) written.push(await tokenOf('4242424242424242'));
    })();
    const { code, out, error } = await runToEnd(['backup', '--to', dir], scene.environment);
    isDone = true;
    await writing;
    expect([code, error]).toEqual([0, '']);
    expect(out).toContain(`The root key (${join(scene.dataDir, 'root.key')}) is not in it`);
    expect(readdirSync(dir).sort()).toEqual(['knox-log.db', 'knox.db']);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(written.length).toBeGreaterThan(0);

    const restored = join(scene.dataDir, '..', 'restored');
    mkdirSync(restored, { mode: 0o700 });
    for (const name of readdirSync(dir)) copyFileSync(join(dir, name), join(restored, name));
    const without = await runToEnd(['start'], { KNOX_DATA_DIR: restored, KNOX_PORT: '0' });
    expect([without.code, without.error]).toEqual([1, expect.stringContaining('root.key is missing')]);
    copyFileSync(join(scene.dataDir, 'root.key'), join(restored, 'root.key'));
    await restart({ KNOX_DATA_DIR: restored });
    expect(await readBack()).toBe(CARD);
    await verified({ KNOX_DATA_DIR: restored });
  });

  it('replaces nothing', async () => {
    const before = await runToEnd(['backup', '--to', join(scene.dataDir, '..', 'kept')], scene.environment);
    const again = await runToEnd(['backup', '--to', join(scene.dataDir, '..', 'kept')], scene.environment);
    expect(before.code).toBe(0);
    expect([again.code, again.error]).toEqual([
      1,
      expect.stringContaining('exists: a backup goes to a folder without one'),
    ]);
    const onItself = await runToEnd(['backup', '--to', scene.dataDir], scene.environment);
    expect([onItself.code, onItself.error]).toEqual([1, expect.stringContaining('exists')]);
    expect(await readBack()).toBe(CARD);
  });
});

onPostgres((open) => {
  describe('a move of an installation', () => {
    it('to PostgreSQL and back: everything reads, and the numbers go on', async () => {
      await setTheScene(await openSqlite());
      const postgres = await open();
      const url = postgres.environment['DATABASE_URL'] ?? '';
      const copy = (from: string, to: string) =>
        runToEnd(['storage', 'copy', '--from', from, '--to', to], {});
      const home = `sqlite:${join(scene.dataDir, 'knox.db')}`;
      await scene.proxied(scene.target);
      const logs = await logIds(1);
      const audit = await idsOf('/v1/audit-logs');

      const busy = await copy(home, url);
      expect([busy.code, busy.error]).toEqual([
        1,
        expect.stringContaining('in use by another server process'),
      ]);

      await stopServer(scene.server);
      const there = await copy(home, url);
      expect([there.code, there.error]).toEqual([0, '']);
      expect(there.out).toMatch(/ {2}vault_tokens {2}1\n/);
      expect(there.out).toMatch(/Copied and compared: \d+ rows of \d+ tables\./);

      scene.server = await startServer({ ...scene.environment, DATABASE_URL: url });
      expect(await idsOf('/v1/audit-logs')).toEqual(audit);
      expect(await readBack()).toBe(CARD);
      expect(await logIds(1)).toEqual(logs);
      await scene.proxied(scene.target);
      expect(vias[1]).toBe(vias[0]);
      const more = await logIds(2);
      expect(new Set([...more, ...logs]).size).toBe(2);
      const made = await tokenOf('4242424242424242');
      await verified({ DATABASE_URL: url });

      const busyThere = await copy(url, `sqlite:${join(scene.dataDir, 'too-soon.db')}`);
      expect([busyThere.code, busyThere.error]).toEqual([1, expect.stringContaining('the source is in use')]);
      await stopServer(scene.server);

      const back = join(scene.dataDir, '..', 'back');
      const returned = await copy(url, `sqlite:${join(back, 'knox.db')}`);
      expect([returned.code, returned.error]).toEqual([0, '']);
      copyFileSync(join(scene.dataDir, 'root.key'), join(back, 'root.key'));
      scene.server = await startServer({ ...scene.environment, KNOX_DATA_DIR: back });
      expect(await readBack()).toBe(CARD);
      expect(await readBack(made)).toBe('4242424242424242');
      expect(await logIds(2)).toEqual(more);
      await scene.proxied(scene.target);
      expect(new Set(await logIds(3)).size).toBe(3);
      await verified({ KNOX_DATA_DIR: back });
      await scene.close();
      await postgres.remove();
    });
  });
});
