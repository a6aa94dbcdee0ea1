import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_TIERS } from '../../kernel/plan-tiers.js';
import { createTestCa } from '../../testing/tls-upstream.js';
import { ConfigError, hasPublicName, loadConfig } from './config.js';
import { describeConfig } from './describe.js';
import type { EnvironmentSource } from './env.js';
import { VARIABLES } from './variables.js';

const KEY = Buffer.alloc(32, 7).toString('base64');

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'knox-config-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

function problemsOf(source: EnvironmentSource): string[] {
  try {
    loadConfig(source, dir);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map(({ variable, rule }) => `${variable} ${rule}`);
    throw error;
  }
  return [];
}

describe('a public name', () => {
  it.each([
    [{}, false],
    [{ KNOX_PUBLIC_URL: 'http://localhost:8787' }, false],
    [{ KNOX_PUBLIC_URL: 'http://[::1]:8787' }, false],
    [{ KNOX_PUBLIC_URL: 'http://127.0.0.1:8787' }, false],
    [{ KNOX_PUBLIC_URL: 'https://localhost:8443' }, true],
    [{ KNOX_PUBLIC_URL: 'http://knox.example.com' }, true],
    [{ KNOX_PUBLIC_URL: 'http://10.0.0.7:8787' }, true],
    [{ KNOX_BASE_DOMAIN: 'knox.example.com' }, true],
    [{ KNOX_CUSTOM_HOSTS: 'pay.example.com=acme' }, true],
  ])('%o: %s', (source, expected) => {
    expect(hasPublicName(loadConfig(source, dir).config.hosts)).toBe(expected);
  });
});

describe('defaults', () => {
  it('starts with an empty environment', () => {
    const { config, warnings } = loadConfig({}, '/srv/knox');
    expect(config).toMatchObject({
      dataDir: '/srv/knox/data',
      listen: { host: '127.0.0.1', port: 8787 },
      storage: { kind: 'sqlite', path: '/srv/knox/data/knox.db', logPath: '/srv/knox/data/knox-log.db' },
      rootKey: { kind: 'file', path: '/srv/knox/data/root.key' },
      bootstrap: { filePath: '/srv/knox/data/bootstrap.json', ownerEmail: 'owner@localhost' },
      hosts: { baseDomain: 'localhost', publicUrl: null, customHosts: [] },
      egress: {
        allowPrivateUpstreams: '',
        sourceAddresses: '',
        dnsServers: null,
        extraCaPem: null,
        nat64: false,
      },
      signup: { isOn: false },
      databaseTargets: { allow: [{ covers: { kind: 'everything' }, ports: null }], deny: [] },
      log: { level: 'info' },
      metricsToken: null,
      tracing: null,
      shutdownTimeoutMs: 10_000,
      dpop: { iatWindowMs: 60_000 },
    });
    expect(warnings).toEqual([]);
  });

  it('takes an empty value as absent', () => {
    expect(loadConfig({ KNOX_PORT: '', DATABASE_URL: ' ', REDIS_URL: '' }, dir).config).toEqual(
      loadConfig({}, dir).config,
    );
  });

  it('is immutable at every level', () => {
    const { config } = loadConfig({}, dir);
    expect(() => {
      (config.listen as { port: number }).port = 1;
    }).toThrow(TypeError);
  });
});

