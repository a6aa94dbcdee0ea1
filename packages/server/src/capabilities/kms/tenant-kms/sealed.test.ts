import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { JobContext } from '../../../platform/jobs/definition.js';
import type { OutboxEvent } from '../../../platform/outbox/store.js';
import type { TestAnswer } from '../../../testing/calls.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { createMemoryClouds, type MemoryClouds } from '../../../testing/memory-clouds.js';
import { createTestTenant, type TestTenant } from '../../../testing/tenants.js';
import { tenantKmsJobs } from '../index.js';

const PATH = '/admin/tenant-kms';
const CACHE_MS = 300_000;

let clouds: MemoryClouds;
let harness: Harness;
let tenant: TestTenant;
let token: string;
let made = 0;
const events: OutboxEvent[] = [];

beforeAll(async () => {
  clouds = createMemoryClouds();
  harness = await createHarness({ clouds });
  harness.outbox.listen({
    name: 'test',
    wants: (type) => type.startsWith('tenant_kms.'),
    handle: async (event) => void events.push(event),
  });
});
afterAll(() => harness.close());
beforeEach(async () => {
  tenant = await createTestTenant(harness, `s${++made}`);
  token = await harness.signIn(tenant.ownerEmail);
  expect((await ask('POST', PATH, awsOf(tenant.slug))).status).toBe(200);
});
afterEach(() => {
  Object.assign(clouds, { failure: null, mayWrap: true, keyVersion: 1 });
});

const awsOf = (name: string) => ({
  provider: 'aws',
  kms_key_ref: `arn:aws:kms:eu-central-1:111122223333:key/${name}`,
  config: { region: 'eu-central-1', role_arn: `arn:aws:iam::111122223333:role/${name}` },
});
const ask = (method: string, path: string, body?: unknown, more: Record<string, unknown> = {}) =>
  harness.call(method, path, { token, ...(body !== undefined && { body }), ...more });
const asKey = (method: string, path: string, body?: unknown) =>
  harness.call(method, path, { key: tenant.live, ...(body !== undefined && { body }) });
const act = async (method: string, path = '', headers = {}) =>
  ask(method, `${PATH}${path}`, undefined, { stepUp: await harness.stepUp(token), headers });
const problemOf = ({ status, json }: TestAnswer) => [status, json['error']?.type];
const config = async () => (await ask('GET', PATH)).json['config'];
const newName = () => `v${++made}`;
const newVault = async () => {
  const name = newName();
  expect((await asKey('POST', '/v1/vaults', { name, token_format: 'generic' })).status).toBe(201);
  return name;
};
const tokenize = (vault: string) => asKey('POST', `/v1/vaults/${vault}/tokens`, { value: 'canary' });
const runJob = async (kind: string) => {
  const job = tenantKmsJobs(harness.kmsVerification).find((one) => one.kind === kind)!;
  return job.run({ batchMax: job.batchMax } as JobContext);
};
const loggedOf = (msg: string) =>
  harness.logLines
    .map((line) => JSON.parse(line))
    .filter((line) => line.msg === msg && line.tenant_id === tenant.id);
const eventsNow = async () => {
  const dispatcher = harness.outbox.definitions().find(({ kind }) => kind === 'outbox_test')!;
  const signal = new AbortController().signal;
  const context = { batchMax: 100, signal, isStopping: () => false, fence: async () => {} };
  await dispatcher.run(context as unknown as JobContext);
  return events.splice(0).filter(({ scope }) => scope.tenantId === tenant.id);
};

