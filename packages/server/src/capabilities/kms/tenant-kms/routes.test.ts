import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestAnswer } from '../../../testing/calls.js';
import { storedRows, type TestDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { createMemoryClouds, type MemoryClouds } from '../../../testing/memory-clouds.js';
import { createTestTenant, type TestTenant } from '../../../testing/tenants.js';
import { setupFor } from './setup.js';
import { UNDER_WAY_MAX } from './under-way.js';

const PATH = '/admin/tenant-kms';
const ROLE = 'arn:aws:iam::111122223333:role/';
const awsOf = (name: string, config: Record<string, unknown> = {}) => ({
  provider: 'aws',
  kms_key_ref: `arn:aws:kms:eu-central-1:111122223333:key/${name}`,
  config: { region: 'eu-central-1', role_arn: `${ROLE}${name}`, ...config },
});
const gcpOf = (name: string) => ({
  provider: 'gcp',
  kms_key_ref: `projects/acme/locations/europe-west3/keyRings/ring/cryptoKeys/${name}`,
  config: { impersonate_service_account: `${name}@acme.iam.gserviceaccount.com` },
});
const azureOf = (name: string, config: Record<string, unknown> = {}) => ({
  provider: 'azure',
  kms_key_ref: `https://acme.vault.azure.net/keys/${name}`,
  config: { vault_url: 'https://acme.vault.azure.net', ...config },
});
const application = (variable: string) => ({
  azure_tenant_id: '11111111-2222-4333-8444-555555555555',
  client_id: '66666666-7777-4888-8999-000000000000',
  client_secret_env_var: variable,
});

let clouds: MemoryClouds;
let harness: Harness;
let made = 0;
let tenant: TestTenant;
let token: string;
/** Of the operator, whose key no tenant may name. */
const OPERATOR = {
  provider: 'aws',
  keyRef: 'arn:aws:kms:eu-central-1:111122223333:key/operator',
  config: { region: 'eu-central-1', roleArn: `${ROLE}operator`, externalId: null },
} as const;

beforeAll(async () => {
  clouds = createMemoryClouds();
  harness = await createHarness({ clouds, kms: { operatorKey: OPERATOR } });
});
afterAll(() => harness.close());
beforeEach(async () => {
  tenant = await createTestTenant(harness, `t${++made}`);
  token = await harness.signIn(tenant.ownerEmail);
  clouds.calls.splice(0);
});
afterEach(() => {
  Object.assign(clouds, { failure: null, mayWrap: true, asksForExternalId: true, keyVersion: 1 });
});

const ask = (method: string, path: string, body?: unknown, stepUp?: string) =>
  harness.call(method, path, { token, ...(body !== undefined && { body }), ...(stepUp && { stepUp }) });
const onboard = (body: unknown) => ask('POST', PATH, body);
const act = async (method: string, path = '') =>
  ask(method, `${PATH}${path}`, undefined, await harness.stepUp(token));
const problemOf = ({ status, json }: TestAnswer) => [status, json['error']?.type];
const read = async () => (await ask('GET', PATH)).json;
const stored = () => storedRows((harness.db as TestDatabase).storage);
const auditOf = async (action: string) =>
  (await ask('GET', `/admin/audit-logs?action=${action}`)).json['data'];

/** A value under the tenant's key, and whether it is read. */
async function tokenize(): Promise<() => Promise<TestAnswer>> {
  const key = tenant.live;
  const name = `v${++made}`;
  await harness.call('POST', '/v1/vaults', { key, body: { name, token_format: 'generic' } });
  const { json } = await harness.call('POST', `/v1/vaults/${name}/tokens`, {
    key,
    body: { value: 'canary' },
  });
  return () => harness.call('GET', `/v1/vaults/${name}/tokens/${json['data'].token}`, { key });
}

describe('onboarding', () => {
  it('proves the key both ways, then has it wrap a new master key', async () => {
    const before = await tokenize();
    clouds.calls.splice(0);
    const { status, json } = await onboard(awsOf('acme'));
    expect([status, json]).toEqual([
      200,
      {
        ok: true,
        provider: 'aws',
        kms_key_ref: awsOf('acme').kms_key_ref,
        new_key_version: 2,
        new_key_id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
        rewrap_status: 'enqueued',
        note: expect.stringMatching(/re-encrypted .* background.* 5 minutes.* lost/s),
      },
    ]);
    expect(clouds.calls).toEqual(['wrap', 'unwrap', 'wrap', 'unwrap']);
    const shown = await read();
    expect(shown).toEqual({
      config: {
        provider: 'customer_kms_aws',
        kms_key_ref: awsOf('acme').kms_key_ref,
        config: { region: 'eu-central-1', role_arn: `${ROLE}acme` },
        sealed_since: null,
        last_verified_at: expect.stringMatching(/Z$/),
        last_verify_error: null,
      },
      keys: [
        {
          id: json['new_key_id'],
          version: 2,
          wrap_method: 'customer_kms',
          status: 'active',
          created_at: expect.stringMatching(/Z$/),
          retired_at: null,
        },
        expect.objectContaining({ version: 1, status: 'retired', retired_at: expect.stringMatching(/Z$/) }),
      ],
    });
    expect((await before()).json['data'].value).toBe('canary');
    expect((await (await tokenize())()).json['data'].value).toBe('canary');
  });

  it('is no act of the sandbox, as its keys are not, whichever mode the caller names', async () => {
    const headers = { 'x-knoxcall-mode': 'test' };
    const call = async (method: string, path: string, body?: unknown) =>
      harness.call(method, path, { token, headers, body, stepUp: await harness.stepUp(token) });
    expect((await call('POST', PATH, awsOf(`mode-${tenant.slug}`))).status).toBe(200);
    expect((await call('POST', `${PATH}/rotate`)).status).toBe(200);
    await call('POST', `${PATH}/keys/1/revoke`, { confirm: tenant.slug, force: true });
    expect((await call('DELETE', PATH)).status).toBe(200);
    for (const act of ['onboard', 'rotate', 'revoke', 'delete'])
      expect([act, await auditOf(`byok.kms.${act}`)]).toMatchObject([act, [{ details: { sandbox: false } }]]);
  });

  it('is written down in both chains, without an external id', async () => {
    await onboard(awsOf('audited', { external_id: 'a-secret-of-theirs' }));
    const [row] = await auditOf('byok.kms.onboard');
    expect(row).toMatchObject({ resource_type: 'tenant_kms', details: { provider: 'aws', version: 2 } });
    expect(stored().get('audit_log_critical')).toContain(`"tenant_id":"${tenant.id}"`);
    for (const table of ['audit_logs', 'audit_log_critical'])
      expect(stored().get(table)).not.toContain('a-secret-of-theirs');
    expect(JSON.stringify(await read())).not.toContain('a-secret-of-theirs');
    expect(harness.logLines.join('')).not.toContain('a-secret-of-theirs');
  });

  it.each([
    ['gcp', gcpOf('one'), { project_id: 'acme' }],
    ['azure', azureOf('one'), {}],
  ])('takes a key of %s', async (provider, body, more) => {
    expect((await onboard(body)).status).toBe(200);
    expect((await read())['config']).toMatchObject({
      provider: `customer_kms_${provider}`,
      config: { ...body.config, ...more },
    });
  });

  it('again replaces the configuration, and versions count on; data of each is read', async () => {
    const reads = [await tokenize()];
    for (const [body, version] of [
      [awsOf('first'), 2],
      [gcpOf('second'), 3],
      [gcpOf('second'), 4],
    ] as const) {
      expect((await onboard(body)).json['new_key_version']).toBe(version);
      reads.push(await tokenize());
    }
    await harness.advance(300_000);
    for (const read of reads) expect((await read()).json['data'].value).toBe('canary');
    expect((await read())['keys'].map((key: { status: string }) => key.status)).toEqual([
      'active',
      'retired',
      'retired',
      'retired',
    ]);
  });

  it('of two at once gives one version after the other and one of them active', async () => {
    const answers = await Promise.all([onboard(awsOf('both')), onboard(awsOf('both'))]);
    expect(answers.map(({ json }) => json['new_key_version']).sort()).toEqual([2, 3]);
    const { keys } = await read();
    expect(keys.map((key: { status: string }) => key.status)).toEqual(['active', 'retired', 'retired']);
  });

  it('warns of a role that is given to who does not tell the external id', async () => {
    clouds.asksForExternalId = false;
    expect((await onboard(awsOf('open'))).json['warning']).toBe('role_without_external_id');
  });

  describe('writes nothing, byte for byte, where it is refused', () => {
    const cases: [string, () => unknown, number, string, () => void][] = [
      [
        'a key that may not decrypt',
        () => awsOf('x1'),
        400,
        'kms_verify_failed',
        () => (clouds.failure = 'access_denied'),
      ],
      [
        'a key that may not encrypt',
        () => awsOf('x2'),
        400,
        'kms_verify_failed',
        () => (clouds.mayWrap = false),
      ],
      [
        'aws_kms as the provider',
        () => ({ ...awsOf('x3'), provider: 'aws_kms' }),
        400,
        'validation_error',
        () => {},
      ],
      [
        'a credential',
        () => awsOf('x4', { Secret_Access_Key: 'canary' }),
        400,
        'static_credentials_rejected',
        () => {},
      ],
      [
        'one deeper',
        () => awsOf('x5', { a: [{ b: { clientSecret: 'canary' } }] }),
        400,
        'static_credentials_rejected',
        () => {},
      ],
      ['an unknown member', () => awsOf('x6', { colour: 'red' }), 400, 'validation_error', () => {}],
      ['another region', () => awsOf('x7', { region: 'us-east-1' }), 400, 'validation_error', () => {}],
      ["the operator's key", () => awsOf('operator'), 409, 'conflict', () => {}],
      ["the operator's role", () => awsOf('x8', { role_arn: `${ROLE}OPERATOR` }), 409, 'conflict', () => {}],
      [
        'the external id of another tenant',
        () => awsOf('x9', { external_id: `knoxcall-${harness.other.id}` }),
        400,
        'validation_error',
        () => {},
      ],
      [
        "another's variable",
        () => azureOf('y1', application('KNOX_TENANT_KMS_ACME_SECRET')),
        400,
        'validation_error',
        () => {},
      ],
      [
        'the root key as a variable',
        () => azureOf('y2', application('MASTER_KEY_B64')),
        400,
        'validation_error',
        () => {},
      ],
      [
        'a secret in place of a variable',
        () => azureOf('y3', application('s3cr3t~canary')),
        400,
        'static_credentials_rejected',
        () => {},
      ],
    ];
    it.each(cases)('%s, also over a configuration', async (_what, body, status, type, prepare) => {
      const rows = [
        'tenant_kms',
        'tenant_master_keys',
        'audit_logs',
        'audit_log_critical',
        'generations',
        'jobs',
      ];
      for (const first of [true, false]) {
        if (!first) await onboard(awsOf(`kept-${tenant.slug}`));
        await harness.db.flush();
        const before = stored();
        prepare();
        const answer = await onboard(body());
        expect(problemOf(answer)).toEqual([status, type]);
        expect(answer.text).not.toContain('canary');
        const after = stored();
        for (const table of rows) expect([table, after.get(table)]).toEqual([table, before.get(table)]);
        Object.assign(clouds, { failure: null, mayWrap: true });
      }
    });

    it('says why in words and by a reason', async () => {
      clouds.failure = 'key_unusable';
      const { json } = await onboard(awsOf('why'));
      expect(json['error']).toMatchObject({
        type: 'kms_verify_failed',
        reason: 'key_unusable',
        message: expect.stringContaining('disabled, deleted'),
      });
    });

    it('a key or a role that another tenant has, without asking the cloud for anything', async () => {
      await onboard(awsOf('mine'));
      await onboardAs(gcpOf('mine-too'));
      clouds.calls.splice(0);
      for (const body of [
        { ...awsOf('mine'), config: { region: 'eu-central-1', role_arn: `${ROLE}theirs` } },
        { ...awsOf('theirs'), config: { region: 'eu-central-1', role_arn: `${ROLE}Mine` } },
      ])
        expect(problemOf(await onboardAs(body))).toEqual([409, 'conflict']);
      expect(problemOf(await onboard({ ...gcpOf('new'), config: gcpOf('mine-too').config }))).toEqual([
        409,
        'conflict',
      ]);
      expect(clouds.calls).toEqual([]);
    });

    it('what lets the server in at Azure for another tenant: the variable of its secret, or its vault', async () => {
      // Whoever chooses such a slug makes the name of that variable look like its own.
      const variable = `KNOX_TENANT_KMS_${tenant.slug.toUpperCase()}_PROD_SECRET`;
      const theirs = await createTestTenant(harness, `made-for-${tenant.slug}`);
      expect((await onboard(azureOf('with-secret', application(variable)))).status).toBe(200);
      const { ownerEmail } = await createTestTenant(harness, `${tenant.slug}-prod`);
      const attacker = await harness.signIn(ownerEmail);
      clouds.calls.splice(0);
      const taken = await harness.call('POST', PATH, {
        token: attacker,
        body: azureOf('not-theirs', application(variable)),
      });
      expect(problemOf(taken)).toEqual([409, 'conflict']);

      // The managed identity is the same for all: the vault's owner has let it in for one of them.
      const vault = { vault_url: `https://own-${tenant.slug}.vault.azure.net` };
      const inVault = (key: string, config = {}) => ({
        ...azureOf(key, { ...vault, ...config }),
        kms_key_ref: `${vault.vault_url}/keys/${key}`,
      });
      expect((await onboard(inVault('main'))).status).toBe(200);
      clouds.calls.splice(0);
      const owner = await harness.signIn(theirs.ownerEmail);
      const other = inVault('payroll');
      const named = { ...other, kms_key_ref: other.kms_key_ref.replace('own-', 'OWN-') };
      for (const body of [other, named])
        expect(problemOf(await harness.call('POST', PATH, { token: owner, body }))).toEqual([
          409,
          'conflict',
        ]);
      expect(clouds.calls).toEqual([]);
    });

    async function onboardAs(body: unknown): Promise<TestAnswer> {
      return harness.call('POST', PATH, { token: await harness.signIn(harness.other.ownerEmail), body });
    }
  });

  it('takes an external id of their own, also one that only begins like ours', async () => {
    expect((await onboard(awsOf('own-id', { external_id: 'knoxcall-prod' }))).status).toBe(200);
    const own = `knoxcall-${tenant.id}`;
    expect((await onboard(awsOf('own-id', { external_id: own }))).status).toBe(200);
  });

  it('takes a key that another tenant has where they may share them, and none of the operator', async () => {
    const shared = await createHarness({ clouds, kms: { operatorKey: OPERATOR, hasSharedKeys: true } });
    const statuses = [];
    for (const { ownerEmail } of [shared.tenant, shared.other]) {
      const owner = await shared.signIn(ownerEmail);
      for (const name of ['shared', 'operator'])
        statuses.push((await shared.call('POST', PATH, { token: owner, body: awsOf(name) })).status);
    }
    expect(statuses).toEqual([200, 409, 200, 409]);
    await shared.close();
  });

  it('takes a variable that begins with the slug of the tenant', async () => {
    const name = `KNOX_TENANT_KMS_${tenant.slug.toUpperCase()}_SECRET`;
    expect((await onboard(azureOf('with-app', application(name)))).status).toBe(200);
    expect((await read())['config'].config.client_secret_env_var).toBe(name);
  });

  it('takes no variable of a longer slug, also where that one is a tenant no more', async () => {
    const longer = await createTestTenant(harness, `${tenant.slug}-eu`);
    const ofLonger = azureOf(
      'of-longer',
      application(`KNOX_TENANT_KMS_${tenant.slug.toUpperCase()}_EU_SECRET`),
    );
    expect(problemOf(await onboard(ofLonger))).toEqual([400, 'validation_error']);
    await harness.db.transaction((tx) => harness.accounts.deleteTenant(tx, longer.id));
    while ((await harness.tenantRemoval.step(1_000)).hasMore);
    expect(problemOf(await onboard(ofLonger))).toEqual([400, 'validation_error']);
  });
});

describe('rotating', () => {
  it('makes the next version the active one under the same key, and issues its rewrap', async () => {
    await onboard(awsOf('rotated'));
    const before = await tokenize();
    const { status, json } = await act('POST', '/rotate');
    expect([status, json]).toEqual([
      200,
      { rotated: true, new_version: 3, rewrap_lease_id: expect.any(Number) },
    ]);
    const shown = (await read())['keys'].map(({ version, status }: Record<string, unknown>) => [
      version,
      status,
    ]);
    expect(shown).toEqual([
      [3, 'active'],
      [2, 'retired'],
      [1, 'retired'],
    ]);
    expect((await before()).json['data'].value).toBe('canary');
    expect(await auditOf('byok.kms.rotate')).toMatchObject([{ details: { version: 3 } }]);
  });

  it('of two at once gives N+1 and N+2', async () => {
    await onboard(awsOf('twice'));
    const answers = await Promise.all([act('POST', '/rotate'), act('POST', '/rotate')]);
    expect(answers.map(({ json }) => json['new_version']).sort()).toEqual([3, 4]);
    expect((await read())['keys'].filter((key: { status: string }) => key.status === 'active')).toHaveLength(
      1,
    );
  });

  it.each([
    ['does not wrap', () => (clouds.mayWrap = false)],
    ['wraps and does not open', () => (clouds.failure = 'access_denied')],
  ])('changes nothing where the key %s', async (_what, prepare) => {
    await onboard(awsOf(`r${++made}`));
    const before = await read();
    prepare();
    const answer = await act('POST', '/rotate');
    expect(problemOf(answer)).toEqual([502, 'kms_wrap_failed']);
    expect(answer.json['error'].reason).toBe('access_denied');
    expect(await read()).toEqual(before);
  });

  it('asks for a step-up of the last five minutes', async () => {
    await onboard(awsOf('stepped'));
    expect(problemOf(await ask('POST', `${PATH}/rotate`))).toEqual([401, 'step_up_required']);
    const old = await harness.stepUp(token);
    await harness.advance(121_000);
    expect(problemOf(await ask('POST', `${PATH}/unseal`, undefined, old))).toEqual([401, 'step_up_expired']);
    expect((await ask('POST', `${PATH}/rotate`, undefined, old)).status).toBe(200);
  });
});

describe('giving it up', () => {
  it('has the default wrap a new master key, and keeps what was encrypted readable', async () => {
    await onboard(awsOf('given-up'));
    const before = await tokenize();
    expect((await act('DELETE')).json).toEqual({ deleted: true });
    expect(problemOf(await ask('GET', PATH))).toEqual([404, 'no_kms_config']);
    await harness.advance(300_000);
    expect((await before()).json['data'].value).toBe('canary');
    expect(await auditOf('byok.kms.delete')).toMatchObject([{ details: { version: 3 } }]);
    expect((await onboard(awsOf('given-up'))).json['new_key_version']).toBe(4);
    const methods = (await read())['keys'].map((key: { wrap_method: string }) => key.wrap_method);
    expect(methods).toEqual(['customer_kms', 'operator_kms', 'customer_kms', 'operator_kms']);
  });

  it('is refused while the key does not open, since its data would be lost, and seals', async () => {
    await onboard(awsOf('lost'));
    clouds.failure = 'key_unusable';
    expect(problemOf(await act('DELETE'))).toEqual([503, 'tenant_sealed']);
    expect((await read())['config']).toMatchObject({
      sealed_since: expect.any(String),
      last_verify_error: expect.stringContaining('key_unusable'),
    });
    expect((await read())['keys']).toHaveLength(2);
  });

  it('uses its step-up up', async () => {
    await onboard(awsOf('once'));
    const stepUp = await harness.stepUp(token);
    expect((await ask('DELETE', PATH, undefined, stepUp)).status).toBe(200);
    expect((await ask('DELETE', PATH, undefined, stepUp)).status).toBe(401);
  });
});

it('is tested without a change', async () => {
  await onboard(awsOf('tested'));
  const before = await read();
  expect((await act('POST', '/test')).json).toEqual({ ok: true, latency_ms: expect.any(Number) });
  clouds.failure = 'unreachable';
  const refused = await act('POST', '/test');
  expect(problemOf(refused)).toEqual([400, 'kms_verify_failed']);
  expect(refused.json['error'].reason).toBe('unreachable');
  expect(await read()).toEqual(before);
});

describe('what to grant', () => {
  const setup = async (provider: string) => ask('GET', `${PATH}/setup?provider=${provider}`);

  it('names this server and, for AWS, the external id of the tenant', async () => {
    const { json } = await setup('aws');
    expect(json).toEqual({
      provider: 'aws',
      aws_account_id: '999988887777',
      external_id: `knoxcall-${tenant.id}`,
      policy_text: expect.stringContaining('arn:aws:iam::999988887777:root'),
    });
    expect(json['policy_text']).toContain(`"sts:ExternalId": "knoxcall-${tenant.id}"`);
    for (const policy of json['policy_text'].matchAll(/<<'JSON'\n(.*?)\nJSON/gs))
      expect(JSON.parse(policy[1]!)).toMatchObject({ Version: '2012-10-17' });
  });

  it('says what it does not know', async () => {
    const { json } = await setup('gcp');
    expect(json).toEqual({ provider: 'gcp', gcp_principal: null, policy_text: expect.any(String) });
    expect(json['policy_text']).toContain('KNOX_KMS_GCP_PRINCIPAL');
    expect(json['policy_text']).toContain('roles/iam.serviceAccountTokenCreator');
    expect((await setup('azure')).json['policy_text']).toContain('Key Vault Crypto User');
  });

  it('names the variable that is the tenant’s own to name', async () => {
    const text = (await setup('azure')).json['policy_text'];
    expect(text).toContain(`# KNOX_TENANT_KMS_T${made}_SECRET;`);
    expect(text).toContain(`"client_secret_env_var": "KNOX_TENANT_KMS_T${made}_SECRET"`);
  });

  it.each([
    ['knoxcall@acme.iam.gserviceaccount.com', 'serviceAccount:knoxcall@acme.iam.gserviceaccount.com'],
    // Google takes no prefix before what a federated identity is called.
    [
      'principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s',
      'principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s',
    ],
  ])('names the member %s as Google does', async (identity, member) => {
    const named = { id: tenant.id, slug: 'acme' };
    const { policyText } = await setupFor({ ownIdentity: async () => identity }, 'gcp', named);
    expect(policyText).toContain(`  --member ${member} --role roles/iam.serviceAccountTokenCreator`);
  });

  it('is refused for another cloud', async () => {
    expect(problemOf(await setup('aws_kms'))).toEqual([400, 'validation_error']);
  });
});

it.each([
  ['GET', ''],
  ['POST', '/rotate'],
  ['POST', '/unseal'],
  ['POST', '/test'],
  ['DELETE', ''],
])('%s %s is 404 without a configuration', async (method, path) => {
  expect(problemOf(await act(method, path))).toEqual([404, 'no_kms_config']);
});

it('is for Owner and Admin of the dashboard alone', async () => {
  for (const [role, status] of [
    ['admin', 404],
    ['developer', 403],
    ['viewer', 403],
  ] as const) {
    const member = await harness.signInAs(role);
    expect((await harness.call('GET', PATH, { token: member })).status).toBe(status);
  }
  expect(problemOf(await harness.call('GET', PATH, { key: tenant.live }))).toEqual([401, 'invalid_token']);
});

it('asks clouds for a tenant only so often at once, with 429 beyond that, and for others all the same', async () => {
  const body = awsOf(`busy-${tenant.slug}`);
  expect((await onboard(body)).status).toBe(200);
  const { ownIdentity } = clouds;
  let answer = (_identity: string) => {};
  const hanging = new Promise<string>((resolve) => {
    answer = resolve;
  });
  const isAsked = new Promise<void>((resolve) => {
    let asked = 0;
    clouds.ownIdentity = () => {
      asked += 1;
      if (asked === UNDER_WAY_MAX) resolve();
      return hanging;
    };
  });
  const setups = Array.from({ length: UNDER_WAY_MAX }, () => ask('GET', `${PATH}/setup?provider=aws`));
  await isAsked;
  clouds.calls.splice(0);
  for (const refused of [
    await ask('POST', `${PATH}/test`),
    await onboard(body),
    await act('POST', '/rotate'),
  ]) {
    expect(problemOf(refused)).toEqual([429, 'rate_limit_exceeded']);
    expect(refused.headers['retry-after']).toBe('5');
  }
  expect(clouds.calls).toEqual([]);
  expect((await ask('GET', PATH)).status).toBe(200);
  const theirs = { token: await harness.signIn(harness.other.ownerEmail), body: awsOf('not-busy') };
  expect((await harness.call('POST', PATH, theirs)).status).toBe(200);
  answer('999988887777');
  for (const { status } of await Promise.all(setups)) expect(status).toBe(200);
  clouds.ownIdentity = ownIdentity;
  expect((await ask('POST', `${PATH}/test`)).status).toBe(200);
});
