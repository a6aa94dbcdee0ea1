import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Bootstrap,
  killAll,
  makeDataDir,
  readBootstrap,
  runToEnd,
  type ServerProcess,
  startServer,
  stopServer,
} from './server-process.js';

afterAll(killAll);

const modeOf = (path: string) => statSync(path).mode & 0o777;
const secretsOf = ({ admin, live_api_key, test_api_key }: Bootstrap) => [
  admin.password,
  live_api_key,
  test_api_key,
];

async function apiCall(server: ServerProcess, key: string, method: string, path: string, body?: unknown) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(body ? { 'content-type': 'application/json' } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return { status: response.status, body: (await response.json()) as { data: Record<string, unknown> } };
}

describe('an installation from its first start on', () => {
  const dataDir = makeDataDir();
  const environment = { KNOX_DATA_DIR: dataDir.path };
  let server: ServerProcess;
  let bootstrap: Bootstrap;

  beforeAll(async () => {
    server = await startServer(environment);
    bootstrap = readBootstrap(dataDir.path);
  });
  afterAll(dataDir.remove);

  it('writes a bootstrap file of exactly the contract', () => {
    expect(bootstrap).toEqual({
      base_url: server.url,
      tenant: { id: expect.stringMatching(/^[0-9a-f-]{36}$/), slug: 'default' },
      admin: { email: 'owner@localhost', password: expect.stringMatching(/^\S{16,}$/) },
      live_api_key: expect.stringMatching(/^tk_live_[a-z0-9]{12}_[A-Za-z0-9]{40}$/),
      test_api_key: expect.stringMatching(/^tk_test_[a-z0-9]{12}_[A-Za-z0-9]{40}$/),
    });
    expect(Object.keys(bootstrap)).toEqual(['base_url', 'tenant', 'admin', 'live_api_key', 'test_api_key']);
  });

  it('keeps everything it made to its owner', () => {
    expect(modeOf(dataDir.path)).toBe(0o700);
    const modes = readdirSync(dataDir.path).map((name) => [name, modeOf(join(dataDir.path, name))]);
    expect(modes.map(([name]) => name)).toEqual(
      expect.arrayContaining(['bootstrap.json', 'knox.db', 'root.key']),
    );
    expect(modes.filter(([, mode]) => mode !== 0o600)).toEqual([]);
  });

  it('shows the credentials once, with the warning to back up the root key', () => {
    const { out } = server.output();
    for (const secret of secretsOf(bootstrap)) expect(out).toContain(secret);
    expect(out).toContain(`Back up ${join(dataDir.path, 'root.key')}`);
  });

  it('prints curl lines that work when pasted, twice', () => {
    const lines = server
      .output()
      .out.split('\n')
      .filter((line) => /^ *(TOKEN=\$\()?curl /.test(line));
    expect(lines).toHaveLength(3);
    for (const paste of ['first', 'second']) {
      const output = execFileSync('bash', [], { input: lines.join('\n'), encoding: 'utf8' })
        .trim()
        .split('\n');
      expect(output, paste).toHaveLength(3);
      const [vault, token, value] = output as [string, string, string];
      expect(JSON.parse(vault)).toMatchObject(
        paste === 'first' ? { data: { name: 'cards' } } : { error: { type: 'conflict' } },
      );
      expect(token).toMatch(/^424242\d{6}4242$/);
      expect(token).not.toBe('4242424242424242');
      expect(JSON.parse(value)).toMatchObject({ data: { token, value: '4242424242424242' } });
    }
  });

  it('refuses a second process on the same data directory', async () => {
    const { code, error } = await runToEnd(['start'], { ...environment, KNOX_PORT: '0' });
    expect(code).toBe(1);
    expect(error).toContain(
      `Cannot start: the data directory ${dataDir.path} is in use by another server process`,
    );
    expect(error).not.toContain('    at ');
  });

  it('names the port that is taken', async () => {
    const other = makeDataDir();
    const { code, error } = await runToEnd(['start'], {
      KNOX_DATA_DIR: other.path,
      KNOX_PORT: new URL(server.url).port,
    });
    expect([code, error]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    other.remove();
  });

  it('shows its background work to a command beside it, and runs it when asked', async () => {
    const lastRun = async () => {
      const { out } = await runToEnd(['jobs', 'list'], environment);
      return /^job_retention +every 10 min +(\S+) +ok /m.exec(out)?.[1];
    };
    const before = await lastRun();
    expect(before).toMatch(/^20\d\d-/);
    expect(await runToEnd(['jobs', 'run', 'job_retention'], environment)).toMatchObject({
      code: 0,
      error: '',
    });
    await expect.poll(lastRun, { timeout: 20_000 }).not.toBe(before);
  });

  it('ends with 0 on SIGTERM', async () => {
    expect(await stopServer(server)).toMatchObject({ code: 0, signal: null });
  });

  it('ends with 0 on Ctrl-C, which npm hands on a second time', async () => {
    server = await startServer(environment);
    server.signal('SIGINT');
    server.signal('SIGINT');
    expect(await server.exited).toMatchObject({ code: 0, signal: null });
  });

  it('shows no secret at later starts, and the keys still work', async () => {
    server = await startServer(environment);
    const { status } = await apiCall(server, bootstrap.live_api_key, 'GET', '/v1/vaults');
    expect(status).toBe(200);
    const { out, error } = server.output();
    for (const secret of secretsOf(bootstrap)) expect(out + error).not.toContain(secret);
    expect(readBootstrap(dataDir.path)).toEqual(bootstrap);
  });

  it('keeps every acknowledged write over kill -9', async () => {
    const { body } = await apiCall(server, bootstrap.live_api_key, 'POST', '/v1/vaults/cards/tokens', {
      value: '5555555555554444',
    });
    server.signal('SIGKILL');
    expect(await server.exited).toMatchObject({ signal: 'SIGKILL' });
    server = await startServer(environment);
    const path = `/v1/vaults/cards/tokens/${body.data['token']}`;
    expect(await apiCall(server, bootstrap.live_api_key, 'GET', path)).toMatchObject({
      status: 200,
      body: { data: { value: '5555555555554444' } },
    });
    await stopServer(server);
  });

  it('refuses another root key, and makes no new one where data exists', async () => {
    const other = { ...environment, KNOX_PORT: '0', MASTER_KEY_B64: randomBytes(32).toString('base64') };
    const mismatch = await runToEnd(['start'], other);
    expect([mismatch.code, mismatch.error]).toEqual([1, expect.stringMatching(/^Cannot start: .*root key/)]);
    rmSync(join(dataDir.path, 'root.key'));
    const missing = await runToEnd(['start'], { ...environment, KNOX_PORT: '0' });
    expect([missing.code, missing.error]).toEqual([1, expect.stringMatching(/^Cannot start: .*root key/)]);
    expect(existsSync(join(dataDir.path, 'root.key'))).toBe(false);
  });
});

describe('an interrupted first start', () => {
  it('that left only a root key and a stale bootstrap file is made anew', async () => {
    const dataDir = makeDataDir();
    const first = await startServer({ KNOX_DATA_DIR: dataDir.path });
    const stale = readBootstrap(dataDir.path);
    first.signal('SIGKILL');
    await first.exited;
    for (const name of readdirSync(dataDir.path).filter((file) => file.startsWith('knox'))) {
      rmSync(join(dataDir.path, name));
    }
    const second = await startServer({ KNOX_DATA_DIR: dataDir.path });
    const made = readBootstrap(dataDir.path);
    expect(made.live_api_key).not.toBe(stale.live_api_key);
    expect((await apiCall(second, made.live_api_key, 'GET', '/v1/vaults')).status).toBe(200);
    await stopServer(second);
    dataDir.remove();
  });
});

describe('commands', () => {
  it('config check shows the effective configuration, secrets masked, and touches nothing', async () => {
    const dataDir = makeDataDir();
    const { code, out } = await runToEnd(['config', 'check'], {
      KNOX_DATA_DIR: dataDir.path,
      DATABASE_URL: 'postgres://knox:hunter2@db.internal/knox',
    });
    expect(code).toBe(0);
    expect(out).toContain('postgres://knox:[SECRET]@db.internal/knox');
    expect(out).not.toContain('hunter2');
    expect(existsSync(dataDir.path)).toBe(false);
    dataDir.remove();
  });

  it('a bad configuration lists all problems and makes nothing', async () => {
    const dataDir = makeDataDir();
    const { code, error } = await runToEnd(['start'], {
      KNOX_DATA_DIR: dataDir.path,
      KNOX_PORT: 'x',
      KNOX_ALLOW_PRIVATE_UPSTREAMS: '10.0.0.0/4',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    });
    expect(code).toBe(1);
    for (const name of ['KNOX_PORT', 'KNOX_ALLOW_PRIVATE_UPSTREAMS', 'NODE_TLS_REJECT_UNAUTHORIZED']) {
      expect(error).toContain(`  ${name} `);
    }
    expect(existsSync(dataDir.path)).toBe(false);
    dataDir.remove();
  });

  it('a root key file that others may read is refused', async () => {
    const dataDir = makeDataDir();
    const path = join(dataDir.path, '..', 'open.key');
    writeFileSync(path, randomBytes(32).toString('base64'), { mode: 0o644 });
    const { code, error } = await runToEnd(['start'], {
      KNOX_DATA_DIR: dataDir.path,
      KNOX_ROOT_KEY_FILE: path,
      KNOX_PORT: '0',
    });
    expect([code, error]).toEqual([1, expect.stringContaining('chmod 600')]);
    dataDir.remove();
  });

  it('an unknown command exits with 2', async () => {
    expect((await runToEnd(['strat'], {})).code).toBe(2);
  });
});