describe('TLS', () => {
  it('takes a pair of files, and a port', async () => {
    const { certPem, keyPem } = await (await createTestCa()).issue(['knox.example.com']);
    writeFileSync(join(dir, 'cert.pem'), certPem);
    writeFileSync(join(dir, 'key.pem'), keyPem);
    const files = { KNOX_TLS_CERT_FILE: 'cert.pem', KNOX_TLS_KEY_FILE: join(dir, 'key.pem') };
    const pair = { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') };
    expect(loadConfig(files, dir).config.tls).toEqual({ ...pair, port: 8443 });
    expect(loadConfig({ ...files, KNOX_TLS_PORT: '0' }, dir).config.tls).toEqual({ ...pair, port: 0 });
    const source = { ...files, KNOX_TLS_PORT: '444' };
    const shown = describeConfig(loadConfig(source, dir).config, source);
    expect(shown).toContainEqual({ variable: 'KNOX_TLS_KEY_FILE', value: pair.keyFile, from: 'environment' });
    expect(shown).toContainEqual({ variable: 'KNOX_TLS_PORT', value: '444', from: 'environment' });
    writeFileSync(join(dir, 'key.pem'), certPem);
    expect(problemsOf(files)).toEqual([`KNOX_TLS_KEY_FILE ${pair.keyFile} holds no private key in PEM`]);
    rmSync(pair.certFile);
    expect(problemsOf(files)).toEqual([`KNOX_TLS_CERT_FILE cannot read ${pair.certFile} (ENOENT)`]);
  });

  it.each([
    [{ KNOX_TLS_CERT_FILE: 'c' }, 'KNOX_TLS_KEY_FILE is needed beside KNOX_TLS_CERT_FILE'],
    [{ KNOX_TLS_KEY_FILE: 'k' }, 'KNOX_TLS_CERT_FILE is needed beside KNOX_TLS_KEY_FILE'],
    [{ KNOX_TLS_PORT: '8443' }, 'KNOX_TLS_PORT needs KNOX_TLS_CERT_FILE and KNOX_TLS_KEY_FILE'],
    [{ KNOX_TLS_PORT: '65536' }, 'KNOX_TLS_PORT must be a whole number from 0 to 65535'],
  ])('%o is refused', (source, problem) => {
    expect(problemsOf(source)).toEqual([problem]);
  });
});

describe('mail', () => {
  const both = {
    KNOX_SMTP_URL: 'smtps://knox:hunter2@mail.example.com',
    KNOX_MAIL_FROM: 'KnoxCall <knox@example.com>',
  };

  it('needs a server and a sender, and shows no password', () => {
    expect(loadConfig({}, dir).config.mail).toBeNull();
    const { config } = loadConfig(both, dir);
    expect(config.mail).toMatchObject({ from: both.KNOX_MAIL_FROM });
    expect(config.mail!.url.reveal()).toBe(both.KNOX_SMTP_URL);
    expect(describeConfig(config, both)).toContainEqual({
      variable: 'KNOX_SMTP_URL',
      value: 'smtps://knox:[SECRET]@mail.example.com',
      from: 'environment',
    });
    expect(problemsOf({ KNOX_SMTP_URL: both.KNOX_SMTP_URL })).toEqual([
      'KNOX_MAIL_FROM is needed beside KNOX_SMTP_URL',
    ]);
    expect(problemsOf({ KNOX_MAIL_FROM: both.KNOX_MAIL_FROM })).toEqual([
      'KNOX_SMTP_URL is needed beside KNOX_MAIL_FROM',
    ]);
  });

  it.each([
    'mail.example.com:25',
    'http://mail.example.com',
    'smtp://',
    'smtp://h/path',
    'smtp://h?x=1',
    'smtp://%zz@h',
  ])('KNOX_SMTP_URL=%s is refused', (url) => {
    expect(problemsOf({ ...both, KNOX_SMTP_URL: url })).toEqual([
      expect.stringMatching(/^KNOX_SMTP_URL must be smtp:/),
    ]);
  });

  it.each(['knox', 'a@b, c@d', 'a@b>', 'K <a@b> x', 'K\r\nBcc: x <a@b>', 'A, B <a@b>'])(
    'KNOX_MAIL_FROM=%j is refused',
    (from) => {
      expect(problemsOf({ ...both, KNOX_MAIL_FROM: from })).toEqual([
        expect.stringMatching(/^KNOX_MAIL_FROM must be an address/),
      ]);
    },
  );
});

describe('peers whose word is taken', () => {
  const header = { KNOX_CLIENT_CERT_HEADER: 'X-Cert', KNOX_CLIENT_CERT_FORMAT: 'rfc9440' };
  const shownRange = ({ address, prefix }: { address: { bytes: Uint8Array }; prefix: number }) =>
    `${[...address.bytes].join('.')}/${prefix}`;

  it('are none, or ranges; those of a certificate header are the proxies unless they are named', () => {
    expect(loadConfig({}, dir).config.trustedPeers).toEqual({ proxies: [], certificateHeader: null });
    const proxies = { KNOX_TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1,2001::/16' };
    const { trustedPeers } = loadConfig({ ...header, ...proxies }, dir).config;
    expect(trustedPeers.proxies.map(({ prefix }) => prefix)).toEqual([8, 32, 16]);
    const { name, format, peers } = trustedPeers.certificateHeader!;
    expect([name, format, peers]).toEqual(['x-cert', 'rfc9440', trustedPeers.proxies]);
    const named = loadConfig({ ...header, ...proxies, KNOX_CLIENT_CERT_PEERS: '10.1.0.0/16' }, dir).config;
    expect(named.trustedPeers.certificateHeader!.peers.map(shownRange)).toEqual(['10.1.0.0/16']);
  });

  const peers = { KNOX_CLIENT_CERT_PEERS: '10.0.0.0/8' };
  it.each([
    [
      { KNOX_TRUSTED_PROXIES: '0.0.0.0/0' },
      'KNOX_TRUSTED_PROXIES has the entry 0.0.0.0/0, which is too wide: at least /8 for IPv4',
    ],
    [
      { KNOX_TRUSTED_PROXIES: '10.0.0.0/7' },
      'KNOX_TRUSTED_PROXIES has the entry 10.0.0.0/7, which is too wide',
    ],
    [
      { KNOX_TRUSTED_PROXIES: '::/0' },
      'KNOX_TRUSTED_PROXIES has the entry ::/0, which is too wide: at least /16 for IPv6',
    ],
    [{ KNOX_TRUSTED_PROXIES: '2000::/15' }, 'KNOX_TRUSTED_PROXIES has the entry 2000::/15'],
    [{ KNOX_TRUSTED_PROXIES: '2000::/3' }, 'KNOX_TRUSTED_PROXIES has the entry 2000::/3, which is too wide'],
    [
      { KNOX_TRUSTED_PROXIES: '::ffff:10.0.0.0/104' },
      'KNOX_TRUSTED_PROXIES has the entry ::ffff:10.0.0.0/104: IPv4 is',
    ],
    [
      { KNOX_TRUSTED_PROXIES: '10.0.0.1/8' },
      'KNOX_TRUSTED_PROXIES must be a comma list of addresses and ranges',
    ],
    [
      { KNOX_TRUSTED_PROXIES: 'proxy.local' },
      'KNOX_TRUSTED_PROXIES must be a comma list of addresses and ranges',
    ],
    [{ KNOX_TRUSTED_PROXIES: 'fe80::1%eth0' }, 'KNOX_TRUSTED_PROXIES must be a comma list'],
    [{ KNOX_TRUSTED_PROXIES: '10.0.0.1,'.repeat(257) }, 'KNOX_TRUSTED_PROXIES must have at most 256 entries'],
    [{ ...header, KNOX_CLIENT_CERT_PEERS: '0.0.0.0/0' }, 'KNOX_CLIENT_CERT_PEERS has the entry 0.0.0.0/0'],
    [
      header,
      'KNOX_CLIENT_CERT_HEADER needs peers that may send it: KNOX_CLIENT_CERT_PEERS or KNOX_TRUSTED_PROXIES',
    ],
    [peers, 'KNOX_CLIENT_CERT_PEERS needs KNOX_CLIENT_CERT_HEADER and KNOX_CLIENT_CERT_FORMAT'],
    [
      { ...peers, KNOX_CLIENT_CERT_HEADER: 'x-cert' },
      'KNOX_CLIENT_CERT_FORMAT is needed beside KNOX_CLIENT_CERT_HEADER',
    ],
    [
      { ...peers, KNOX_CLIENT_CERT_FORMAT: 'xfcc' },
      'KNOX_CLIENT_CERT_HEADER is needed beside KNOX_CLIENT_CERT_FORMAT',
    ],
    [
      { ...peers, ...header, KNOX_CLIENT_CERT_FORMAT: 'pem' },
      'KNOX_CLIENT_CERT_FORMAT must be one of xfcc, rfc9440',
    ],
    [
      { ...peers, ...header, KNOX_CLIENT_CERT_HEADER: 'x cert' },
      'KNOX_CLIENT_CERT_HEADER must be the name of a header',
    ],
    [
      { ...peers, ...header, KNOX_CLIENT_CERT_HEADER: 'Authorization' },
      'KNOX_CLIENT_CERT_HEADER must not be authorization',
    ],
  ])('%o is refused', (source, problem) => {
    expect(problemsOf(source)).toEqual([expect.stringContaining(problem)]);
  });
});

describe('values', () => {
  it('takes a P-256 key for admin tokens, on many lines or on one, and shows nothing of it', () => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      format: 'pem',
      type: 'pkcs8',
    }) as string;
    const source = { KNOX_JWT_SIGNING_KEY: pem.replaceAll('\n', '\\n') };
    const { config } = loadConfig(source, dir);
    expect(config.tokenKey?.reveal()).toEqual(
      loadConfig({ KNOX_JWT_SIGNING_KEY: pem }, dir).config.tokenKey?.reveal(),
    );
    const row = describeConfig(config, source).find(({ variable }) => variable === 'KNOX_JWT_SIGNING_KEY');
    expect([row?.value, row?.from]).toEqual(['[SECRET]', 'environment']);
    expect(problemsOf({ KNOX_JWT_SIGNING_KEY: 'secret' })).toEqual([
      expect.stringContaining('KNOX_JWT_SIGNING_KEY must be a P-256 private key in PEM'),
    ]);
  });

  it.each([
    [
      'KNOX_DNS_SERVERS',
      '127.0.0.1:5353, ::1,[::1]:54',
      [
        { address: '127.0.0.1', port: 5353 },
        { address: '::1', port: 53 },
        { address: '::1', port: 54 },
      ],
      'egress.dnsServers',
    ],
    [
      'KNOX_CUSTOM_HOSTS',
      'Pay.Example.com=acme',
      [{ host: 'pay.example.com', slug: 'acme' }],
      'hosts.customHosts',
    ],
    ['KNOX_PUBLIC_URL', 'https://knox.example.com/', 'https://knox.example.com', 'hosts.publicUrl'],
    ['KNOX_BOOTSTRAP_FILE', 'off', null, 'bootstrap.filePath'],
    ['KNOX_SHUTDOWN_TIMEOUT_SECONDS', '3', 3000, 'shutdownTimeoutMs'],
    ['KNOX_DPOP_IAT_WINDOW_SECONDS', '300', 300_000, 'dpop.iatWindowMs'],
    ['KNOX_EGRESS_NAT64', 'on', true, 'egress.nat64'],
    ['KNOX_LEASE_WORKER_PAUSED', 'on', true, 'leaseWorker.isPaused'],
    ['DATABASE_URL', 'sqlite:/var/lib/k.db', '/var/lib/k.db', 'storage.path'],
    ['DATABASE_URL', 'sqlite:k.db', '/w/k.db', 'storage.path'],
    ['DATABASE_URL', 'sqlite:k.db', '/w/k-log.db', 'storage.logPath'],
    ['KNOX_HOST', '::1', '::1', 'listen.host'],
    [
      'KNOX_DB_ALLOW_TARGETS',
      'public, *.Example.com:5432',
      [
        { covers: { kind: 'public' }, ports: null },
        { covers: { kind: 'below', dotted: '.example.com' }, ports: [{ first: 5432, last: 5432 }] },
      ],
      'databaseTargets.allow',
    ],
    [
      'KNOX_DB_DENY_TARGETS',
      'db',
      [{ covers: { kind: 'name', name: 'db' }, ports: null }],
      'databaseTargets.deny',
    ],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://c:4318/', 'http://c:4318/v1/traces', 'tracing.endpoint'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://c/otlp', 'http://c/otlp/v1/traces', 'tracing.endpoint'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'https://c/t', 'https://c/t', 'tracing.endpoint'],
    ['OTEL_TRACES_SAMPLER', 'always_off', null, 'tracing'],
  ])('%s=%s', (name, text, expected, path) => {
    const { config } = loadConfig({ [name]: text }, '/w');
    expect(config).toHaveProperty(path, expected);
  });

  it('keeps traces as the OpenTelemetry variables say', () => {
    const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' };
    const tracingOf = (more: EnvironmentSource) => loadConfig({ ...endpoint, ...more }, dir).config.tracing;
    expect(tracingOf({})).toEqual({ endpoint: 'http://c:4318/v1/traces', sampler: 'always_on', ratio: 1 });
    expect(
      tracingOf({ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }),
    ).toMatchObject({ sampler: 'traceidratio', ratio: 0.25 });
    expect(tracingOf({ OTEL_SDK_DISABLED: 'true' })).toBeNull();
    expect(tracingOf({ OTEL_TRACES_EXPORTER: 'none' })).toBeNull();
  });

  it('reads secrets from the file that <NAME>_FILE names', () => {
    const path = join(dir, 'key');
    writeFileSync(path, `${KEY}\n`);
    const { config } = loadConfig({ MASTER_KEY_B64_FILE: path }, dir);
    expect(config.rootKey.kind === 'value' && config.rootKey.key.reveal()).toEqual(Buffer.alloc(32, 7));
  });

  it('warns of an unknown KNOX_ variable and of a file form that does not exist', () => {
    const source = { KNOX_PROT: '1', KNOX_HOST_FILE: '/x', KNOXCALL_API_KEY: 'tk', PATH: '/bin' };
    expect(loadConfig(source, dir).warnings).toEqual([
      'KNOX_HOST_FILE is not a variable of this server and was ignored',
      'KNOX_PROT is not a variable of this server and was ignored',
    ]);
  });
});