describe('a withdrawn grant', () => {
  it('that comes back is found though something breaks at another tenant', async () => {
    const broken = await createTestTenant(harness, `s${++made}`);
    const theirs = { token: await harness.signIn(broken.ownerEmail), body: awsOf(broken.slug) };
    expect((await harness.call('POST', PATH, theirs)).status).toBe(200);
    const { configs } = harness.kms.parts;
    const sealAll = () =>
      harness.db.transaction(async (tx) => {
        // The broken one has waited longest.
        await configs.setSealed(tx, broken.id, 'why', harness.clock.nowMs() - 1);
        await configs.setSealed(tx, tenant.id, 'why', harness.clock.nowMs());
      });
    await sealAll();
    const lost = vi.spyOn(clouds.lostKeys, 'has').mockImplementation((keyRef) => {
      if (keyRef.endsWith(`/${broken.slug}`)) throw new Error('of the broken one');
      return false;
    });
    try {
      await expect(runJob('tenant_kms_unseal')).rejects.toThrow('of the broken one');
      expect((await config()).sealed_since).toBeNull();
      expect((await configs.find(broken.id))?.sealedSinceMs).not.toBeNull();
    } finally {
      lost.mockRestore();
    }
    expect(await runJob('tenant_kms_unseal')).toEqual({ rows: 1 });
  });

  it('acts within one lifetime of an opened key, and is lifted by the job', async () => {
    const vault = await newVault();
    expect((await tokenize(vault)).status).toBe(201);
    clouds.failure = 'access_denied';
    // What is open stays open for its time, whatever is asked meanwhile.
    await harness.advance(CACHE_MS - 1_000);
    expect((await tokenize(vault)).status).toBe(201);
    expect((await config()).sealed_since).toBeNull();
    await harness.advance(1_000);
    const refused = await tokenize(vault);
    expect(problemOf(refused)).toEqual([503, 'tenant_sealed']);
    expect(refused.headers['retry-after']).toBe('30');
    const sealedAt = new Date(harness.clock.nowMs()).toISOString();
    expect(await config()).toMatchObject({
      sealed_since: sealedAt,
      last_verify_error: expect.stringMatching(/^The permission is missing.*\(access_denied: OfTheTest\)$/),
    });
    const [sealed] = await eventsNow();
    expect(sealed).toMatchObject({
      type: 'tenant_kms.sealed',
      payload: { provider: 'aws', reason: 'access_denied' },
    });
    expect((await ask('GET', '/admin/audit-logs?action=byok.kms.seal')).json['data']).toEqual([]);
    expect(loggedOf('a tenant is sealed: its own key does not open')).toMatchObject([
      { level: 'warn', reason: (await config()).last_verify_error },
    ]);

    await runJob('tenant_kms_unseal');
    expect((await config()).sealed_since).toBe(sealedAt);
    clouds.failure = null;
    // Nobody but who tries to unseal asks the KMS.
    expect(problemOf(await tokenize(vault))).toEqual([503, 'tenant_sealed']);
    expect(await runJob('tenant_kms_unseal')).toEqual({ rows: 1 });
    expect((await tokenize(vault)).status).toBe(201);
    expect(await config()).toMatchObject({ sealed_since: null, last_verify_error: null });
    expect(await eventsNow()).toMatchObject([
      { type: 'tenant_kms.unsealed', payload: { provider: 'aws', sealed_since: sealedAt } },
    ]);
    const { json } = await ask('GET', '/admin/audit-logs?action=byok.kms.unseal');
    expect(json['data']).toMatchObject([{ ip_address: null, details: { provider: 'aws' } }]);
    expect(await runJob('tenant_kms_unseal')).toEqual({ rows: 0 });
    expect(loggedOf('a tenant is no longer sealed')).toMatchObject([
      { level: 'info', sealed_since: sealedAt },
    ]);
  });

  it('is asked for by one call, however many wait, and by none while sealed', async () => {
    const vaults = [await newVault(), await newVault(), await newVault()];
    clouds.failure = 'unreachable';
    await harness.advance(CACHE_MS);
    clouds.calls.splice(0);
    const answers = await Promise.all(vaults.flatMap((vault) => [tokenize(vault), tokenize(vault)]));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
    expect(clouds.calls).toEqual(['unwrap']);
    for (const vault of vaults) await tokenize(vault);
    expect(clouds.calls).toEqual(['unwrap']);
    expect((await harness.call('GET', '/readyz')).status).toBe(200);
  });

  it('10,000 uses of a key cost one call', async () => {
    const scope = { tenantId: tenant.id, sandbox: false };
    const key = await harness.cryptoKeys.prepare(scope);
    await harness.db.transaction((tx) => harness.cryptoKeys.createFor(tx, key));
    await harness.advance(CACHE_MS);
    clouds.calls.splice(0);
    for (let index = 0; index < 10_000; index += 1) {
      await harness.cryptoKeys.use(scope, key.id, 1, (bytes) => bytes.length);
    }
    expect(clouds.calls).toEqual(['unwrap']);
  });
});

/** Seals for as long as the test runs. */
async function seal(): Promise<void> {
  clouds.failure = 'access_denied';
  await harness.advance(CACHE_MS);
  expect(problemOf(await asKey('POST', '/v1/vaults', { name: newName(), token_format: 'generic' }))).toEqual([
    503,
    'tenant_sealed',
  ]);
}

