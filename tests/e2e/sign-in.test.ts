import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { forEachDatabase } from './scene.js';
import {
  type Bootstrap,
  type Environment,
  killAll,
  makeDataDir,
  readBootstrap,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

afterAll(killAll);

forEachDatabase((open) => {
  const dataDir = makeDataDir();
  let database: Awaited<ReturnType<typeof open>>;
  let environment: Environment;
  let server: ServerProcess;
  let bootstrap: Bootstrap;

  beforeAll(async () => {
    database = await open();
    environment = { KNOX_DATA_DIR: dataDir.path, ...database.environment };
    server = await startServer(environment);
    bootstrap = readBootstrap(dataDir.path);
  });
  afterAll(async () => {
    await stopServer(server);
    await database.remove();
    dataDir.remove();
  });

  async function ask(method: string, path: string, headers: Record<string, string>, body?: object) {
    const response = await fetch(`${server.url}${path}`, {
      method,
      headers: { ...headers, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return { status: response.status, json: (await response.json()) as Record<string, unknown> };
  }
  const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` });

  it('the owner of the first start signs in, and works where its keys do', async () => {
    const file = join(dataDir.path, 'bootstrap.json');
    const { email, password } = bootstrap.admin;
    expect((await ask('POST', '/admin/auth/login', {}, { email, password: `${password}x` })).status).toBe(
      401,
    );
    expect(existsSync(file)).toBe(true);
    const opened = await ask('POST', '/admin/auth/login', {}, { email, password, cookie: false });
    expect([opened.status, opened.json['tenants']]).toEqual([
      200,
      [{ id: bootstrap.tenant.id, slug: 'default', name: 'Default', role: 'owner' }],
    ]);
    expect(existsSync(file)).toBe(false);

    const token = bearer(opened.json['token']);
    const live = bearer(bootstrap.live_api_key);
    expect((await ask('POST', '/admin/vaults', token, { name: 'cards' })).status).toBe(201);
    expect((await ask('GET', '/v1/vaults/cards', live)).status).toBe(200);
    expect((await ask('GET', '/admin/vaults/cards', { ...token, 'x-knoxcall-mode': 'test' })).status).toBe(
      404,
    );

    // An access key: made here alone, in live mode, and worth what it was given.
    const wanted = { name: 'ake', key_type: 'access_key', scopes: ['vaults:read', 'proxy:invoke'] };
    const made = await ask('POST', '/admin/api-keys', token, wanted);
    expect([made.status, made.json['data']]).toEqual([
      201,
      expect.objectContaining({ key_type: 'access_key' }),
    ]);
    const accessKey = bearer((made.json['data'] as { api_key: string }).api_key);
    expect((await ask('GET', '/v1/vaults/cards', accessKey)).status).toBe(200);
    expect((await ask('POST', '/v1/vaults', accessKey, { name: 'more' })).status).toBe(403);
    // Let in, and refused for what the call lacks.
    expect((await ask('POST', '/v1/proxy', accessKey)).status).toBe(400);

    // Token and session outlive the process: the key that signs is kept with them.
    await stopServer(server);
    server = await startServer(environment);
    expect((await ask('GET', '/admin/auth/me', token)).status).toBe(200);
    const refresh_token = opened.json['refresh_token'];
    const next = await ask('POST', '/admin/auth/refresh', {}, { refresh_token: refresh_token as string });
    expect(next.status).toBe(200);
    expect((await ask('POST', '/admin/auth/logout', bearer(next.json['token']))).status).toBe(200);
    expect((await ask('GET', '/admin/auth/me', token)).status).toBe(401);
    for (const secret of [password, opened.json['token'], refresh_token])
      expect(`${server.output().out}${await database.dump()}`).not.toContain(secret);
  });
});