describe('refusals', () => {
  it('reports every problem at once, each by its variable', () => {
    const problems = problemsOf({
      KNOX_PORT: '70000',
      MASTER_KEY_B64: 'c2hvcnQ=',
      KNOX_LOG_LEVEL: 'loud',
      KNOX_EXTRA_CA_FILE: '/nowhere/ca.pem',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
    });
    expect(problems).toEqual([
      'MASTER_KEY_B64 must be the base64 of exactly 32 bytes (openssl rand -base64 32)',
      'KNOX_PORT must be a whole number from 0 to 65535',
      'KNOX_LOG_LEVEL must be one of trace, debug, info, warn, error',
      'NODE_TLS_REJECT_UNAUTHORIZED must not be 0: it turns TLS verification off',
      'KNOX_EXTRA_CA_FILE cannot read /nowhere/ca.pem (ENOENT)',
    ]);
  });

  it.each([
    ['MASTER_KEY_B64', Buffer.alloc(31).toString('base64')],
    ['MASTER_KEY_B64', Buffer.alloc(33).toString('base64')],
    ['MASTER_KEY_B64', `${KEY.slice(0, -2)}!=`],
    ['MASTER_KEY_B64', Buffer.alloc(32, 255).toString('base64url')],
    ['KNOX_PORT', 'tcp://10.0.0.7:8787'],
    ['KNOX_PORT', '-1'],
    ['KNOX_METRICS_TOKEN', 'short'],
    ['KNOX_METRICS_TOKEN', 'a token with blanks'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'c:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:pw@c:4318'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['KNOX_PORT', '1e3'],
    ['KNOX_HOST', 'not a host'],
    ['KNOX_BASE_DOMAIN', '10.0.0.1'],
    ['KNOX_PUBLIC_URL', 'https://knox.example.com/app'],
    ['KNOX_PUBLIC_URL', 'ftp://knox.example.com'],
    ['KNOX_PUBLIC_URL', 'https://user:pw@knox.example.com'],
    ['DATABASE_URL', 'mysql://localhost/knox'],
    ['DATABASE_URL', 'sqlite:'],
    ['KNOX_CUSTOM_HOSTS', 'a.example.com'],
    ['KNOX_CUSTOM_HOSTS', 'a.example.com=x,a.example.com=y'],
    ['KNOX_DNS_SERVERS', 'dns.example.com'],
    ['KNOX_DNS_SERVERS', '127.0.0.1:99999'],
    ['KNOX_OWNER_EMAIL', 'nobody'],
    ['KNOX_SIGNUP', 'yes'],
    ['KNOX_SHUTDOWN_TIMEOUT_SECONDS', '0'],
    ['KNOX_DPOP_IAT_WINDOW_SECONDS', '9'],
    ['KNOX_DPOP_IAT_WINDOW_SECONDS', '301'],
    ['KNOX_DB_POOL_MAX', '201'],
    ['KNOX_EGRESS_NAT64', 'yes'],
    ['KNOX_LEASE_WORKER_PAUSED', 'yes'],
    ['KNOX_DB_ALLOW_TARGETS', '10.0.0.0/33'],
    ['KNOX_DB_DENY_TARGETS', 'db:0'],
    ['KNOX_PLAN', 'gold'],
    ['REDIS_URL', 'http://localhost'],
    ['REDIS_URL', 'redis://'],
    ['KNOX_KMS_AWS_ENDPOINT', 'http://kms.internal.example'],
    ['KNOX_KMS_AWS_ENDPOINT', 'https://10.0.0.1:8443'],
    ['KNOX_KMS_AZURE_VAULT', 'https://vault.internal.example/keys'],
    ['KNOX_KMS_AWS_ACCOUNT_ID', '11112222333'],
    ['KNOX_KMS_GCP_PRINCIPAL', 'knoxcall'],
    ['KNOX_KMS_SHARED_KEYS', 'yes'],
  ])('%s=%s', (name, text) => {
    const problems = problemsOf({ [name]: text });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} (must|names)`));
  });

  it.each([
    ['KNOX_STRICT_TAMPER_CHECK', 'on'],
    ['KNOX_DEPLOYMENT_MODE', 'cloud'],
  ])('a variable of the contract that does nothing yet stops the start: %s', (name, value) => {
    expect(problemsOf({ [name]: value })).toEqual([`${name} is not carried out by this version; unset it`]);
  });

  it.each([
    ['KNOX_STRICT_TAMPER_CHECK', 'off'],
    ['KNOX_DEPLOYMENT_MODE', 'self_hosted'],
    ['KNOX_AUDIT_RETENTION_DAYS', '0'],
  ])('unless its value asks for what happens anyway: %s=%s', (name, value) => {
    expect(problemsOf({ [name]: value })).toEqual([]);
  });

  it('half a configuration of the operator’s KMS', () => {
    expect(problemsOf({ KNOX_KMS_OPERATOR_PROVIDER: 'aws' })).toEqual([
      'KNOX_KMS_OPERATOR_KEY_REF must be set as well, since KNOX_KMS_OPERATOR_PROVIDER is',
      'KNOX_KMS_OPERATOR_CONFIG must be set as well, since KNOX_KMS_OPERATOR_PROVIDER is',
    ]);
    const two = { KNOX_KMS_OPERATOR_KEY_REF: 'k', KNOX_KMS_OPERATOR_CONFIG: '{}' };
    expect(problemsOf(two)).toEqual([
      'KNOX_KMS_OPERATOR_PROVIDER must be set as well, since KNOX_KMS_OPERATOR_KEY_REF and KNOX_KMS_OPERATOR_CONFIG are',
    ]);
    const whole = { KNOX_KMS_OPERATOR_PROVIDER: 'aws', ...two };
    expect(problemsOf({ ...whole, KNOX_KMS_OPERATOR_PROVIDER: 'aws_kms' })).toEqual([
      'KNOX_KMS_OPERATOR_PROVIDER must be one of aws, gcp, azure, none',
    ]);
    expect(problemsOf({ ...whole, KNOX_KMS_OPERATOR_CONFIG: '{' })).toEqual([
      'KNOX_KMS_OPERATOR_CONFIG must be JSON',
    ]);
    expect(problemsOf(whole)).toEqual([]);
    expect(problemsOf({ ...two, KNOX_KMS_OPERATOR_PROVIDER: 'none' })).toEqual([
      expect.stringMatching(/^KNOX_KMS_OPERATOR_KEY_REF must be unset/),
      expect.stringMatching(/^KNOX_KMS_OPERATOR_CONFIG must be unset/),
    ]);
    expect(loadConfig({ KNOX_KMS_OPERATOR_PROVIDER: 'none' }, dir).config.kms.operator).toBe('given_up');
  });

  it('what tenants name in their grants', () => {
    const { config } = loadConfig(
      {
        KNOX_KMS_AWS_ACCOUNT_ID: '111122223333',
        KNOX_KMS_GCP_PRINCIPAL: 'knoxcall@acme.iam.gserviceaccount.com',
        KNOX_KMS_SHARED_KEYS: 'on',
        AZURE_CLIENT_ID: 'client',
        AZURE_TENANT_ID: 'directory',
        AZURE_FEDERATED_TOKEN_FILE: '/var/run/token',
      },
      dir,
    );
    expect(config.kms).toMatchObject({
      identities: { aws: '111122223333', gcp: 'knoxcall@acme.iam.gserviceaccount.com' },
      azureWorkload: { clientId: 'client', tenantId: 'directory', tokenFile: '/var/run/token' },
      hasSharedKeys: true,
    });
    expect(loadConfig({}, dir).config.kms).toMatchObject({
      identities: { aws: null, gcp: null },
      hasSharedKeys: false,
    });
  });

  it('takes the secrets of KMS configurations by their names, from a file too', () => {
    const path = join(dir, 'azure-secret');
    writeFileSync(path, 'from a file\n');
    const { config, warnings } = loadConfig(
      { KNOX_TENANT_KMS_ACME_A: 'one', KNOX_TENANT_KMS_ACME_B_FILE: path },
      dir,
    );
    expect(config.kms.secrets.get('KNOX_TENANT_KMS_ACME_A')?.reveal()).toBe('one');
    expect(config.kms.secrets.get('KNOX_TENANT_KMS_ACME_B')?.reveal()).toBe('from a file');
    expect(warnings).toEqual([]);
  });

  it('refuses a secret that is set twice, an empty secret file and one that is not there', () => {
    const path = join(dir, 'empty');
    writeFileSync(path, '\n');
    expect(problemsOf({ MASTER_KEY_B64: KEY, MASTER_KEY_B64_FILE: path })).toEqual([
      'MASTER_KEY_B64 is set twice, here and in MASTER_KEY_B64_FILE; keep one',
    ]);
    expect(problemsOf({ MASTER_KEY_B64_FILE: path })).toEqual([`MASTER_KEY_B64 ${path} is empty`]);
    expect(problemsOf({ MASTER_KEY_B64_FILE: '/nowhere' })).toEqual([
      'MASTER_KEY_B64 cannot read /nowhere (ENOENT)',
    ]);
  });

  it('names every problem of a plan file by its path in it', () => {
    const path = join(dir, 'plans.json');
    const problems = (document: string) => {
      writeFileSync(path, document);
      return problemsOf({ KNOX_PLAN_FILE: 'plans.json' });
    };
    const broken = {
      gold: {},
      free: { requests_per_minute: -1, ephemeral: { requests_per_second: 1.5 }, log_retention_days: 0 },
      pro: { caps: { routers: 1 }, features: ['teleport'] },
    };
    expect(problems(JSON.stringify(broken))).toEqual([
      expect.stringMatching(/free\.ephemeral\.requests_per_second: .*int/),
      expect.stringMatching(/free\.requests_per_minute: .*>=0/),
      expect.stringMatching(/free\.log_retention_days: .*>=1/),
      expect.stringMatching(/pro\.caps: .*"routers"/),
      expect.stringMatching(/pro\.features\.0: .*"access_keys"/),
      expect.stringMatching(/the file: .*"gold"/),
    ]);
    expect(problems('{')).toEqual([`KNOX_PLAN_FILE ${path} is not JSON`]);
    expect(problems(`"${'x'.repeat(70_000)}"`)).toEqual([`KNOX_PLAN_FILE ${path} is larger than 64 KiB`]);
    expect(problemsOf({ KNOX_PLAN_FILE: '/nowhere' })).toEqual([
      'KNOX_PLAN_FILE cannot read /nowhere (ENOENT)',
    ]);
  });

  it('takes source addresses, each for all tenants or for one', () => {
    const KNOX_EGRESS_SOURCE_ADDRESSES = '198.51.100.7, 2001:db8::7@acme';
    expect(loadConfig({ KNOX_EGRESS_SOURCE_ADDRESSES }, dir).config.egress.sourceAddresses).toBe(
      KNOX_EGRESS_SOURCE_ADDRESSES,
    );
    for (const wrong of ['10.0.0.0/8', 'gateway', '10.0.0.1@', '10.0.0.1@a@b', '10.0.0.1:80'])
      expect(problemsOf({ KNOX_EGRESS_SOURCE_ADDRESSES: wrong })).toEqual([
        expect.stringContaining(`KNOX_EGRESS_SOURCE_ADDRESSES has the entry ${wrong}`),
      ]);
  });

  it('reports what the egress guard says of its list', () => {
    const problems = problemsOf({ KNOX_ALLOW_PRIVATE_UPSTREAMS: '10.0.0.0/4', KNOX_PORT: 'x' });
    expect(problems).toEqual([
      'KNOX_PORT must be a whole number from 0 to 65535',
      expect.stringMatching(/^KNOX_ALLOW_PRIVATE_UPSTREAMS .*10\.0\.0\.0\/4/),
    ]);
  });
});

describe('plans', () => {
  it('are those of the product, with enterprise for the first tenant', () => {
    const { bootstrap, plans } = loadConfig({}, dir).config;
    expect([bootstrap.plan, plans.tiers]).toEqual(['enterprise', DEFAULT_TIERS]);
  });

  it('take from the file what it names, null for no limit included', () => {
    const overrides = {
      starter: { caps: { secrets: 7 }, ephemeral: { operations_per_month: null }, requests_per_minute: 50 },
      enterprise: { requests_per_minute: 10_000, features: [], log_retention_days: 365 },
    };
    writeFileSync(join(dir, 'plans.json'), JSON.stringify(overrides));
    const { tiers } = loadConfig({ KNOX_PLAN_FILE: 'plans.json' }, dir).config.plans;
    const { starter, enterprise } = DEFAULT_TIERS;
    expect(tiers).toEqual({
      ...DEFAULT_TIERS,
      starter: {
        ...starter,
        caps: { ...starter.caps, secrets: 7 },
        ephemeral: { ...starter.ephemeral, operationsPerMonth: null },
        requestsPerMinute: 50,
      },
      enterprise: { ...enterprise, requestsPerMinute: 10_000, features: [], logRetentionDays: 365 },
    });
  });

  it('keep the request log by their own days, or all as long as KNOX_LOG_RETENTION_DAYS says', () => {
    const daysOf = (environment: Record<string, string>) =>
      Object.values(loadConfig(environment, dir).config.plans.tiers).map((tier) => tier.logRetentionDays);
    expect(daysOf({})).toEqual([7, 7, 30, 90]);
    expect(daysOf({ KNOX_LOG_RETENTION_DAYS: '14' })).toEqual([14, 14, 14, 14]);
    for (const days of ['0', '3651', 'x'])
      expect(problemsOf({ KNOX_LOG_RETENTION_DAYS: days })).toEqual([
        'KNOX_LOG_RETENTION_DAYS must be a whole number from 1 to 3650',
      ]);
  });
});

describe('masking', () => {
  const source = {
    MASTER_KEY_B64: KEY,
    DATABASE_URL: 'postgres://knox:hunter2@db.internal:5432/knox?password=hunter3',
    REDIS_URL: 'redis://:hunter4@cache.internal:6379/1',
  };

  it('shows no secret in the description, in JSON or by inspection', () => {
    const { config } = loadConfig(source, dir);
    const texts = [
      JSON.stringify(describeConfig(config, source)),
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
    ];
    for (const text of texts) expect(text).not.toMatch(/hunter|BwcHBwc/);
  });

  it('says what is effective and where it comes from', () => {
    const rows = describeConfig(loadConfig(source, '/w').config, source);
    expect(rows).toContainEqual({
      variable: 'DATABASE_URL',
      value: 'postgres://knox:[SECRET]@db.internal:5432/knox?[SECRET]',
      from: 'environment',
    });
    expect(rows).toContainEqual({ variable: 'KNOX_DATA_DIR', value: '/w/data', from: 'default' });
    expect(rows).toContainEqual({ variable: 'MASTER_KEY_B64', value: '[SECRET]', from: 'environment' });
  });

  const defaults = Object.entries(VARIABLES).flatMap(([name, { fallback }]) => {
    const value = /^`([^`<]+)`$/.exec(fallback)?.[1];
    return value === undefined || value.startsWith('./') ? [] : [[name, value] as const];
  });
  it.each(defaults)('shows %s as documented where it is not set: %s', (variable, value) => {
    // KNOX_DB_POOL_MAX is of no use to SQLite.
    const environment = { DATABASE_URL: 'postgres://knox@db.internal/knox' };
    const rows = describeConfig(loadConfig(environment, '/w').config, environment);
    expect(rows).toContainEqual({ variable, value, from: 'default' });
  });

  it('shows how traces are switched off', () => {
    const environment = {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318',
      OTEL_SDK_DISABLED: 'true',
      OTEL_TRACES_SAMPLER: 'traceidratio',
    };
    const rows = describeConfig(loadConfig(environment, '/w').config, environment);
    const shown = new Map(rows.map((row) => [row.variable, [row.value, row.from]]));
    expect(shown.get('OTEL_SDK_DISABLED')).toEqual(['true', 'environment']);
    expect(shown.get('OTEL_TRACES_EXPORTER')).toEqual(['otlp', 'default']);
    expect(shown.get('OTEL_TRACES_SAMPLER')).toEqual(['traceidratio', 'environment']);
    expect(shown.get('OTEL_EXPORTER_OTLP_ENDPOINT')).toEqual(['http://c:4318', 'environment']);
    expect(shown.get('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')).toEqual(['(no traces)', 'default']);
  });
});