describe('while sealed', () => {
  it.each([
    ['POST', '/rotate'],
    ['DELETE', ''],
  ])('%s %s is refused', async (method, path) => {
    await seal();
    clouds.failure = null;
    expect(problemOf(await act(method, path))).toEqual([503, 'tenant_sealed']);
  });

  it.each([
    ['access_denied', 'access_denied'],
    ['unreachable', 'unreachable'],
    ['throttled', 'throttled'],
    ['key_unusable', 'key_unusable'],
    ['bad_ciphertext', 'key_unusable'],
  ] as const)('unseal fails with the reason: %s', async (failure, reason) => {
    await seal();
    clouds.failure = failure;
    const answer = await act('POST', '/unseal');
    expect(problemOf(answer)).toEqual([502, 'unseal_failed']);
    expect(answer.json['error'].reason).toBe(reason);
    expect((await config()).last_verify_error).toContain(failure);
  });

  it('unseal opens at once, also with an idempotency key; of an unsealed tenant it is 409', async () => {
    await seal();
    clouds.failure = null;
    const answer = await act('POST', '/unseal', { 'x-idempotency-key': 'k' });
    expect([answer.status, answer.json]).toEqual([200, { unsealed: true }]);
    expect(await config()).toMatchObject({ sealed_since: null, last_verify_error: null });
    expect(problemOf(await act('POST', '/unseal'))).toEqual([409, 'not_sealed']);
    const { json } = await ask('GET', '/admin/audit-logs?action=byok.kms.unseal');
    expect(json['data']).toMatchObject([{ ip_address: '127.0.0.1' }]);
    expect((await asKey('POST', '/v1/vaults', { name: newName(), token_format: 'generic' })).status).toBe(
      201,
    );
  });

  it('another key unseals, and says what stays unreadable under the former', async () => {
    const vault = await newVault();
    const kept = (await tokenize(vault)).json['data'].token;
    clouds.lostKeys.add(awsOf(tenant.slug).kms_key_ref);
    try {
      await harness.advance(CACHE_MS);
      expect(problemOf(await tokenize(vault))).toEqual([503, 'tenant_sealed']);
      const { status, json } = await ask('POST', PATH, awsOf(`${tenant.slug}-new`));
      expect(status).toBe(200);
      expect(json['note']).toContain('master key version 2 stays unreadable');
      expect((await config()).sealed_since).toBeNull();
      const other = await newVault();
      expect((await tokenize(other)).status).toBe(201);
      // What is under the lost key is refused, and does not seal what is under the new one.
      expect(problemOf(await asKey('GET', `/v1/vaults/${vault}/tokens/${kept}`))).toEqual([
        503,
        'tenant_sealed',
      ]);
      expect((await config()).sealed_since).toBeNull();
    } finally {
      clouds.lostKeys.clear();
    }
    await harness.advance(30_000);
    expect((await asKey('GET', `/v1/vaults/${vault}/tokens/${kept}`)).json['data'].value).toBe('canary');
  });

  it('a metadata read, the log and sign-in are as ever', async () => {
    await seal();
    for (const path of ['/v1/vaults', '/v1/audit-logs', '/v1/account', '/v1/logs', '/v1/api-keys'])
      expect([path, (await asKey('GET', path)).status]).toEqual([path, 200]);
    expect(await harness.signIn(tenant.ownerEmail)).toEqual(expect.any(String));
  });
});

describe('the daily check', () => {
  const DAY_MS = 24 * 3_600_000;

  it('verifies what was not asked for a day, and seals what does not open', async () => {
    await runJob('tenant_kms_verify');
    const before = (await config()).last_verified_at;
    harness.clock.advance(DAY_MS);
    await harness.advance(1_000);
    token = await harness.signIn(tenant.ownerEmail);
    await runJob('tenant_kms_verify');
    expect((await config()).last_verified_at > before).toBe(true);
    harness.clock.advance(DAY_MS);
    await harness.advance(1_000);
    token = await harness.signIn(tenant.ownerEmail);
    clouds.failure = 'key_unusable';
    await runJob('tenant_kms_verify');
    expect(await config()).toMatchObject({
      sealed_since: expect.any(String),
      last_verify_error: expect.stringContaining('The key cannot be used'),
    });
  });

  it('tells of a key that opens and does not wrap, without sealing', async () => {
    harness.clock.advance(DAY_MS);
    await harness.advance(1_000);
    token = await harness.signIn(tenant.ownerEmail);
    clouds.mayWrap = false;
    await runJob('tenant_kms_verify');
    expect(await config()).toMatchObject({
      sealed_since: null,
      last_verify_error: expect.stringMatching(/^The key opens and does not wrap.*access_denied/),
    });
  });

  it('has a newer version of the key wrap the master keys, whatever their age, and no other bytes change', async () => {
    const vault = await newVault();
    await act('POST', '/rotate');
    clouds.keyVersion = 2;
    harness.clock.advance(DAY_MS);
    await harness.advance(1_000);
    token = await harness.signIn(tenant.ownerEmail);
    await runJob('tenant_kms_verify');
    const keys = await harness.kms.parts.store.listOpenable(tenant.id);
    const names = keys.map(({ wrapped }) => /cryptoKeyVersions\/(\d)/.exec(wrapped.toString('latin1'))?.[1]);
    expect(names).toEqual(['2', '2', undefined]);
    expect((await tokenize(vault)).status).toBe(201);
  });
});
