import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { forEachDatabase } from './scene.js';
import { killAll, makeDataDir, readBootstrap, runToEnd, startServer, stopServer } from './server-process.js';

afterAll(killAll);

forEachDatabase((open) => {
  it('the operator switches a tenant beside the running server, which follows', async () => {
    const database = await open();
    const dataDir = makeDataDir();
    const planFile = join(dataDir.path, '..', 'plans.json');
    writeFileSync(planFile, '{"starter":{"requests_per_minute":5}}');
    const redisUrl = process.env['TEST_REDIS_URL'];
    const environment = {
      ...database.environment,
      ...(redisUrl && { REDIS_URL: redisUrl }),
      KNOX_DATA_DIR: dataDir.path,
      KNOX_PLAN_FILE: planFile,
    };
    const server = await startServer({ ...environment, KNOX_PLAN: 'pro' });
    const key = readBootstrap(dataDir.path).live_api_key;
    const get = (path: string) =>
      fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${key}` } });
    const account = async () => ((await (await get('/v1/account')).json()) as { data: unknown }).data;
    const set = (...words: string[]) => runToEnd(['tenant', 'set', 'default', ...words], environment);
    const until = async (isSo: () => Promise<boolean>) => {
      while (!(await isSo()));
    };

    expect(await account()).toMatchObject({ subscription_plan: 'pro', subscription_status: 'active' });

    // A key's own limit is one count over both surfaces.
    const made = await fetch(`${server.url}/v1/api-keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'narrow', rate_limit_requests: 2, rate_limit_window_sec: 3_600 }),
    });
    const narrow = ((await made.json()) as { data: { api_key: string } }).data.api_key;
    const calls = ['/v1/vaults', '/v1/proxy', '/v1/proxy', '/v1/vaults'];
    const seen: unknown[] = [];
    for (const path of calls) {
      const answer = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${narrow}` } });
      const { error } = (await answer.json()) as { error?: { limit?: { scope: string } } };
      seen.push([answer.status, answer.headers.get('x-ratelimit-remaining'), error?.limit?.scope]);
    }
    expect(seen).toEqual([
      [200, '1', undefined],
      // No target: refused after it has counted.
      [400, '0', undefined],
      [429, '0', 'key'],
      [429, '0', 'key'],
    ]);
    expect((await get('/v1/vaults')).status).toBe(200);

    const paused = await set('--subscription-status', 'paused');
    expect([paused.code, paused.out]).toEqual([
      0,
      'default: plan pro, subscription paused, ephemeral calls by plan\n',
    ]);
    await until(async () => (await get('/v1/vaults')).status === 403);
    expect((await get('/v1/account')).status).toBe(200);

    await set('--subscription-status', 'active', '--ephemeral', 'off');
    await until(async () => (await get('/v1/vaults')).status === 200);
    const refused = await get('/v1/proxy');
    expect([refused.status, await refused.json()]).toMatchObject([402, { error: { type: 'plan_feature' } }]);

    await set('--plan', 'starter');
    await until(async () => (await get('/v1/vaults')).headers.get('x-ratelimit-limit') === '5');
    const unknown = await runToEnd(['tenant', 'set', 'nobody', '--plan', 'pro'], environment);
    expect([unknown.code, unknown.error]).toEqual([1, 'tenant set: there is no tenant nobody\n']);

    await stopServer(server);
    dataDir.remove();
    await database.remove();
  });
});
