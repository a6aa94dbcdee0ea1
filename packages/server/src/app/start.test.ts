import { execFileSync } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { StartRefused } from '../platform/config/private-files.js';
import { command } from '../testing/command.js';
import { createManualClock } from '../testing/manual-clock.js';
import { curlLines } from './banner.js';
import type { BootstrapContent } from './bootstrap-file.js';
import type { CommandDeps } from './command-deps.js';
import { urlOf } from './self-check.js';
import type { StartServer } from './start.js';

const content: BootstrapContent = {
  base_url: 'http://127.0.0.1:8787',
  tenant: { id: 't', slug: 'default' },
  admin: { email: 'owner@localhost', password: 'owner-password' },
  live_api_key: 'tk_live_abc_def',
  test_api_key: 'tk_test_abc_def',
};

const clock = createManualClock();

const open: Server[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

/** A listener that answers /healthz, in the place of the whole server. */
function listening(options: { firstStart?: boolean; closes?: boolean } = {}): StartServer {
  return async (_config, hooks) => {
    const server = createServer((_request, response) => response.end('{"status":"ok"}'));
    open.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    if (options.firstStart) hooks.onFirstStart(content);
    return {
      addresses: [{ address: '127.0.0.1', port: (server.address() as AddressInfo).port }],
      tlsAddress: null,
      reload: null,
      bootstrapFile: null,
      close: async () => {
        if (options.closes !== false) return;
        clock.advance(999);
        queueMicrotask(() => clock.advance(1));
        await new Promise(() => {});
      },
    };
  };
}

function run(words: string[], startServer: StartServer, environment: CommandDeps['environment'] = {}) {
  return command(words, {
    environment,
    workingDir: '/srv/knox',
    clock,
    loadStartServer: async () => startServer,
  });
}

describe('knox-server start', () => {
  it('prints the address it reached, the credentials and the warning at the first start', async () => {
    const { code, out } = await run(['start'], listening({ firstStart: true }));
    expect(code).toBe(0);
    expect(out).toMatch(/URL +http:\/\/127\.0\.0\.1:\d+/);
    for (const secret of ['owner-password', 'tk_live_abc_def', 'tk_test_abc_def'])
      expect(out).toContain(secret);
    expect(out).toContain('Back up /srv/knox/data/root.key');
    expect(out.match(/^ *(TOKEN=\$\()?curl /gm)).toHaveLength(3);
  });

  it('shows no credential at a later start', async () => {
    const { out } = await run(['start'], listening());
    expect(out).toContain('is running');
    expect(out).not.toMatch(/tk_|Password|curl/);
  });

  it('a refusal is one sentence and no stack', async () => {
    const refuse: StartServer = async () => {
      throw new StartRefused('another process runs on /srv/knox/data');
    };
    const { code, error } = await run(['start'], refuse);
    expect([code, error]).toEqual([1, 'Cannot start: another process runs on /srv/knox/data\n']);
  });

  it('shows the credentials even where it does not reach itself', async () => {
    const unreachable: StartServer = async (config, hooks) => {
      const server = await listening({ firstStart: true })(config, hooks);
      return { ...server, addresses: [{ address: '127.0.0.1', port: 1 }] };
    };
    const { out, error } = await run(['start'], unreachable);
    expect(out).toContain(JSON.stringify(content));
    expect(error).toContain('does not reach itself');
  });

  it('leaves with 1 when requests under way do not end in time', async () => {
    const { code, error } = await run(['start'], listening({ closes: false }), {
      KNOX_SHUTDOWN_TIMEOUT_SECONDS: '1',
    });
    expect([code, error]).toEqual([1, 'Not everything ended within 1 s; leaving.\n']);
  });

  it('a bad configuration lists every problem and does not start', async () => {
    const never: StartServer = async () => {
      throw new Error('started');
    };
    const { code, error } = await run(['start'], never, { KNOX_PORT: 'x', KNOX_LOG_LEVEL: 'x' });
    expect(code).toBe(1);
    expect(error.split('\n').filter((line) => line.startsWith('  KNOX_'))).toHaveLength(2);
  });
});

describe('other commands', () => {
  it('config check shows every variable, secrets masked', async () => {
    const environment = { DATABASE_URL: 'postgres://k:hunter2@localhost/k', KNOX_ODD: '1' };
    const { code, out, error } = await run(['config', 'check'], listening(), environment);
    expect(code).toBe(0);
    expect(out).toContain('postgres://k:[SECRET]@localhost/k  (environment)');
    expect(out).toMatch(/\nThe configuration is valid\.\n$/);
    expect(out + error).not.toContain('hunter2');
    expect(error).toBe('Warning: KNOX_ODD is not a variable of this server and was ignored\n');
  });

  it.each([
    ['arn:aws:kms:eu-central-1:1:key/x', '{"region":"eu-central-1"}', 'KNOX_KMS_OPERATOR_KEY_REF must be'],
    [
      'arn:aws:kms:eu-central-1:123456789012:key/x',
      '{"region":"eu-west-1"}',
      'KNOX_KMS_OPERATOR_CONFIG: region must',
    ],
    [
      'arn:aws:kms:eu-central-1:123456789012:key/x',
      '{"secret_access_key":"hunter2"}',
      'KNOX_KMS_OPERATOR_CONFIG: secret_access_key holds',
    ],
  ])('config check and start judge the key of the operator: %s %s', async (keyRef, config, told) => {
    const environment = {
      KNOX_KMS_OPERATOR_PROVIDER: 'aws',
      KNOX_KMS_OPERATOR_KEY_REF: keyRef,
      KNOX_KMS_OPERATOR_CONFIG: config,
    };
    const { code, out, error } = await run(['config', 'check'], listening(), environment);
    expect([code, out]).toEqual([1, '']);
    expect(error).toContain(told);
    expect(error).not.toContain('hunter2');
  });

  it('config check calls no configuration valid that has a problem', async () => {
    const { code, out } = await run(['config', 'check'], listening(), { KNOX_PORT: 'x' });
    expect([code, out]).toEqual([1, '']);
  });

  it.each([
    [['--version'], 0],
    [['--help'], 0],
    [[], 2],
    [['strat'], 2],
    [['start', '--port=1'], 2],
  ] as const)('%j exits with %i', async (words, expected) => {
    expect((await run([...words], listening())).code).toBe(expected);
  });
});

describe('printed lines', () => {
  it('are valid bash', () => {
    const script = curlLines('http://127.0.0.1:8787', 'tk_live_abc_def').join('\n');
    expect(() => execFileSync('bash', ['-n'], { input: script })).not.toThrow();
  });

  it.each([
    ['0.0.0.0', 'http://127.0.0.1:80'],
    ['::', 'http://[::1]:80'],
    ['::1', 'http://[::1]:80'],
    ['10.1.2.3', 'http://10.1.2.3:80'],
  ])('a listener on %s is reached at %s', (address, url) => {
    expect(urlOf({ address, port: 80 })).toBe(url);
  });
});

describe('knox-server tenant set', () => {
  const never: StartServer = async () => {
    throw new Error('started');
  };

  it.each([
    [[], 'names exactly one tenant'],
    [['acme'], 'says nothing to set'],
    [['acme', 'globex', '--plan', 'pro'], 'names exactly one tenant'],
    [['acme', '--plan', 'gold'], '--plan must be one of free, starter, pro, enterprise'],
    [['acme', '--ephemeral', 'on'], '--ephemeral must be one of off, plan'],
    [['acme', '--subscription-status', 'gone'], '--subscription-status must be one of active'],
    [['acme', '--slug', 'x'], "Unknown option '--slug'"],
  ])('%j is refused with its usage', async (words, text) => {
    const { code, error } = await run(['tenant', 'set', ...words], never);
    expect([code, error]).toEqual([2, expect.stringContaining(text)]);
    expect(error).toContain('knox-server tenant set <slug>');
  });

  it('where nothing is installed says so and makes nothing', async () => {
    const { code, error } = await run(['tenant', 'set', 'acme', '--plan', 'pro'], never);
    expect(code).toBe(1);
    expect(error).toBe(
      'tenant set: there is no installation at /srv/knox/data/knox.db yet; the first start makes it\n',
    );
  });
});
