import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TestAnswer } from '../../../testing/calls.js';
import { startAwsEmulator } from '../../../testing/cloud-kms/aws-emulator.js';
import { type AzureEmulator, startAzureEmulator } from '../../../testing/cloud-kms/azure-emulator.js';
import { type CloudEmulator, type EmulatorState, freshState } from '../../../testing/cloud-kms/emulator.js';
import { startGcpEmulator } from '../../../testing/cloud-kms/gcp-emulator.js';
import { type CloudRig, startCloudRig } from '../../../testing/cloud-kms/rig.js';
import { storedRows, type TestDatabase } from '../../../testing/databases.js';
import { createHarness, type Harness } from '../../../testing/harness.js';
import { cloudKeyText } from '../cloud-key-text.js';
import { unpackWrapped } from '../providers/cloud/wrapped-bytes.js';
import { kmsTables } from '../tables.js';

/** Of the key's version, where the cloud says it: by that a newer one is seen. */
const NAMES = {
  aws: /:key\/abcd-1234$/,
  gcp: /\/cryptoKeyVersions\/1$/,
  azure: /\/[0-9a-f]{32}$/,
};

/** By the clouds' own clients, over the wire, through the guard. */
describe.each([
  ['aws', startAwsEmulator],
  ['gcp', startGcpEmulator],
  ['azure', startAzureEmulator],
] as const)("a tenant's key at %s", (provider, start) => {
  let rig: CloudRig<CloudEmulator>;
  let harness: Harness;
  let token: string;
  const answers: string[] = [];

  beforeAll(async () => {
    rig = await startCloudRig<CloudEmulator>(start);
    harness = await createHarness({ clouds: rig.clouds });
    token = await harness.signIn(harness.tenant.ownerEmail);
  });
  afterAll(async () => {
    await harness?.close();
    await rig?.close();
  });
  afterEach(() => {
    Object.assign(rig.emulator.state, freshState());
  });

  const ask = async (method: string, path: string, body?: unknown) => {
    const stepUp = await harness.stepUp(token);
    const answer = await harness.call(method, path, { token, stepUp, ...(body !== undefined && { body }) });
    answers.push(answer.text);
    return answer;
  };
  const body = () => JSON.parse(cloudKeyText(rig.emulator.key)) as Record<string, unknown>;
  const problemOf = ({ status, json }: TestAnswer) => [status, json['error']?.type, json['error']?.reason];
  const rows = () => {
    const stored = storedRows((harness.db as TestDatabase).storage);
    return ['tenant_kms', 'tenant_master_keys', 'audit_logs', 'jobs'].map((table) => stored.get(table));
  };

  const failures: [string, Partial<EmulatorState>, string, RegExp][] = [
    ['may encrypt and not decrypt', { mayDecrypt: false }, 'access_denied', /permission is missing/],
    ['may decrypt and not encrypt', { mayEncrypt: false }, 'access_denied', /permission is missing/],
    ['is not trusted', { isTrusted: false }, 'access_denied', /identity provider refused/],
    ['is disabled', { isEnabled: false }, 'key_unusable', /disabled/],
    ['is in an outage', { answers: 'failing' }, 'unreachable', /network/],
  ];

  it.each(failures)('that %s is refused and nothing is written', async (_what, state, reason, text) => {
    const before = rows();
    Object.assign(rig.emulator.state, state);
    const answer = await ask('POST', '/admin/tenant-kms', body());
    expect(problemOf(answer)).toEqual([400, 'kms_verify_failed', reason]);
    expect(answer.json['error'].message).toMatch(text);
    expect(rows()).toEqual(before);
  });

  if (provider === 'azure')
    it('whose secret this server was not given is not taken for a refusal', async () => {
      const { variables } = rig.emulator as AzureEmulator;
      const given = [...variables];
      variables.clear();
      const answer = await ask('POST', '/admin/tenant-kms', body());
      for (const [name, value] of given) variables.set(name, value);
      expect(problemOf(answer)).toEqual([400, 'kms_verify_failed', 'access_denied']);
      expect(answer.json['error'].message).toContain('client_secret_env_var is not set: whoever runs this');
    });

  it('wraps, is rotated, is withdrawn and given back', async () => {
    const onboarded = await ask('POST', '/admin/tenant-kms', body());
    expect([onboarded.status, onboarded.json]).toEqual([
      200,
      expect.objectContaining({ provider, new_key_version: 2, rewrap_status: 'enqueued' }),
    ]);
    expect(onboarded.json['warning']).toBeUndefined();
    expect((await ask('POST', '/admin/tenant-kms/rotate')).json).toMatchObject({ new_version: 3 });
    expect((await ask('POST', '/admin/tenant-kms/test')).json['ok']).toBe(true);

    const active = await harness.kms.parts.store.findKey(harness.tenant.id, 3);
    expect(unpackWrapped(active!.wrapped!).keyName).toMatch(NAMES[provider]);

    const vault = { name: 'cards', token_format: 'generic' };
    expect((await ask('POST', '/admin/vaults', vault)).status).toBe(201);
    const made = await ask('POST', '/admin/vaults/cards/tokens', { value: 'canary' });
    const read = () => ask('GET', `/admin/vaults/cards/tokens/${made.json['data'].token}`);
    rig.emulator.state.mayDecrypt = false;
    expect((await read()).status).toBe(200);
    await harness.advance(300_000);
    expect(problemOf(await read()).slice(0, 2)).toEqual([503, 'tenant_sealed']);
    expect(problemOf(await ask('POST', '/admin/tenant-kms/unseal'))).toEqual([
      502,
      'unseal_failed',
      'access_denied',
    ]);
    rig.emulator.state.mayDecrypt = true;
    expect((await ask('POST', '/admin/tenant-kms/unseal')).json).toEqual({ unsealed: true });
    expect((await read()).json['data'].value).toBe('canary');
  });

  it('does not open what it has wrapped for another version or tenant', async () => {
    const { tenant } = harness;
    const view = harness.db.view(kmsTables);
    const keysOf = () => view.scoped({ tenantId: tenant.id });
    const former = await harness.kms.parts.store.findKey(tenant.id, 2);
    const active = await harness.kms.parts.store.findKey(tenant.id, 3);
    const putActive = (wrapped: Buffer) =>
      keysOf().updateTable('tenant_master_keys').set({ wrapped }).where('version', '=', 3).execute();
    await putActive(former!.wrapped!);
    await harness.advance(300_000);
    const refused = await ask('POST', '/admin/vaults/cards/tokens', { value: 'canary' });
    expect(problemOf(refused).slice(0, 2)).toEqual([503, 'tenant_sealed']);
    await putActive(active!.wrapped!);
    expect((await ask('POST', '/admin/tenant-kms/unseal')).status).toBe(200);

    const foreign = { tenantId: harness.other.id };
    await view
      .scoped(foreign)
      .updateTable('tenant_master_keys')
      .set({ wrapped: active!.wrapped, kms_key: active!.kmsKey, wrap_method: 'customer_kms' })
      .execute();
    const place = { table: 'vaults', rowId: 'x', column: 'y', mode: 'live' } as const;
    const envelope = Buffer.concat([Buffer.from('KCT1'), Buffer.from([0, 0, 0, 0, 1]), Buffer.alloc(60)]);
    await expect(harness.kms.open({ ...place, tenantId: harness.other.id }, envelope)).rejects.toMatchObject({
      type: 'tenant_sealed',
      detail: expect.stringContaining('bad_ciphertext'),
    });
  });

  it('has left no secret of the way there in an answer, the log, the audit log or a row', () => {
    const stored = [...storedRows((harness.db as TestDatabase).storage).values()].join('');
    const said = [...answers, ...harness.logLines, stored].join('\n');
    expect(rig.emulator.secrets.length).toBeGreaterThan(3);
    for (const secret of rig.emulator.secrets.filter((one) => one.length > 8))
      expect(said).not.toContain(secret);
  });
});
